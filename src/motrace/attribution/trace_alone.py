"""Waiting time of a thread that only a trace of calls and GPU work shows: what its own calls say it waited for.

A call that waits for the GPU waits for its own process's GPU and for nothing else. A sleep is a sleep. In any other
wait any thread or process may have worked, and none is seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import Array
from ..timeline.intervals import Intervals, any_of
from ..vocabulary import ROLE_CAUSES
from .cpu_clock_bounds import States, Usage
from .interval_evidence import Evidence
from .pieces import Pieces
from .split_by_bounds import whole_ns

Found = list[tuple[str, Intervals | None]]
UNSEEN = ("raster", "renderer_both", "renderer_cpu_only", "idle", "io", *dict.fromkeys(ROLE_CAUSES.values()))
"""What any wait may have been for that does not say so."""


def split_alone(
    evidence: Evidence, pieces: Pieces, states: States, owns_waits: bool, rows: Array
) -> dict[str, tuple[Array, ...]]:
    """Exclusive causes of blocked time in the pieces ``rows``: (ns, lo_ns, hi_ns) each."""
    start, end, error = pieces.start_ns[rows], pieces.end_ns[rows], evidence.error_ns
    blocked = states.blocked_ns[rows].astype(float)
    zero = np.zeros(len(blocked))
    away = evidence.away or Intervals.nothing()
    said, dark = _said(evidence, owns_waits, away)
    loose = away - any_of([*said.values(), dark])
    likely = _first([*_gpu(evidence), ("pipe", evidence.often_pipes)], loose)
    middle = (start + end) // 2
    inner_start, inner_end = np.minimum(start + error, middle), np.maximum(end - error, middle)
    may_be = np.minimum(blocked, loose.within(start - error, end + error))
    unseen = np.minimum(blocked, (dark | loose).within(start - error, end + error))
    causes = {cause: Usage(zero, zero, unseen, zero) for cause in UNSEEN}
    gpu = {cause: busy & away for cause, busy in _gpu(evidence) if busy is not None}  # it is no longer than it worked
    for cause in dict.fromkeys((*likely, *said, *gpu)):
        sure, perhaps = said.get(cause, Intervals.nothing()), likely.get(cause)
        lo = np.minimum(blocked, sure.within(inner_start, inner_end))
        most = gpu.get(cause, sure).within(start - error, end + error)
        most = most + (may_be if perhaps is not None and cause not in gpu else 0)
        point = sure.within(start, end) + (0 if perhaps is None else perhaps.within(start, end))
        hi = np.minimum(blocked, np.maximum(lo, most))
        causes[cause] = Usage(lo, np.clip(point.astype(float), lo, hi), hi, lo)
    rest = (dark | (loose - any_of(likely.values()))).within(start, end).astype(float)
    causes["unexplained"] = Usage(zero, np.minimum(rest, unseen), unseen, zero)
    return whole_ns(causes, states.blocked_ns[rows])


def waits_where_it_asks(evidence: Evidence) -> Evidence:
    """A thread that waits for the GPU waits, whether it sleeps or spins on its core."""
    off = evidence.off_core
    return replace(evidence, alone=True, off_core=None if off is None else off | evidence.gpu_calls)


def outside_calls(evidence: Evidence, pieces: Pieces, states: States) -> tuple[Array, dict[str, Array]]:
    """Of time outside waiting calls: for how long the loop thread most likely ran, and what the GPU did if it didn't.

    Where waits in the OS are seen too the thread ran. Else it may have slept: what shows that it ran are calls that
    don't wait, while its GPU did nothing; where the GPU worked, that is what takes the time whatever the thread did.
    """
    if evidence.worked is None:
        return states.running_ns, {}
    start, end = pieces.start_ns, pieces.end_ns
    left = Intervals.nothing().gaps(int(start[0]), int(end[-1])) - (evidence.off_core or Intervals.nothing())
    works = _first(_gpu(evidence), left)
    found = {cause: when.within(start, end) for cause, when in works.items()}
    ran = (evidence.worked & left) - any_of(works.values())
    return ran.within(start, end), found


def _gpu(evidence: Evidence) -> Found:
    return [("gpu_only", evidence.graphics), ("cuda", evidence.cuda), ("gpu_copies", evidence.copies)]


def _said(evidence: Evidence, owns_waits: bool, away: Intervals) -> tuple[dict[str, Intervals], Intervals]:
    """Waits whose calls say what for, by cause; and waits for a GPU that did nothing meanwhile."""
    asked = evidence.gpu_calls & away
    drawn = evidence.vulkan_calls & away
    said = _first([("gpu_only", evidence.graphics)], drawn)
    said |= _first([("cuda", evidence.cuda), ("gpu_copies", evidence.copies)], asked - drawn)
    dark = asked - any_of(said.values())
    own: Found = [(cause, found) for cause, found in sorted(evidence.waits.items()) if not owns_waits or cause == "gil"]
    return {**said, **_first(own, away - asked)}, dark


def _first(found: Found, left: Intervals) -> dict[str, Intervals]:
    """Of each what those before it left."""
    sets: dict[str, Intervals] = {}
    for cause, when in found:
        if when is not None and len(when):
            sets[cause] = when & left
            left = left - when
    return sets
