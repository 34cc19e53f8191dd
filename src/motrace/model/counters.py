"""What CPU clocks say of an interval: the loop thread's states, and bounds on everyone else's work.

Loop thread (exact): running C and runnable D are differences of its clocks between the boundaries
at the interval's ends; blocked B = W - C - D.

Anyone else's clock is read near the interval's ends, not at them. With readings r(t), the CPU time
used inside [a, b] lies between

    lo = max(r(last in [a, b]) - r(first in [a, b]),
             r(first after b) - r(last before a) - cores * (time between those readings outside [a, b]))
    hi = min(cores * W, r(first after b) - r(last before a))

and its point estimate is the difference of r, interpolated. A child process has several threads
(``cores`` > 1), and its clock may lag by one timer tick per core, so for the upper end "after b"
means a tick after b, and for the lower end the earlier reading is taken a tick after a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..readers.cpu import CpuLogFile, Member

Array = np.ndarray[Any, Any]


@dataclass
class States:
    """Per interval, int64 ns: ``running + runnable + blocked == wall`` where ``known``, else all 0."""

    wall_ns: Array
    running_ns: Array
    runnable_ns: Array
    blocked_ns: Array
    known: Array


@dataclass
class Usage:
    """CPU time, or time of work, inside each interval, float64 ns.

    lo <= truth <= hi, and ``est`` lies between them. ``total_lo_ns`` is the least CPU time that
    all of the workers used together: the time in which one of them worked is at least this over
    the number of cores.
    """

    lo_ns: Array
    est_ns: Array
    hi_ns: Array
    total_lo_ns: Array

    @classmethod
    def nothing(cls, count: int) -> Usage:
        """No work in ``count`` intervals."""
        zero = np.zeros(count)
        return cls(zero, zero, zero, zero)

    def rows(self, rows: Array) -> Usage:
        """The same for some of the intervals."""
        return Usage(self.lo_ns[rows], self.est_ns[rows], self.hi_ns[rows], self.total_lo_ns[rows])


def loop_states(log: CpuLogFile | None, start_ns: Array, end_ns: Array, born_ns: int | None) -> States:
    """States of the loop thread in intervals whose ends are boundaries of its log.

    ``born_ns`` is when the process was started, if the launcher told: both clocks were 0 then.
    """
    wall = end_ns - start_ns
    zero = np.zeros(len(wall), np.int64)
    if log is None or not len(log.boundaries):
        return States(wall, zero, zero, zero, np.zeros(len(wall), bool))
    boundaries = log.boundaries
    if born_ns is not None and born_ns < boundaries[0, 0]:
        boundaries = np.vstack((np.array([[born_ns, 0, 0]]), boundaries))
    at_start, exact_start = _exact(boundaries[:, 0], start_ns)
    at_end, exact_end = _exact(boundaries[:, 0], end_ns)
    known = exact_start & exact_end
    running = np.clip(boundaries[at_end, 1] - boundaries[at_start, 1], 0, wall)
    runnable = np.clip(boundaries[at_end, 2] - boundaries[at_start, 2], 0, wall - running)
    running, runnable = np.where(known, running, 0), np.where(known, runnable, 0)
    return States(wall, running, runnable, np.where(known, wall - running - runnable, 0), known)


def _exact(times: Array, wanted: Array) -> tuple[Array, Array]:
    index = np.minimum(np.searchsorted(times, wanted), len(times) - 1)
    return index, times[index] == wanted


def usage(member: Member, start_ns: Array, end_ns: Array, cores: int, lag_ns: int) -> Usage:
    """CPU time of one thread or child inside each interval; see the module's formulas."""
    cores = cores if member.is_child else 1
    lag_ns = lag_ns if member.is_child and member.id > 0 else 0  # a reaped child's total does not lag
    wall = (end_ns - start_ns).astype(float)
    if not len(member.cpu_ns):
        return Usage.nothing(len(wall))
    begins = np.concatenate(([np.iinfo(np.int64).min], member.begin_ns))
    ends = np.concatenate(([np.iinfo(np.int64).min], member.end_ns))
    values = np.concatenate(([0], member.cpu_ns)).astype(float)
    final = len(values) - 1

    before_a = np.searchsorted(ends, start_ns, side="right") - 1
    after_b = np.minimum(np.searchsorted(begins, end_ns), final)
    after_b_lag = np.minimum(np.searchsorted(begins, end_ns + lag_ns), final)
    first_in = np.minimum(np.searchsorted(begins, start_ns + lag_ns), final)
    last_in = np.searchsorted(ends, end_ns, side="right") - 1

    hi = np.minimum(cores * wall, values[after_b_lag] - values[before_a])
    inside = np.where(last_in > first_in, values[last_in] - values[first_in], 0.0)
    outside = (
        np.maximum(ends[after_b] - end_ns, 0) + (start_ns - np.maximum(begins[before_a], start_ns - 10**12)) + lag_ns
    )
    lo = np.maximum(inside, values[after_b] - values[before_a] - cores * outside.astype(float))
    lo = np.clip(lo, 0.0, hi)

    middles = (member.begin_ns + member.end_ns) / 2.0
    est = np.interp(end_ns, middles, member.cpu_ns) - np.interp(start_ns, middles, member.cpu_ns)
    return Usage(lo, np.clip(est, lo, hi), hi, lo)


def role_busy(usages: list[Usage], cores_of: list[int], wall: Array, cores: int) -> Usage:
    """How long at least one of several members worked: bounds on the union of their busy times.

    The union is at least the longest of them, and at least their sum spread over all cores; at
    most their sum. Its estimate takes them as independent: W (1 - prod(1 - c_i / W)).
    """
    wall = wall.astype(float)
    if not usages:
        return Usage.nothing(len(wall))
    total_lo = sum((used.lo_ns for used in usages), np.zeros(len(wall)))
    total_hi = sum((used.hi_ns for used in usages), np.zeros(len(wall)))
    longest = np.max([used.lo_ns / many for used, many in zip(usages, cores_of)], axis=0)
    lo = np.minimum(wall, np.maximum(longest, total_lo / cores))
    hi = np.minimum(wall, total_hi)
    idle = np.ones(len(wall))
    safe = np.maximum(wall, 1.0)
    for used in usages:
        idle *= 1.0 - np.clip(used.est_ns / safe, 0.0, 1.0)
    return Usage(lo, np.clip(wall * (1.0 - idle), lo, hi), hi, total_lo)
