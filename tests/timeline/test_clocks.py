"""The stated error of an alignment covers the true one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from motrace.timeline.clocks import ClockFit, Ranges, align, fit_marks
from motrace.vocabulary import ClockMethod

Array = np.ndarray[Any, Any]
TRIALS = 120
LEAVES = ("policy", "step", "wait", "copy")


class Machine:
    """Two clocks that drift and jump, and the same ranges stamped on both."""

    def __init__(self, seed: int, jumps: int, lost: float) -> None:
        random = self.random = np.random.default_rng(seed)
        frames = int(random.integers(30, 400))
        lengths = random.lognormal(15.5, 0.7, frames * len(LEAVES)).astype(np.int64) + 20_000  # about 5 ms each
        gaps = random.integers(500, 50_000, len(lengths))
        start = 10**12 + np.cumsum(lengths + gaps) - lengths
        end = start + lengths
        self.span = (np.array(LEAVES * frames), start, end)
        self.origin, self.drift = int(random.integers(-(10**11), 10**12)), random.uniform(-60e-6, 60e-6)
        self.jump_at = np.sort(random.uniform(start[0], end[-1], jumps))
        self.jump_by = random.choice([-1, 1], jumps) * random.uniform(100e3, 4e6, jumps)
        before = random.exponential(800, len(start)) + 100  # a range begins before the span, and ends after it
        after = random.exponential(800, len(start)) + 100
        range_start, range_end = self.trace(start - before), self.trace(end + after)
        keep = random.random(len(start)) >= lost
        kept_spans = random.random(len(start)) >= lost / 4
        name = np.array(LEAVES * frames)
        self.spans = Ranges(name[kept_spans], start[kept_spans], end[kept_spans])
        order = np.argsort(range_start[keep], kind="stable")
        self.ranges = Ranges(name[keep][order], range_start[keep][order], range_end[keep][order])
        marks = np.arange(start[0], end[-1], 10**9, dtype=np.int64)
        self.marks = (self.trace(marks + random.exponential(1500, len(marks))), marks)

    def trace(self, run_ns: Array) -> Array:
        """What the trace's clock shows at run times."""
        jumped = sum((by * (run_ns >= at) for at, by in zip(self.jump_at, self.jump_by)), np.zeros(len(run_ns)))
        return np.asarray((run_ns - 10**12) * (1 + self.drift) + self.origin + jumped, np.int64)

    def true_error_ns(self, fit: ClockFit) -> float:
        """95 % of random times are mapped this close to where they belong."""
        times = self.random.uniform(self.span[1][0], self.span[2][-1], 4000).astype(np.int64)
        return float(np.percentile(np.abs(fit.to_run(self.trace(times)) - times), 95))


@pytest.mark.parametrize(("jumps", "lost"), [(0, 0.0), (0, 0.3), (1, 0.1), (3, 0.3)])
def test_stated_error_covers_the_true_one(jumps: int, lost: float) -> None:
    covered, errors = 0, []
    for seed in range(TRIALS):
        machine = Machine(seed, jumps, lost)
        fit = align(machine.spans, machine.ranges, machine.marks, None)
        assert fit is not None
        covered += machine.true_error_ns(fit) <= fit.error_ns
        errors.append(fit.error_ns)
    assert covered >= 0.95 * TRIALS
    if not jumps:
        assert np.median(errors) < 10_000  # and it is not covered by being vast


def test_sync_marks_alone_say_a_larger_error() -> None:
    covered = 0
    for seed in range(TRIALS):
        machine = Machine(seed, 0, 0.0)
        fit, best = fit_marks(*machine.marks), align(machine.spans, machine.ranges, machine.marks, None)
        assert fit is not None and best is not None
        assert fit.error_ns >= best.error_ns
        covered += machine.true_error_ns(fit) <= fit.error_ns
    assert covered >= 0.95 * TRIALS


def test_utc_alone_says_an_error_of_a_millisecond() -> None:
    machine = Machine(1, 0, 0.0)
    empty = Ranges(np.empty(0, str), np.empty(0, np.int64), np.empty(0, np.int64))
    none = (np.empty(0, np.int64), np.empty(0, np.int64))
    offset = 10**12 - machine.origin + 60_000
    fit = align(machine.spans, empty, none, offset)
    assert fit is not None
    assert fit.error_ns >= 1_000_000 and fit.method is ClockMethod.UTC
    assert align(machine.spans, empty, none, None) is None


def test_utc_leads_to_the_ranges_where_there_are_no_marks() -> None:
    machine = Machine(2, 0, 0.1)
    none = (np.empty(0, np.int64), np.empty(0, np.int64))
    offset = int(machine.span[1][0] - machine.trace(machine.span[1][:1])[0]) + 60_000
    fit = align(machine.spans, machine.ranges, none, offset)
    assert fit is not None
    assert fit.method in (ClockMethod.RANGES, ClockMethod.RANGES_WITH_JUMPS)
    assert machine.true_error_ns(fit) <= fit.error_ns < 20_000
