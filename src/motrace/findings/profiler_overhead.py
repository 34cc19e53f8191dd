"""What profilers cost: their runs against the unprofiled runs of the same mode, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..statistics.intervals import difference, single_against
from .codes import Use
from .compare import per_frame, phase_mean, usable
from .model import ProfilerOverhead
from .run_model import RunSummary

FLAG_ABOVE, REFUSE_ABOVE = 0.05, 0.30
SMALL_NS = 50_000
"""A phase that takes less per frame is not judged: a ratio of noise says nothing."""


def profiler_overhead(runs: Sequence[RunSummary]) -> tuple[ProfilerOverhead, ...]:
    """For each set of profilers and phase: mean time per frame against the unprofiled runs, and what may be used.

    There is no interval with one unprofiled run. A profiler has one pass, which is taken to scatter as the unprofiled
    runs do. ``use`` is by the mean: flagged above 5 %, slower or faster, refused above 30 %.
    """
    rows: list[ProfilerOverhead] = []
    profiled = [run for run in runs if run.profilers and run.completed and run.frames and not run.profiler_failed]
    for key in sorted({run.key for run in profiled}, key=lambda key: (key.mode, key.profilers)):
        mine, unprofiled = [run for run in profiled if run.key == key], usable(runs, key.mode)
        if not unprofiled:
            continue
        for phase in (None, *(one.phase for one in mine[0].phases)):
            news, bases = (np.array([_mean(run, phase) for run in group], float) for group in (mine, unprofiled))
            base = float(bases.mean())
            if base < SMALL_NS:
                continue
            interval = difference(news, bases) if len(news) > 1 else single_against(float(news[0]), bases)
            change = interval.mean / base
            lo, hi = (None if bound is None else bound / base for bound in (interval.lo, interval.hi))
            rows.append(
                ProfilerOverhead(
                    key, phase, base, float(news.mean()), change, lo, hi, use_of(change), _usable_rate(mine, change)
                )
            )
    return tuple(rows)


def use_of(change: float) -> Use:
    """What may be used of a phase that took so much longer (of 1) under a profiler.

    One that took much less time was not the same work either: the unprofiled run suffered from contention.
    """
    return Use.REFUSED if abs(change) > REFUSE_ABOVE else Use.FLAGGED if abs(change) > FLAG_ABOVE else Use.YES


def _usable_rate(runs: Sequence[RunSummary], change: float) -> int | None:
    """Samples per second at which the cost would be what is just not refused; the cost grows with the rate.

    None if it was not refused, or there is no rate, or no rate of at least 1 is low enough.
    """
    rates = [rate for run in runs for rate in run.rates_hz.values()]
    if change <= REFUSE_ABOVE or not rates:
        return None
    return int(min(rates) * REFUSE_ABOVE / change) or None


def _mean(run: RunSummary, phase: str | None) -> float:
    return per_frame(run, run.loop_wall_ns) if phase is None else phase_mean(run, phase)
