"""How a profiler's clock lies to the run's."""

from __future__ import annotations

from dataclasses import dataclass

from ..vocabulary import ClockMethod


@dataclass(frozen=True)
class ClockOffset:
    """A constant offset, found by ``method`` from so many pairs of readings."""

    offset_ns: int
    error_ns: int
    pairs: int
    method: ClockMethod
