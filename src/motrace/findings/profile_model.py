"""What profilers saw of a run, and what profile files supplied by the user show: parts of the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..vocabulary import EvidenceKind


@dataclass(frozen=True)
class GpuPhase:
    """GPU operations launched in a phase, and GPU time that ran while the loop thread was in it, ns."""

    phase: str
    operations: int
    launched_ns: int
    ran_ns: int


@dataclass(frozen=True)
class GpuPerFrame:
    """Means over frames, warm-up left out. ``serialisation``: 1 if CPU and GPU took turns, 0 if they overlapped."""

    frames: int
    busy_mean_ns: float | None
    wait_mean_ns: float | None
    gap_mean_ns: float | None
    serialisation_mean: float | None


@dataclass(frozen=True)
class CallSum:
    """Calls of one function by threads of one role in a phase. ``waits_on``: what it waits for, None if nothing."""

    phase: str
    role: str
    api: str
    name: str
    waits_on: str | None
    calls: int
    total_ns: int


@dataclass(frozen=True)
class SampleCount:
    """Samples of the loop thread's stacks of one class in a phase."""

    phase: str
    kind: str
    samples: int


@dataclass(frozen=True)
class Sensor:
    """A GPU's sensor over the frames."""

    device: int
    metric: str
    unit: str
    mean: float
    std: float
    least: float
    most: float


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
class EventCount:
    """Rows of an event table."""

    table: str
    rows: int


@dataclass(frozen=True)
class TraceSummary:
    """What profilers and samplers recorded of a run. ``error_ns`` is that of the worst aligned clock."""

    events: tuple[EventCount, ...]
    covered_ns: int
    error_ns: int
    evidence: tuple[EvidenceKind, ...]
    samples: tuple[SampleCount, ...]
    gpu_sensors: tuple[Sensor, ...]
    lines: tuple[LineHint, ...]
    gpu_phases: tuple[GpuPhase, ...]
    gpu_per_frame: GpuPerFrame | None
    waits: tuple[CallSum, ...]
    renderer_calls: tuple[CallSum, ...]


@dataclass(frozen=True)
class NamedTime:
    """Time by name: of a range, an operation, a call; ``count`` times."""

    name: str
    count: int
    total_ns: int


@dataclass(frozen=True)
class HotSpot:
    """A line or function, with the time of the samples in it."""

    name: str
    seconds: float
    share: float


@dataclass(frozen=True)
class ThreadSamples:
    """Samples of a thread; ids are None where the file has none."""

    pid: int | None
    tid: int | None
    name: str | None
    samples: int
    share: float


@dataclass(frozen=True)
class ClassShare:
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
    seconds: float
    threads: tuple[ThreadSamples, ...]
    classes: tuple[ClassShare, ...]
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
    """What a trace of torch.profiler or of VizTracer shows, by name, those of most time first."""

    ranges: tuple[NamedTime, ...]
    gpu_work: tuple[NamedTime, ...]
    calls: tuple[NamedTime, ...]
    operators: tuple[NamedTime, ...]


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

    One of ``stacks``, ``lines`` and ``events`` is there.
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
    aligned_by: str | None = None
    error_ns: int | None = None
