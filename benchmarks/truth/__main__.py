"""``python -m benchmarks.truth``: known programs, recorded and analysed, beside what their own clocks say.

Prints each relevant row: the claim with its bounds, the truth with the oracle's error, whether it is covered, how
wide the claim is, and what its interval is (``bound``: deterministic; ``95 %``: of samples). Rows in brackets are
buckets, the others causes over all phases. Ends with 1 where a deterministic bound does not cover the truth.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from motrace.errors import MotraceError

from .claims import Interval
from .compare import Compared, Judged, compare, coverage, judge, median_miss, median_width
from .programs import PROGRAMS
from .recordings import EVIDENCE, Recorded, cannot, record


def line_of(row: Compared) -> str:
    """A row of the table, 80 columns at most."""
    claim, truth = row.claim, row.truth
    bounds = f"[{100 * claim.lo:.1f}, {100 * claim.hi:.1f}]"
    true = f"{100 * truth.middle:.1f}+-{100 * truth.error:.1f}"
    covered = "yes" if row.covered else "NO"
    return (
        f"  {claim.name:18s} {100 * claim.share:5.1f} {bounds:>14s} {true:>11s} {covered:>4s} "
        f"{100 * row.width:6.1f}  {claim.interval.value}"
    )


HEAD = f"  {'row':18s} claim {'bounds':>14s} {'truth':>11s} {'cov.':>4s} {'width':>6s}  interval"


def verdict_lines(verdicts: Sequence[Judged]) -> list[str]:
    """The verdicts: a line for each program, a column for each kind of evidence."""
    kinds = list(dict.fromkeys(one.evidence for one in verdicts))
    lines = ["", "verdicts (+: abstained, but the true bucket and cause lead)"]
    lines.append(f"  {'':15s}" + "".join(f"{kind:12s}" for kind in kinds))
    for program in dict.fromkeys(one.program for one in verdicts):
        mine = {one.evidence: one for one in verdicts if one.program == program}
        said = [mine[kind].word if kind in mine else "" for kind in kinds]
        lines.append(f"  {program:15s}" + "".join(f"{word:12s}" for word in said))
    return lines


def summary(rows: Sequence[Compared], verdicts: Sequence[Judged]) -> list[str]:
    """What all rows come to, and by kind of evidence; then the verdicts."""
    kinds = list(dict.fromkeys(row.evidence for row in rows))
    lines = [
        "",
        f"{'evidence':12s} {'bounds cover':>16s} {'width':>6s} {'95 % cover':>16s} {'width':>6s} {'points off':>10s}",
    ]
    for kind in (*kinds, "together"):
        mine = [row for row in rows if kind in (row.evidence, "together")]
        parts = []
        for interval in Interval:
            covered, of = coverage(mine, interval)
            parts.append(
                f"{f'{covered}/{of}':>9s} {covered / of if of else 1:6.1%} {100 * median_width(mine, interval):6.1f}"
            )
        lines.append(f"{kind:12s} {parts[0]} {parts[1]} {100 * median_miss(mine):10.1f}")
    lines += verdict_lines(verdicts)
    outcomes = [one.outcome for one in verdicts]
    counts = ", ".join(f"{outcomes.count(name)} {name}" for name in ("right", "abstained", "WRONG"))
    covered, of = coverage(rows, Interval.BOUND)
    error = statistics.median(row.truth.error for row in rows) if rows else 0.0
    oracle = f"the oracle's own error: {error:.2%} of the wall time (median)"
    return [*lines, "", oracle, f"verdicts: {counts}", f"deterministic bounds that cover: {covered} of {of}"]


def chosen(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Reads a list of names, separated by commas."""

    def names(text: str) -> list[str]:
        unknown = sorted(set(text.split(",")) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return text.split(",")

    return names


def show(recorded: Recorded) -> tuple[list[Compared], Judged]:
    """Compare one program under one kind of evidence, and print it."""
    rows, verdict = compare(recorded), judge(recorded)
    for kind in dict.fromkeys(row.evidence for row in rows):
        print(f"\n{recorded.program}, {kind}\n{HEAD}")
        print("\n".join(line_of(row) for row in rows if row.evidence == kind))
    print(f"  verdict {verdict.word}: {verdict.said}")
    print(textwrap.fill(f"truth: {verdict.true}", 80, initial_indent="  ", subsequent_indent="    "), flush=True)
    return rows, verdict


def main() -> int:
    """Record, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=chosen(PROGRAMS), default=list(PROGRAMS), help=", ".join(PROGRAMS))
    parser.add_argument("--evidence", type=chosen(EVIDENCE), default=list(EVIDENCE), help=", ".join(EVIDENCE))
    parser.add_argument("--repeat", type=int, default=1, help="unprofiled runs of each")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each run's loop")
    parser.add_argument("--out", type=Path, help="keep the recordings here; those that are there are analysed again")
    args = parser.parse_args()
    rows: list[Compared] = []
    verdicts: list[Judged] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = (args.out or Path(scratch)).absolute()
        for program, evidence in itertools.product(args.programs, args.evidence):
            why = cannot(program, evidence)
            try:
                if why is None:
                    more, verdict = show(record(program, evidence, home, args.seconds, args.repeat))
                    rows, verdicts = [*rows, *more], [*verdicts, verdict]
            except (subprocess.CalledProcessError, MotraceError) as error:
                why = str(getattr(error, "stderr", None) or error).strip()[-300:]
            if why is not None:
                print(f"\n{program}, {evidence}: not recorded: {why}", flush=True)
    print("\n".join(summary(rows, verdicts)))
    covered, of = coverage(rows, Interval.BOUND)
    return int(covered < of or not rows)


if __name__ == "__main__":
    sys.exit(main())
