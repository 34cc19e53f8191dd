"""What a profile file supplied by the user shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ..cautions import Caution
from ..vocabulary import ClockMethod
from .thread_time import ThreadTime

MOST_TID = 1 << 22
"""Linux gives no higher id to a process or thread."""


@dataclass(frozen=True)
class LineHint:
    """A line in which Scalene saw much: a hint where to look, not evidence. Percent of the elapsed time."""

    file: str
    line: int
    python_pct: float
    native_pct: float
    system_pct: float
    copy_mb_s: float
    peak_mb: float


@dataclass(frozen=True)
class NamedTime:
    """Time by name: of a range, an operation, a call; ``count`` times."""

    name: str
    count: int
    total_ns: int


@dataclass(frozen=True)
class HotSpot:
    """A line or function, with the time of the samples in it, if that is known."""

    name: str
    seconds: float | None
    share: float


@dataclass(frozen=True)
class SampledThread:
    """Samples of a thread; ids are None where the file has none, a ``tid`` above MOST_TID is a handle."""

    pid: int | None
    tid: int | None
    name: str | None
    samples: int
    share: float


@dataclass(frozen=True)
class ProfileClass:
    """A class of samples with Wilson's 95 % interval; None where the file holds times, not samples."""

    kind: str
    samples: int | None
    share: float
    lo: float | None
    hi: float | None


@dataclass(frozen=True)
class StackProfile:
    """What a file of stack samples (py-spy) shows."""

    native: bool
    samples: int
    seconds: float | None
    threads: tuple[SampledThread, ...]
    classes: tuple[ProfileClass, ...]
    lines: tuple[HotSpot, ...]
    functions: tuple[HotSpot, ...]


@dataclass(frozen=True)
class LineProfile:
    """What a file of Scalene shows."""

    seconds: float | None
    lines_seen: int
    lines: tuple[LineHint, ...]


@dataclass(frozen=True)
class EventProfile:
    """What a trace of torch.profiler shows, by name, those of most time first.

    ``gpu_ranges`` are the annotations again, each from its first operation on the GPU to its last.
    """

    ranges: tuple[NamedTime, ...]
    gpu_ranges: tuple[NamedTime, ...]
    gpu_work: tuple[NamedTime, ...]
    calls: tuple[NamedTime, ...]
    operators: tuple[NamedTime, ...]


@dataclass(frozen=True)
class FunctionProfile:
    """What a trace of every call (VizTracer) shows: functions by the time that they took themselves.

    ``forgot``: its buffer was full, so that the first calls are lost.
    """

    calls: int
    forgot: bool
    own_time: tuple[NamedTime, ...]


class ProfileTimes(str, Enum):
    """What the times of a profile file are."""

    ORDERED = "ordered"
    """Not known: samples are in order, each stands for one over the rate."""
    FROM_START = "from_start"
    """From the profiler's start, which is not known; a stack lasts until the next that differs."""
    COUNTED = "counted"
    """Not known: samples are only counted, at an assumed rate of 100 per second."""
    LINE_SHARES = "line_shares"
    """Shares of the elapsed time by line."""
    UNALIGNED = "unaligned"
    """Nothing ties its clock to the run's."""
    ALIGNED = "aligned"
    """On the run's clock (``UserProfile.aligned_by``, ``UserProfile.error_ns``)."""
    OWN_CLOCK = "own_clock"
    """The trace's own clock, from its first event."""


@dataclass(frozen=True)
class UserProfile:
    """A profile file supplied by the user. ``run`` is the run that it belongs to, ``joined_by`` how that is known.

    One of ``stacks``, ``lines``, ``events`` and ``functions`` is there.
    ``thread``: of a file that stands alone, the time of the thread that matters.
    """

    file: str
    tool: str
    format: str
    run: str | None
    joined_by: str | None
    times: ProfileTimes
    stacks: StackProfile | None = None
    lines: LineProfile | None = None
    events: EventProfile | None = None
    functions: FunctionProfile | None = None
    thread: ThreadTime | None = None
    warnings: tuple[Caution, ...] = ()
    aligned_by: ClockMethod | None = None
    error_ns: int | None = None

    def aligned(self, method: ClockMethod, error_ns: int) -> UserProfile:
        """The same, its times on the run's clock."""
        return replace(self, times=ProfileTimes.ALIGNED, aligned_by=method, error_ns=error_ns)
