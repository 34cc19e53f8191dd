"""Known programs with an oracle of their own: no deterministic bound may exclude what their own clocks say.

``python -m benchmarks.truth`` does it for more programs and all kinds of evidence.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from benchmarks.truth.__main__ import line_of
from benchmarks.truth.claims import Interval
from benchmarks.truth.compare import Compared, compare
from benchmarks.truth.groups import TrueGroup
from benchmarks.truth.recordings import Recorded, record
from motrace.analysis import load
from motrace.collect.threads import FILE

PROGRAMS = ("interpreter", "worker", "gil_2", "sleep_in_step")
SECONDS = 0.8


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Recorded]:
    """A program recorded once, with the sampler of thread states; ``clocks``: without what it sampled."""

    @cache
    def with_threads(program: str) -> tuple[Path, Recorded]:
        home = tmp_path_factory.mktemp(program)
        return home / f"{program}-threads", record(program, "threads", home, SECONDS)

    def under(program: str, evidence: str) -> Recorded:
        path, sampled = with_threads(program)
        if evidence == "threads":
            return sampled
        copy = path.with_name(f"{program}-clocks")
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns(FILE))
        return replace(sampled, evidence=evidence, report=load(copy).report)

    return under


@pytest.mark.parametrize("evidence", ["clocks", "threads"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_deterministic_bounds_hold_the_truth(
    recorded: Callable[[str, str], Recorded], program: str, evidence: str
) -> None:
    rows = compare(recorded(program, evidence))
    bounds = [row for row in rows if row.claim.interval is Interval.BOUND]
    assert bounds, "every report has rows that samples don't decide"
    wrong = [line_of(row) for row in bounds if not row.covered]
    assert not wrong, "\n".join(("", *wrong))


def test_what_other_causes_leave_bounds_a_cause() -> None:
    """The oracle's own arithmetic: of 100 ns, wrong by 2 at most, 30 to 40 were one cause; the rest is the other's."""
    group = TrueGroup("step", "blocked", 100, 2, {"gil": (30, 40), "idle": (0, 100)})
    assert group.part(lambda phase, state, cause: cause == "gil") == (30, 40)
    assert group.part(lambda phase, state, cause: cause == "idle") == (58, 72)
    assert group.part(lambda phase, state, cause: True) == (98, 102)
    assert group.part(lambda phase, state, cause: False) == (0, 0)


def test_a_line_fits_a_terminal(recorded: Callable[[str, str], Recorded]) -> None:
    rows: list[Compared] = compare(recorded("interpreter", "threads"))
    assert rows and all(len(line_of(row)) <= 80 for row in rows)
