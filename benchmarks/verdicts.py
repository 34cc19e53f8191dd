"""How often the verdict is right where the bottleneck was planted: ``python -m benchmarks.verdicts``.

Makes the cases of ``benchmarks/labelled``, analyses each, and prints by kind how many verdicts were right, wrong,
wrong and certain, and how many abstained. A verdict speaks where it names a component, likely or certain. It is right
where that held the planted time, or where it abstains from what nothing in the files can show.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.labelled.kinds import KINDS, Graded, case, made
from benchmarks.labelled.label import Kind, Outcome

MOST_WRONG_AND_CERTAIN, LEAST_RIGHT, MOST_ABSTAINED, LEAST_REAL = 0.01, 0.95, 0.15, 0.25
QUICK = 2
"""Cases of each kind that real tools are not needed for, with --quick."""
COLUMNS = "cases", "right", "wrong", "wrong and certain", "abstained", "certain"
MEMORY = Path("/dev/shm")


def chosen(kind: str | None, quick: bool) -> list[tuple[Kind, int]]:
    """Which cases to make: those of kinds whose name begins so."""
    kinds = [one for one in KINDS if (kind is None or one.name.startswith(kind)) and not (quick and one.real)]
    return [(one, number) for one in kinds for number in range(QUICK if quick else one.cases)]


def graded(cases: Sequence[tuple[Kind, int]], seed: int, jobs: int) -> Iterator[Graded]:
    """Grade cases: those on paper side by side, then the real ones one by one, since they need the cores."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as home:
        paper = [one for one in cases if not one[0].real]
        if paper:
            with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
                yield from pool.map(_named, ((kind.name, number, seed, home) for kind, number in paper), chunksize=4)
        for kind, number in cases:
            if kind.real:
                yield case(kind, number, seed, Path(home))


def _named(which: tuple[str, int, int, str]) -> Graded:
    name, number, seed, home = which
    return case(next(kind for kind in KINDS if kind.name == name), number, seed, Path(home))


def counts(found: Iterable[Graded]) -> tuple[int, ...]:
    """The numbers of COLUMNS."""
    rows = [one for one in found if one.outcome is not None]
    each = [sum(one.outcome is outcome for one in rows) for outcome in Outcome]
    right, wrong, certain, abstained = each
    return len(rows), right, wrong + certain, certain, abstained, sum(one.certain for one in rows)


def table(found: Sequence[Graded]) -> list[str]:
    """By kind, then the totals."""
    lines = [f"{'kind':28}" + "".join(f"{name:>{len(name) + 2}}" for name in COLUMNS)]
    for kind in [*dict.fromkeys(one.kind for one in found), None]:
        mine = [one for one in found if kind in (one.kind, None)]
        numbers = (f"{number:{len(name) + 2}}" for name, number in zip(COLUMNS, counts(mine)))
        missing = sum(one.outcome is None for one in mine)
        lines.append(f"{kind or 'all':28}" + "".join(numbers) + (f"  ({missing} not made here)" if missing else ""))
    return lines


def goals(found: Sequence[Graded]) -> list[tuple[str, bool]]:
    """The three goals and the share of real tools, each with whether it is reached."""
    cases, _, wrong, certain, abstained, _ = counts(found)
    answers = sum(one.outcome is not None and not one.open for one in found)
    spoke = sum(one.outcome in (Outcome.RIGHT, Outcome.WRONG, Outcome.CERTAIN_AND_WRONG) for one in found)
    silent = sum(one.outcome is Outcome.RIGHT and one.open for one in found)
    share = 1 - wrong / max(1, spoke - silent)
    real = {kind.name for kind in KINDS if kind.real}
    of_real = sum(one.kind in real and one.outcome is not None for one in found) / max(1, cases)
    return [
        (f"right where it speaks: {share:.1%} (goal: {LEAST_RIGHT:.0%} or more)", share >= LEAST_RIGHT),
        (f"wrong and certain: {certain / max(1, cases):.1%} (goal: {MOST_WRONG_AND_CERTAIN:.0%} at most)",
         certain <= MOST_WRONG_AND_CERTAIN * cases),
        (f"abstained where there is an answer: {abstained / max(1, answers):.1%} (goal: {MOST_ABSTAINED:.0%} at most)",
         abstained <= MOST_ABSTAINED * answers),
        (f"made by real tools: {of_real:.0%} (goal: {LEAST_REAL:.0%} or more)", of_real >= LEAST_REAL),
    ]  # fmt: skip


def main() -> int:
    """Make, grade, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="other seeds make other cases (default: 1)")
    parser.add_argument("--kind", help="only kinds whose name begins so")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} of each kind, none of real tools")
    parser.add_argument("--jobs", type=int, default=2, help="cases analysed at once (default: 2)")
    parser.add_argument("--list", action="store_true", help="print every case that was not right")
    parser.add_argument("--number", type=int, help="only the case of this number in each kind")
    parser.add_argument("--keep", type=Path, help="write the files into this folder, and don't grade")
    args = parser.parse_args()
    cases = [one for one in chosen(args.kind, args.quick) if args.number in (None, one[1])]
    if not cases:
        parser.error(f"no such case; there are the kinds {', '.join(kind.name for kind in KINDS)}")
    if args.keep is not None:
        for kind, number in cases:
            folder = args.keep / f"{kind.name} {number}".replace(",", "").replace(" ", "-") / "case"
            print(folder, made(kind, number, args.seed, folder))
        return 0
    found = list(graded(cases, args.seed, args.jobs))
    if args.list:
        print(*(one.line() for one in found if one.outcome not in (Outcome.RIGHT, None)), sep="\n")
    print(f"seed {args.seed}", *table(found), sep="\n")
    reached = goals(found)
    print(*(f"{'reached' if good else 'MISSED ':8} {text}" for text, good in reached), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
