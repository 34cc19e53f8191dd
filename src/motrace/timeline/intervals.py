"""Interval algebra: sets of moments as sorted, disjoint, half-open intervals.

Everything is a sort or a sweep, O(n log n) in the number of intervals. How much of a set lies in
each of many windows is a difference of its cumulative length, so no interval is ever joined with a
window: ten million events and a thousand frames cost a sort and a thousand lookups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..arrays import Array


@dataclass(frozen=True)
class Intervals:
    """A set of moments: [start_ns[i], end_ns[i]), int64, sorted, disjoint and not touching."""

    start_ns: Array
    end_ns: Array

    def __post_init__(self) -> None:
        if len(self.start_ns) != len(self.end_ns):
            raise ValueError(f"{len(self.start_ns)} begins, {len(self.end_ns)} ends")

    def __len__(self) -> int:
        return len(self.start_ns)

    @classmethod
    def nothing(cls) -> Intervals:
        """The empty set."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def union(cls, start_ns: Array, end_ns: Array) -> Intervals:
        """All moments in at least one of [start_ns[i], end_ns[i]), which may overlap, in any order."""
        real = end_ns > start_ns
        start, end = np.asarray(start_ns)[real], np.asarray(end_ns)[real]
        if not len(start):
            return cls.nothing()
        if (start[1:] < start[:-1]).any():
            order = np.argsort(start, kind="stable")
            start, end = start[order], end[order]
        reach = np.maximum.accumulate(end)
        first = np.concatenate(([True], start[1:] > reach[:-1]))
        last = np.concatenate((first[1:], [True]))
        return cls(start[first].astype(np.int64), reach[last].astype(np.int64))

    @property
    def total_ns(self) -> int:
        """Its length."""
        return int((self.end_ns - self.start_ns).sum())

    def __or__(self, other: Intervals) -> Intervals:
        if not len(self) or not len(other):
            return other if not len(self) else self
        return Intervals.union(
            np.concatenate((self.start_ns, other.start_ns)), np.concatenate((self.end_ns, other.end_ns))
        )

    def __and__(self, other: Intervals) -> Intervals:
        """Moments in both."""
        return self._covered(other, 2)

    def __sub__(self, other: Intervals) -> Intervals:
        """Moments in this one and not in the other."""
        if not len(self) or not len(other):
            return self
        return self & other.gaps(int(self.start_ns[0]), int(self.end_ns[-1]))

    def _covered(self, other: Intervals, depth: int) -> Intervals:
        """Moments covered by ``depth`` of the two."""
        if not len(self) or not len(other):
            return Intervals.nothing()
        edges = np.concatenate((self.start_ns, other.start_ns, self.end_ns, other.end_ns))
        count = len(self) + len(other)
        steps = np.concatenate((np.ones(count, np.int8), -np.ones(count, np.int8)))
        order = np.argsort(edges, kind="stable")
        edges, level = edges[order], np.cumsum(steps[order], dtype=np.int32)
        inside = np.flatnonzero((level[:-1] >= depth) & (edges[1:] > edges[:-1]))
        return Intervals.union(edges[inside], edges[inside + 1])

    def gaps(self, start_ns: int, end_ns: int) -> Intervals:
        """The moments of [start_ns, end_ns) that are not in it."""
        start = np.concatenate(([start_ns], np.clip(self.end_ns, start_ns, end_ns)))
        end = np.concatenate((np.clip(self.start_ns, start_ns, end_ns), [end_ns]))
        real = end > start
        return Intervals(start[real].astype(np.int64), end[real].astype(np.int64))

    def clip(self, start_ns: int, end_ns: int) -> Intervals:
        """The part of it inside [start_ns, end_ns)."""
        start, end = np.maximum(self.start_ns, start_ns), np.minimum(self.end_ns, end_ns)
        real = end > start
        return Intervals(start[real], end[real])

    def before(self, times_ns: Array) -> Array:
        """How much of it lies before each time, int64 ns: its cumulative length."""
        if not len(self):
            return np.zeros(len(times_ns), np.int64)
        lengths = np.concatenate(([0], np.cumsum(self.end_ns - self.start_ns)))
        index = np.searchsorted(self.start_ns, times_ns, side="right")
        inside = np.minimum(times_ns, self.end_ns[np.maximum(index - 1, 0)]) - self.start_ns[np.maximum(index - 1, 0)]
        return np.asarray(np.where(index > 0, lengths[np.maximum(index - 1, 0)] + inside, 0), np.int64)

    def within(self, start_ns: Array, end_ns: Array) -> Array:
        """How much of it lies in each window [start_ns[i], end_ns[i]), int64 ns."""
        return np.asarray(self.before(end_ns) - self.before(start_ns), np.int64)

    def self_check(self) -> None:
        """Raise ValueError unless it is sorted, disjoint and without empty parts."""
        if (self.end_ns <= self.start_ns).any() or (self.start_ns[1:] <= self.end_ns[:-1]).any():
            raise ValueError("intervals are empty, touch, overlap, or are out of order")


def any_of(sets: Iterable[Intervals]) -> Intervals:
    """Moments in at least one of several sets."""
    parts = [part for part in sets if len(part)]
    if not parts:
        return Intervals.nothing()
    if len(parts) == 1:
        return parts[0]
    return Intervals.union(
        np.concatenate([part.start_ns for part in parts]), np.concatenate([part.end_ns for part in parts])
    )
