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
from ..cautions import Caution, CautionCode, caution
from ..statistics.intervals import difference, mean_interval
from ..vocabulary import RECORDING_SEGMENTS
from .model import Comparison, Contrast, PhaseDifference, Rung
from .run_model import RunSummary
from .values import Difference

CUSTOM = "custom"
WITHOUT_EXPERIMENT = {CUSTOM, PROFILER_ONLY}
"""Modes of what no command of ours recorded: nothing says what was asked for."""
PAIRS = 3
"""Pairs of runs from which on a paired interval is not wider than Welch's for want of degrees of freedom."""
SMALL = 0.01
"""Share of a frame below which a difference is not worth a warning."""


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
    new: Sequence[RunSummary],
    base: Sequence[RunSummary],
    quantity: Callable[[RunSummary], float],
    alternating: bool = False,
) -> Difference:
    """Means of a quantity in two groups of runs, and their difference with its 95 % interval.

    The interval is Welch's. Runs of ``alternating`` groups were recorded one after the other: those of equal number are
    paired, which takes a drift of the machine out (paired t; Student 1908).
    """
    news, bases = (np.array([quantity(run) for run in group], float) for group in (new, base))
    paired = alternating and len(news) == len(bases) >= PAIRS
    interval = mean_interval(news - bases) if paired else difference(news, bases)
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
        tuple(_rung(by_mode[new], by_mode[base]) for base, new in steps),
    )


def _rung(new: Sequence[RunSummary], base: Sequence[RunSummary]) -> Rung:
    """What the upper mode adds in phases of its own, and what changed in the time that both modes have."""
    below = {one.phase for run in base for one in run.segment_phases if one.segment in RECORDING_SEGMENTS}
    own = {one.phase for run in new for one in run.segment_phases if one.segment in RECORDING_SEGMENTS} - below

    def own_ns(run: RunSummary) -> float:
        mine = (one for one in run.segment_phases if one.phase in own and one.segment in RECORDING_SEGMENTS)
        return per_frame(run, sum(one.self_ns for one in mine))

    added = contrast(new, base, own_ns, alternating=True)
    shared = contrast(new, base, lambda run: per_frame(run, run.recording_wall_ns) - own_ns(run), alternating=True)
    clear = shared.lo is None or shared.hi is None or not shared.lo <= 0 <= shared.hi
    much = abs(shared.difference) > max(abs(added.difference), SMALL * shared.base)
    return Rung(contrast_runs(new, base), tuple(sorted(own)), added, shared, clear and much)


def drifts(found: Comparison) -> list[Caution]:
    """A warning for each rung whose shared phases changed by more than its own phases take."""
    return [
        caution(
            CautionCode.RUNGS_DIFFER,
            new=rung.contrast.new,
            base=rung.contrast.base,
            own_ns=rung.own_ns.difference,
            shared_ns=rung.shared_ns.difference,
        )
        for rung in found.steps
        if rung.contradicted
    ]


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
