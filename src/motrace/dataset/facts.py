"""What was recorded of a run, an experiment and a machine, as typed values: run.json and experiment.json are read here.

``None`` is not known; where the reason was recorded it stands in ``unknown`` or in a field ``*_unknown``.
Fields that a file has and a class has not are passed over: newer recordings stay readable. They are made by
``typed_json.convert``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..vocabulary import RIDING_COLLECTORS
from .typed_json import JsonScalar

OptionValue = JsonScalar | list[JsonScalar] | dict[str, JsonScalar]
OptionValues = dict[str, OptionValue]
"""What a workload was asked to do; each has its own."""


@dataclass(frozen=True)
class Adapter:
    """The Vulkan adapter that the renderer chose."""

    name: str
    device_type: str = ""
    driver: str = ""
    driver_info: str = ""
    backend: str = ""

    @property
    def is_software(self) -> bool:
        """Whether it draws on the CPU."""
        return self.device_type == "Cpu"


@dataclass(frozen=True)
class Video:
    """A video as decoded after the run. ``path`` is relative to the run's folder."""

    path: str
    frames: int
    fps: float
    duration_s: float
    bytes: int
    width: int
    height: int
    blank_frames: int = 0
    distinct_frames: int = 0
    blank_first_frames: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """A policy's weights. ``path`` is relative to where they came from."""

    path: str
    sha256: str | None = None
    origin: str | None = None


@dataclass(frozen=True)
class WorkloadFacts:
    """What a workload wrote into its run's manifest. ``frames`` is how many it says that it finished."""

    frames: int | None = None
    video_frames: int | None = None
    warmup_frames: int | None = None
    blank_warmup_frames: int | None = None
    warmup_rule: str | None = None
    checkpoint: Checkpoint | None = None
    device: str | None = None
    falls: int | None = None
    state_sha256: str | None = None


@dataclass(frozen=True)
class Resources:
    """What a run used. ``others_cpu_ns`` is CPU time of processes outside it while it ran."""

    cpu_ns: int
    max_rss_bytes: int = 0
    others_cpu_ns: int = 0
    cores: int = 1

    @property
    def contention_ns(self) -> int:
        """For how long at most others held every core: at least one thread of the run was ready then, and none ran."""
        return self.others_cpu_ns // max(1, self.cores)


@dataclass(frozen=True)
class Gpu:
    """A GPU as NVML describes it."""

    name: str
    memory_bytes: int = 0
    compute_capability: str = ""
    nvenc: bool = False


@dataclass(frozen=True)
class MotrixBuild:
    """A build of motrixsim: two builds may have the same version."""

    version: str | None = None
    library_bytes: int = 0
    build_id: str | None = None


@dataclass(frozen=True)
class ProjectVersion:
    """motrace itself."""

    version: str = ""
    commit: str | None = None
    dirty: bool | None = None
    commit_unknown: str | None = None


@dataclass(frozen=True)
class ProgramEnvironment:
    """The environment of a measured program that has its own, and its command."""

    python: str | None = None
    packages: dict[str, str | None] = field(default_factory=dict)
    commits: dict[str, str | None] = field(default_factory=dict)
    motrixsim_build: MotrixBuild | None = None
    layout: str | None = None
    command: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Environment:
    """A machine and its software. ``unknown`` maps a field's name to why it is not known."""

    os: str | None = None
    kernel: str | None = None
    architecture: str | None = None
    cpu_model: str | None = None
    cpu_physical_cores: int | None = None
    cpu_logical_cores: int | None = None
    memory_bytes: int | None = None
    disk_free_bytes: int | None = None
    gpus: list[Gpu] | None = None
    gpu_driver: str | None = None
    cuda_driver: str | None = None
    python: str | None = None
    packages: dict[str, str | None] | None = None
    motrixsim_build: MotrixBuild | None = None
    motrace: ProjectVersion | None = None
    ffmpeg: str | None = None
    h264_encoder: str | None = None
    unilab: ProgramEnvironment | None = None
    program: ProgramEnvironment | None = None
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def measured(self) -> ProgramEnvironment | Environment:
        """Where the measured program ran: its own environment, or motrace's."""
        return self.unilab or self.program or self

    @property
    def gpu_names(self) -> list[str]:
        """Names of the GPUs of the machine; empty where there is none or none is known."""
        return [gpu.name for gpu in self.gpus or ()]


@dataclass(frozen=True)
class Command:
    """The command and its options. ``chosen`` holds motrace's choices and why, ``warnings`` those before the runs."""

    argv: list[str] = field(default_factory=list)
    options: OptionValues = field(default_factory=dict)
    mode: str | None = None
    repeat: int | None = None
    preset: str | None = None
    chosen: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LauncherClocks:
    """When the launcher started a run's process and saw it end, on CLOCK_MONOTONIC."""

    spawn_monotonic_ns: int | None = None
    exit_monotonic_ns: int | None = None


@dataclass(frozen=True)
class Process:
    """The process that recorded."""

    pid: int | None = None


@dataclass(frozen=True)
class Nvtx:
    """Whether NVTX ranges went anywhere: a ``dummy`` swallows them; ``missing`` if the package was not there."""

    attached: bool = False
    dummy: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Instrumented:
    """What was measured in a program from outside, and what could not be."""

    measured: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Collected:
    """What a collector says of its own work; ``rate`` is in samples per second."""

    version: str | None = None
    rate: float | None = None


@dataclass(frozen=True)
class RunManifest:
    """run.json: what a run was asked to do, how it ended, and who watched. ``run_id`` is None where it is not said.

    ``observer``: a collector disturbed it, so that it gives no times; so does ``profiler_attached``, of a profiler
    that the user ran around it.
    """

    run_id: str | None = None
    mode: str = "custom"
    status: str = "unknown"
    status_reason: str | None = None
    options: OptionValues = field(default_factory=dict)
    process: Process = Process()
    clocks: LauncherClocks = LauncherClocks()
    nvtx: Nvtx = Nvtx()
    workload: WorkloadFacts = WorkloadFacts()
    instrument: Instrumented = Instrumented()
    resources: Resources | None = None
    adapter: Adapter | None = None
    adapter_unknown: str | None = None
    video: Video | None = None
    video_unknown: str | None = None
    collectors: list[str] = field(default_factory=list)
    collect: dict[str, Collected] = field(default_factory=dict)
    observer: bool = False
    profiler_attached: bool = False
    environment: Environment = Environment()
    dropped_records: int = 0
    exit_code: int | None = None

    @property
    def profilers(self) -> tuple[str, ...]:
        """The collectors that disturbed it: runs are pooled by mode and these."""
        named = tuple(name for name in self.collectors if name not in RIDING_COLLECTORS)
        return (named or ("profiler",)) if self.observer else ()

    @property
    def frames_asked(self) -> int | None:
        """How many frames it was to make."""
        frames = self.options.get("frames")
        return frames if isinstance(frames, int) else None


@dataclass(frozen=True)
class PlannedRun:
    """A run of an experiment, as its manifest lists it."""

    run_id: str
    mode: str = "custom"
    collectors: list[str] = field(default_factory=list)
    observer: bool = False
    status: str | None = None


@dataclass(frozen=True)
class ExperimentManifest:
    """experiment.json: what was asked, where, and of which runs. ``experiment`` is its name."""

    experiment: str | None = None
    experiment_id: str | None = None
    created_utc: str | None = None
    status: str | None = None
    command: Command | None = None
    adapter: Adapter | None = None
    environment: Environment | None = None
    runs: list[PlannedRun] = field(default_factory=list)
