"""Drawings of a report, described by their marks; each renderer draws them in its way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A value of 1 with its bounds; None where it would be a guess."""

    label: str
    value: float | None
    lo: float
    hi: float


@dataclass(frozen=True)
class Bars:
    """Shares with bounds, a bar each."""

    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Slice:
    """A part of a stack: which series it belongs to, how large it is, and what to say of it."""

    series: str
    value: float
    text: str


@dataclass(frozen=True)
class Stack:
    """Parts on top of each other. ``pale``: it does not count."""

    label: str
    parts: tuple[Slice, ...]
    pale: bool = False

    @property
    def total(self) -> float:
        """The sum of its parts."""
        return sum(part.value for part in self.parts)


@dataclass(frozen=True)
class Strips:
    """Wholes that are divided, each drawn at full width."""

    stacks: tuple[Stack, ...]


@dataclass(frozen=True)
class Columns:
    """Stacks side by side on one scale; ``top`` is its upper end."""

    stacks: tuple[Stack, ...]
    top: float


@dataclass(frozen=True)
class Dot:
    """A measured point and what to say of it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Curve:
    """Measured points, and the places of the line that was fitted through them."""

    label: str
    points: tuple[Dot, ...]
    line: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curves:
    """Curves on two logarithmic axes; ``x_ticks`` and ``y_ticks`` are values and their texts."""

    curves: tuple[Curve, ...]
    x_label: str
    y_label: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


Marks = Bars | Strips | Columns | Curves


@dataclass(frozen=True)
class Figure:
    """A drawing, described by its marks."""

    title: str
    marks: Marks
