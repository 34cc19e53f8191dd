"""Runs of one mode against runs of another: what recording adds to a frame, and what changed between two experiments.

The unit is the run: each gives one mean per quantity, and intervals come from the repeats, since
frames of one run are not independent. Only completed runs count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..attribution.run import PROFILER_ONLY
from ..statistics.intervals import difference
from .model import Comparison, Contrast, PhaseDifference
from .run_model import RunSummary
from .values import Difference

CUSTOM = "custom"


@dataclass(frozen=True)
class Judged:
    """Whether a quantity got slower by more than a limit (None: that is not known); changes are fractions."""

    with_drain: bool
    slower: bool | None
    change: float | None
    lo: float | None
    hi: float | None


def usable(runs: Iterable[RunSummary], mode: str) -> list[RunSummary]:
    """Completed runs of a mode that have frames and were not disturbed by a collector."""
    found = [run for run in runs if run.mode == mode and run.completed and run.frames]
    return least_disturbed([run for run in found if not run.profilers])


def least_disturbed(runs: list[RunSummary]) -> list[RunSummary]:
    """Those of some runs that no profiler watched; all of them where one watched each."""
    return [run for run in runs if not run.disturbed] or runs


def per_frame(run: RunSummary, ns: float) -> float:
    """``ns`` of a run, per kept frame."""
    return ns / float(run.frames)


def phase_mean(run: RunSummary, phase: str) -> float:
    """Mean time per frame of a phase, ns; 0 where the run has it not."""
    found = run.phase(phase)
    return 0.0 if found is None else float(found.time.mean_ns)


def contrast(
    new: Sequence[RunSummary], base: Sequence[RunSummary], quantity: Callable[[RunSummary], float]
) -> Difference:
    """Means of a quantity in two groups of runs, and their difference with its 95 % interval."""
    news, bases = (np.array([quantity(run) for run in group], float) for group in (new, base))
    interval = difference(news, bases)
    new_mean, base_mean = float(news.mean()), float(bases.mean())
    same = np.array_equal(news, bases)  # the same recording twice: no doubt is left
    lo, hi = (0.0, 0.0) if same else (interval.lo, interval.hi)
    return Difference(new_mean, base_mean, interval.mean, lo, hi, new_mean / base_mean if base_mean else None)


def contrast_runs(new: Sequence[RunSummary], base: Sequence[RunSummary]) -> Contrast:
    """Everything that is compared between two groups of runs, each of one mode."""
    phases = dict.fromkeys(one.phase for run in (*new, *base) for one in run.phases)
    return Contrast(
        new[0].mode,
        base[0].mode,
        len(new),
        len(base),
        frame_ns=contrast(new, base, lambda run: per_frame(run, run.loop_wall_ns)),
        frame_with_drain_ns=contrast(new, base, lambda run: per_frame(run, run.recording_wall_ns)),
        run_wall_ns=contrast(new, base, lambda run: run.run_wall_ns),
        phases=tuple(PhaseDifference(phase, _contrast_phase(new, base, phase)) for phase in phases),
    )


def _contrast_phase(new: Sequence[RunSummary], base: Sequence[RunSummary], phase: str) -> Difference:
    return contrast(new, base, lambda run: phase_mean(run, phase))


def comparison(runs: Sequence[RunSummary]) -> Comparison:
    """What recording adds per frame, and what each step adds to the one before it.

    The steps are: no renderer, pictures made and dropped, everything; there are none where no run of mode capture
    completed.
    """
    by_mode = {mode: usable(runs, mode) for mode in ("none", "capture", "record")}
    missing = tuple(mode for mode in ("record", "none") if not by_mode[mode])
    ladder = [mode for mode, group in by_mode.items() if group]
    steps = pairwise(ladder) if "capture" in ladder else ()
    return Comparison(
        None if missing else contrast_runs(by_mode["record"], by_mode["none"]),
        missing,
        bool(runs) and all(run.mode in (CUSTOM, PROFILER_ONLY) for run in runs),
        tuple(contrast_runs(by_mode[new], by_mode[base]) for base, new in steps),
    )


def same_states(runs: Iterable[RunSummary]) -> bool | None:
    """Whether all completed runs ended in the same simulation state; None if fewer than two say."""
    digests = [run.workload.state_sha256 for run in runs if run.completed and run.workload.state_sha256]
    return None if len(digests) < 2 else len(set(digests)) == 1


def gate(found: Contrast, limit: float) -> list[Judged]:
    """Whether the frame, without and with the drain, got slower by more than ``limit``, a fraction of the base.

    It did where the whole 95 % interval lies above the limit, it did not where none of it does. Else, or where
    a side has one run and so no interval, that is not known.
    """
    return [_judged(found.frame_ns, False, limit), _judged(found.frame_with_drain_ns, True, limit)]


def _judged(entry: Difference, with_drain: bool, limit: float) -> Judged:
    change, lo, hi = (
        value / entry.base if entry.base and value is not None else None
        for value in (entry.difference, entry.lo, entry.hi)
    )
    slower = None if lo is None or hi is None or lo <= limit < hi else lo > limit
    return Judged(with_drain, slower, change, lo, hi)
