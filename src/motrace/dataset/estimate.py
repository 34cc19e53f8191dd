"""The one value with bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WIDE = 0.15
"""A point inside a range wider than this share of the wall time is a guess."""


@dataclass(frozen=True)
class Estimate:
    """Time of the loop thread, ns: 0 <= lo_ns <= ns <= hi_ns. Raises ValueError where that does not hold.

    ``likely_lo_ns`` to ``likely_hi_ns`` is the 95 % range of a model inside the bounds, None where there is no model.
    """

    ns: int
    lo_ns: int
    hi_ns: int
    likely_lo_ns: int | None = None
    likely_hi_ns: int | None = None

    def __post_init__(self) -> None:
        likely_lo, likely_hi = self.likely
        if not 0 <= self.lo_ns <= likely_lo <= self.ns <= likely_hi <= self.hi_ns:
            raise ValueError(f"an estimate of {self.ns} ns can't lie in [{self.lo_ns}, {self.hi_ns}]")

    @property
    def likely(self) -> tuple[int, int]:
        """The model's range; the bounds where there is no model."""
        lo, hi = self.likely_lo_ns, self.likely_hi_ns
        return self.lo_ns if lo is None else lo, self.hi_ns if hi is None else hi

    def within(self, lo_ns: int, hi_ns: int) -> Estimate:
        """The same with other bounds around ``ns``; a model's range ends at them."""
        lo, hi = min(lo_ns, self.ns), max(hi_ns, self.ns)
        if self.likely_lo_ns is None or self.likely_hi_ns is None:
            return Estimate(self.ns, lo, hi)
        return Estimate(self.ns, lo, hi, max(lo, self.likely_lo_ns), min(hi, self.likely_hi_ns))

    @classmethod
    def exactly(cls, ns: int) -> Estimate:
        """A time that is known."""
        return cls(ns, ns, ns)

    @classmethod
    def total(cls, estimates: Iterable[Estimate]) -> Estimate:
        """The sum: bounds add up too, which is right whatever the parts have to do with each other."""
        parts = list(estimates)
        ns, lo, hi = (sum(getattr(one, name) for one in parts) for name in ("ns", "lo_ns", "hi_ns"))
        if all(one.likely_lo_ns is None for one in parts):
            return cls(ns, lo, hi)
        return cls(ns, lo, hi, *(sum(ends) for ends in zip(*(one.likely for one in parts))))

    def of(self, whole_ns: int) -> Share:
        """Its share of a wall time; zeros where that is 0. Bounds end at the wall time."""
        if not whole_ns:
            return Share(0.0, 0.0, 0.0)
        hi = max(self.ns, min(self.hi_ns, whole_ns))
        return Share(self.ns / whole_ns, self.lo_ns / whole_ns, hi / whole_ns)

    def likely_of(self, whole_ns: int) -> tuple[float, float] | tuple[None, None]:
        """A model's range as shares of a wall time; None where there is no model."""
        if self.likely_lo_ns is None or not whole_ns:
            return None, None
        lo, hi = self.likely
        return lo / whole_ns, min(hi, whole_ns) / whole_ns

    def guessed(self, whole_ns: int) -> bool:
        """Whether the point is a guess: the range that it lies in is ``WIDE`` of the wall time, or more."""
        lo, hi = self.likely
        return min(hi, whole_ns) - lo > WIDE * whole_ns


@dataclass(frozen=True)
class Share:
    """A share of a wall time, of 1: 0 <= lo <= share <= hi."""

    share: float
    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not 0 <= self.lo <= self.share <= self.hi:
            raise ValueError(f"a share of {self.share} can't lie in [{self.lo}, {self.hi}]")
