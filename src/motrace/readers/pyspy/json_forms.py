"""The two formats of py-spy that are JSON: speedscope's and Chrome's. What is not used here is passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class SpeedscopeFrame:
    """A function."""

    name: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class SpeedscopeShared:
    """What the profiles share."""

    frames: list[SpeedscopeFrame]


@dataclass(frozen=True)
class SpeedscopeProfile:
    """One thread: places in the frames, from the root, and the weight of each sample."""

    type: str
    name: str
    unit: str
    samples: list[list[int]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Speedscope:
    """A speedscope file."""

    shared: SpeedscopeShared
    profiles: list[SpeedscopeProfile]
    exporter: str | None = None


@dataclass(frozen=True)
class ChromePlace:
    """Where a function is."""

    filename: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class ChromeEvent:
    """A function begins or ends."""

    ph: Literal["B", "E"]
    pid: int
    tid: int
    ts: float
    name: str = ""
    args: ChromePlace | None = None
