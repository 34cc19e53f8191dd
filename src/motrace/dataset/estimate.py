"""The one value with bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """Time of the loop thread, ns: 0 <= lo_ns <= ns <= hi_ns. Raises ValueError where that does not hold."""

    ns: int
    lo_ns: int
    hi_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.lo_ns <= self.ns <= self.hi_ns:
            raise ValueError(f"an estimate of {self.ns} ns can't lie in [{self.lo_ns}, {self.hi_ns}]")

    @classmethod
    def exactly(cls, ns: int) -> Estimate:
        """A time that is known."""
        return cls(ns, ns, ns)

    @classmethod
    def total(cls, estimates: Iterable[Estimate]) -> Estimate:
        """The sum: bounds add up too, which is right whatever the parts have to do with each other."""
        ns = lo = hi = 0
        for one in estimates:
            ns, lo, hi = ns + one.ns, lo + one.lo_ns, hi + one.hi_ns
        return cls(ns, lo, hi)

    def of(self, whole_ns: int) -> Share:
        """Its share of a wall time; zeros where that is 0. Bounds end at the wall time."""
        if not whole_ns:
            return Share(0.0, 0.0, 0.0)
        hi = max(self.ns, min(self.hi_ns, whole_ns))
        return Share(self.ns / whole_ns, self.lo_ns / whole_ns, hi / whole_ns)


@dataclass(frozen=True)
class Share:
    """A share of a wall time, of 1: 0 <= lo <= share <= hi."""

    share: float
    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not 0 <= self.lo <= self.share <= self.hi:
            raise ValueError(f"a share of {self.share} can't lie in [{self.lo}, {self.hi}]")
