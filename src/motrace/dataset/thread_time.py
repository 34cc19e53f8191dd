"""What the thread that matters did, as far as a profile shows that stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Basis(str, Enum):
    """What the shares of a thread's time rest on, the best first."""

    STACKS = "stacks"
    """Samples with native frames."""
    CALLS = "calls"
    """Every call of a function with its time."""
    OPERATORS = "operators"
    """Operators, and functions of Python where they were recorded."""
    LINES = "lines"
    """Samples of lines; what a line calls is read from its source, where that is at hand."""
    HINTS = "hints"
    """Shares of lines that are but a hint."""


@dataclass(frozen=True)
class Heaviest:
    """A line, function or operation by name, with its share of the whole; seconds where they are known."""

    name: str
    share: float
    seconds: float | None = None


@dataclass(frozen=True)
class ThreadPart:
    """A cause of the thread's time, as a share between ``lo`` and ``hi``, and what is heaviest in it."""

    cause: str
    share: float
    lo: float
    hi: float
    heaviest: tuple[Heaviest, ...]


@dataclass(frozen=True)
class ThreadTime:
    """The thread's time by cause. ``seconds`` is None where they are not known.

    ``waits_seen``: the profiler showed waiting threads too; else shares are of running time, as far as is known.
    ``started_only``: most of what was seen is the program's start.
    """

    basis: Basis
    seconds: float | None
    waits_seen: bool
    started_only: bool
    parts: tuple[ThreadPart, ...]
