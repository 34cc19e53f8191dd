"""What CPU clocks say of an interval: the loop thread's states, and bounds on everyone else's work.

Loop thread (exact): running C and runnable D are differences of its clocks between the boundaries
at the interval's ends; blocked B = W - C - D.

Anyone else's clock is read near the interval's ends, not at them. A reading of v, taken at some
moment between s0 and s1, of a worker with k threads whose clock may lag by l, bounds the CPU time
T(t) that it had used by the time t:

    T(t) >= v - k max(0, s1 - t)
    T(t) <= v + k l + k max(0, t - s0)
    T(t) <= v                             if s0 >= t + l

Of the readings around t the best are taken, and the CPU time inside [a, b] lies between
T_lo(b) - T_hi(a) and T_hi(b) - T_lo(a). Its point estimate is the difference of the readings,
interpolated. For a thread k is 1 and l is 0; a child may have as many threads as there are cores,
and its clock lags by a timer tick at most, and not at all where none of its threads ran.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..readers.cpu import CpuLogFile, Member

_EVER, _NEVER = -(1 << 62), 1 << 62


@dataclass
class States:
    """Per interval, int64 ns: ``running + runnable + blocked == wall`` where ``known``, else all 0."""

    wall_ns: Array
    running_ns: Array
    runnable_ns: Array
    blocked_ns: Array
    known: Array

    def rows(self, rows: Array) -> States:
        """The same for some of the intervals."""
        columns = (self.wall_ns, self.running_ns, self.runnable_ns, self.blocked_ns, self.known)
        return States(*(column[rows] for column in columns))


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

    ``born_ns`` is when the process was started, if the launcher noted it: both clocks were 0 then.
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
    lowest_a, highest_a = _used_by(start_ns, member, cores, lag_ns)
    lowest_b, highest_b = _used_by(end_ns, member, cores, lag_ns)
    hi = np.clip(highest_b - lowest_a, 0.0, cores * wall)
    lo = np.clip(lowest_b - highest_a, 0.0, hi)

    middles = (member.begin_ns + member.end_ns) / 2.0
    est = np.interp(end_ns, middles, member.cpu_ns) - np.interp(start_ns, middles, member.cpu_ns)
    return Usage(lo, np.clip(est, lo, hi), hi, lo)


def held_at_most(member: Member, used: Usage, start_ns: Array, end_ns: Array) -> Array:
    """For how long a thread may have held the interpreter's lock at most, ns: it ran, or waited for a core meanwhile.

    When the loop thread reads the run delays it holds the lock itself, so that no such wait goes on. Infinite where a
    thread ran and its run delay is not known.
    """
    begins, ends, values = member.delays.T
    after = np.searchsorted(begins, end_ns)
    most = np.full(len(start_ns), np.inf)
    for behind in (1, 0):  # the last reading before the interval, or the first one in it and all of the time before
        before = np.searchsorted(ends, start_ns, side="right") - behind
        rows = np.flatnonzero((before >= 0) & (before < len(ends)) & (after < len(ends)))
        early, late = before[rows], after[rows]
        waited = values[late] - values[early] + np.maximum(0, ends[early] - start_ns[rows])
        most[rows] = np.minimum(most[rows], np.where(early <= late, waited, np.inf))
    return np.where(used.hi_ns > 0, used.hi_ns + most, 0.0)


def _used_by(times: Array, member: Member, cores: int, lag_ns: int) -> tuple[Array, Array]:
    """Bounds on the CPU time that a member had used by each time; see the module's formulas."""
    # One more reading at each end: nothing had been used ever before, anything may be ever after.
    begins = np.concatenate(([_EVER], member.begin_ns, [_NEVER]))
    ends = np.concatenate(([_EVER], member.end_ns, [_NEVER]))
    values = np.concatenate(([0.0], member.cpu_ns, [float(_NEVER)]))
    exact = np.flatnonzero(np.concatenate(([True], member.exact, [True])))
    lags = np.full(len(values), lag_ns)
    lags[exact] = 0
    last = len(values) - 1
    before = np.searchsorted(ends, times, side="right") - 1
    around = np.minimum(before + 1, last)
    after = np.searchsorted(begins, times)
    exact_after = np.searchsorted(begins[exact], times)
    exact_before = exact[np.maximum(exact_after - 1, 0)]
    lowest = np.zeros(len(times))
    highest = np.minimum(values[np.searchsorted(begins, times + lag_ns)], values[exact[exact_after]])
    for reading in (before, around, after, exact_before):
        late = cores * np.maximum(0, ends[reading] - times).astype(float)
        lowest = np.where(reading < last, np.maximum(lowest, values[reading] - late), lowest)
        early = cores * (lags[reading] + np.maximum(0, times - begins[reading])).astype(float)
        highest = np.where(reading > 0, np.minimum(highest, values[reading] + early), highest)
    return lowest, highest


def role_busy(usages: list[Usage], cores_of: list[int], wall: Array, cores: int, overlap: float) -> Usage:
    """How long at least one of several members worked: bounds on the union of their busy times.

    The union is at least the longest of them, and at least their sum spread over all cores; at
    most their sum. Its estimate is that of ``union_fraction``.
    """
    wall = wall.astype(float)
    if not usages:
        return Usage.nothing(len(wall))
    total_lo = sum((used.lo_ns for used in usages), np.zeros(len(wall)))
    total_hi = sum((used.hi_ns for used in usages), np.zeros(len(wall)))
    longest = np.max([used.lo_ns / many for used, many in zip(usages, cores_of)], axis=0)
    lo = np.minimum(wall, np.maximum(longest, total_lo / cores))
    hi = np.minimum(wall, total_hi)
    worked = union_fraction([np.clip(used.est_ns / np.maximum(wall, 1.0), 0.0, 1.0) for used in usages], overlap)
    return Usage(lo, np.clip(wall * worked, lo, hi), hi, total_lo)


def union_fraction(fractions: list[Array], overlap: float) -> Array:
    """Estimated fraction of the time in which at least one of some workers worked.

    Workers of a pipeline hand work to each other: with an ``overlap`` of 0 they take turns, and their union is
    their sum; with 1 they are independent, and it is 1 - prod(1 - f).
    """
    idle = np.prod([1.0 - fraction for fraction in fractions], axis=0)
    turns = np.minimum(1.0, np.sum(fractions, axis=0))
    return np.asarray((1.0 - overlap) * turns + overlap * (1.0 - idle))
