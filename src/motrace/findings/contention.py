"""When other processes hold the cores, a run's own threads wait for one, and the run looks idle.

That takes every core: at least one of ours is ready, none runs, so others run on all of them. So it
lasted for at most the CPU time of the others over the number of cores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..dataset.estimate import Estimate
from ..dataset.times import CauseTime
from .run_model import RunSummary

STALL, SYSTEM = "renderer_stall", "system"
MUCH = 0.05
"""A share of the cores' time from which on the report says so."""


def allow_for_others(
    buckets: dict[str, Estimate], causes: Iterable[CauseTime], others_ns: int
) -> tuple[dict[str, Estimate], tuple[CauseTime, ...]]:
    """Wider bounds: so much of the renderer's stall may be waiting for a core, which is the system's."""
    stall, system = buckets[STALL], buckets[SYSTEM]
    wall = sum(bucket.ns for bucket in buckets.values())
    widened = {
        STALL: _less_sure(stall, others_ns),
        SYSTEM: system.within(system.lo_ns, min(system.hi_ns + min(others_ns, stall.hi_ns), wall)),
    }
    return {**buckets, **widened}, tuple(
        replace(one, time=_less_sure(one.time, others_ns)) if one.bucket == STALL else one for one in causes
    )


def _less_sure(time: Estimate, by_ns: int) -> Estimate:
    return time.within(max(0, time.lo_ns - by_ns), time.hi_ns)


def contention_share(run: RunSummary) -> float:
    """Share of the run's cores that others used while it ran."""
    return run.resources.contention_ns / run.run_wall_ns if run.resources is not None and run.run_wall_ns else 0.0
