"""What a report says of one run, and of the runs of one mode under the same profilers taken together (a pool)."""

from __future__ import annotations

from dataclasses import dataclass

from ..cautions import Caution
from ..dataset.facts import Adapter, Resources, Video, WorkloadFacts
from ..statistics.intervals import Distribution
from ..vocabulary import EvidenceKind
from .profile_model import TraceSummary
from .values import (
    BucketTime,
    CauseTime,
    EpisodeStatistics,
    PhaseTime,
    PoolKey,
    RecorderOverhead,
    SegmentPhase,
    SegmentTime,
    Spread,
    Worker,
    check,
)


@dataclass(frozen=True)
class RunSummary:
    """One run. ``recording`` is loop and drain. ``profilers`` are those that disturb, ``collectors`` all.

    ``profiler_failed``: one of them recorded nothing. ``profiler_attached``: the user attached one.
    """

    run_id: str
    mode: str
    profilers: tuple[str, ...]
    collectors: tuple[str, ...]
    rates_hz: dict[str, float]
    profiler_failed: bool
    profiler_attached: bool
    status: str
    status_reason: str | None
    frames: int
    frames_asked: int | None
    warmup_frames: int
    run_wall_ns: int
    loop_wall_ns: int
    recording_wall_ns: int
    segments: tuple[SegmentTime, ...]
    loop_fps: float | None
    effective_fps: float | None
    first_frame_ns: int | None
    start_utc: str | None
    end_utc: str | None
    frame: Distribution
    phases: tuple[PhaseTime, ...]
    segment_phases: tuple[SegmentPhase, ...]
    buckets: tuple[BucketTime, ...]
    causes: tuple[CauseTime, ...]
    residual_ns: int
    unexplained_ns: int
    recorder: RecorderOverhead
    adapter: Adapter | None
    adapter_unknown: str | None
    video: Video | None
    video_unknown: str | None
    workload: WorkloadFacts
    resources: Resources | None
    workers: tuple[Worker, ...]
    trace: TraceSummary | None
    episodes: EpisodeStatistics | None
    warnings: tuple[Caution, ...]

    def __post_init__(self) -> None:
        total = sum(one.wall_ns for one in self.segments)
        check([(total == self.run_wall_ns, f"{self.run_id}: segments add up to {total}, not {self.run_wall_ns} ns")])

    @property
    def key(self) -> PoolKey:
        """The pool it belongs to."""
        return PoolKey(self.mode, self.profilers)

    @property
    def software(self) -> bool:
        """Whether its renderer drew on the CPU: as its adapter says, else as its threads show."""
        return self.software_name is not None

    @property
    def software_name(self) -> str | None:
        """What drew on the CPU; None where nothing did."""
        if self.adapter is not None:
            return self.adapter.name if self.adapter.is_software else None
        return "a software rasterizer" if any(one.cause == "raster" and one.time.ns for one in self.causes) else None

    @property
    def disturbed(self) -> bool:
        """Whether a profiler disturbed it: a pass of ours, or one that the user attached."""
        return bool(self.profilers) or self.profiler_attached

    @property
    def completed(self) -> bool:
        """Whether it came to its own end."""
        return self.status == "completed"

    def phase(self, name: str) -> PhaseTime | None:
        """A phase by its name."""
        return next((one for one in self.phases if one.phase == name), None)

    def segment_ns(self, name: str) -> int:
        """Wall time of a segment; 0 where the run has it not."""
        return sum(one.wall_ns for one in self.segments if one.segment == name)


@dataclass(frozen=True)
class Composition:
    """The unprofiled runs' time, shared among causes as ``runs`` (profiled) saw it, inside the unprofiled bounds."""

    runs: tuple[str, ...]
    evidence: tuple[EvidenceKind, ...]
    causes: tuple[CauseTime, ...]
    buckets: tuple[BucketTime, ...]

    def bucket(self, name: str) -> BucketTime:
        """A bucket by its id."""
        return next(one for one in self.buckets if one.bucket == name)


@dataclass(frozen=True)
class Runtime:
    """Spreads over frames (s), over runs (start-up, resources), and of the first GPU's sensors."""

    frame_s: Spread | None
    frames_per_s: Spread | None
    step_s: Spread | None
    steps_per_s: Spread | None
    imports_s: Spread | None
    environment_s: Spread | None
    renderer_s: Spread | None
    first_frame_s: Spread | None
    cpu_pct: Spread | None
    ram_bytes: Spread | None
    gpu_utilisation_pct: Spread | None
    gpu_memory_bytes: Spread | None


@dataclass(frozen=True)
class Pool:
    """The completed runs of one mode under the same profilers (all of its runs where none completed).

    Frames are pooled, times summed; ``segments_mean`` and ``run_wall_mean_ns`` are per run. Runs do not depend on each
    other, so their bounds add up. Bounds of ``buckets`` are narrower than sums of ``causes``: they were made frame by
    frame, where what all other buckets leave of the exact wall time bounds a bucket, too.
    """

    key: PoolKey
    runs: tuple[str, ...]
    frames: int
    loop_wall_ns: int
    recording_wall_ns: int
    run_wall_mean_ns: int
    loop_fps: float | None
    effective_fps: float | None
    segments: tuple[SegmentTime, ...]
    segments_mean: tuple[SegmentTime, ...]
    frame: Distribution
    frame_share: float
    phases: tuple[PhaseTime, ...]
    segment_phases: tuple[SegmentPhase, ...]
    buckets: tuple[BucketTime, ...]
    causes: tuple[CauseTime, ...]
    evidence: tuple[EvidenceKind, ...]
    workers: tuple[Worker, ...]
    composed: Composition | None
    episodes: EpisodeStatistics | None
    runtime: Runtime
    software_adapter: bool
    profiler_only: bool

    def bucket(self, name: str) -> BucketTime:
        """A bucket by its id."""
        return next(one for one in self.buckets if one.bucket == name)

    @property
    def best(self) -> Pool | Composition:
        """Where buckets and causes are best known: the transferred composition, if there is one."""
        return self.composed or self

    def phase(self, name: str) -> PhaseTime | None:
        """A phase by its name."""
        return next((one for one in self.phases if one.phase == name), None)
