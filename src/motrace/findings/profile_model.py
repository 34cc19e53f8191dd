"""What profilers saw of a run: a part of the report."""

from __future__ import annotations

from dataclasses import dataclass

from ..dataset.profiles import LineHint, NamedTime, UserProfile
from ..vocabulary import EvidenceKind, Tool

__all__ = ["LineHint", "UserProfile"]


@dataclass(frozen=True)
class GpuPhase:
    """GPU operations launched in a phase, and GPU time that ran while the loop thread was in it, ns."""

    phase: str
    operations: int
    launched_ns: int
    ran_ns: int


@dataclass(frozen=True)
class CopyFlow:
    """Copies of one direction: how many, when at least one of them ran, and bytes."""

    name: str
    operations: int
    ns: int
    bytes: int


@dataclass(frozen=True)
class GpuCover:
    """For how much of a run a device computed and copied; times of one kind that overlap count once."""

    device: int
    extent_ns: int
    busy_ns: int
    kernels_ns: int
    copies_ns: int
    copies: tuple[CopyFlow, ...]


@dataclass(frozen=True)
class GpuPerFrame:
    """Means over frames, warm-up left out. ``serialisation``: 1 if CPU and GPU alternated, 0 if they overlapped."""

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
class EventCount:
    """Rows of an event table."""

    table: str
    rows: int


@dataclass(frozen=True)
class TraceSummary:
    """What profilers and samplers recorded of a run. ``error_ns`` is that of the worst aligned clock."""

    events: tuple[EventCount, ...]
    tools: tuple[Tool, ...]
    covered_ns: int
    error_ns: int
    evidence: tuple[EvidenceKind, ...]
    samples: tuple[SampleCount, ...]
    gpu_sensors: tuple[Sensor, ...]
    lines: tuple[LineHint, ...]
    gpu_phases: tuple[GpuPhase, ...]
    gpu_per_frame: GpuPerFrame | None
    gpu_operations: tuple[NamedTime, ...]
    waits: tuple[CallSum, ...]
    renderer_calls: tuple[CallSum, ...]
    gpu_covers: tuple[GpuCover, ...] = ()
