"""The report: every finding as a frozen dataclass. ``report.json`` is ``Report``, and nothing else.

Times are ns in fields named ``*_ns``, shares are of 1. ``None`` is not known, or does not apply; the field's
docstring or a field ``*_unknown`` says why. Names that a user chose (of spans, threads, files) are values, never keys.
``docs/report.schema.json`` is made from these classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..cautions import Caution, Values
from ..dataset.facts import Command, Environment
from ..dataset.thread_time import Heaviest
from ..vocabulary import ClockMethod
from .benchmark_codes import BenchmarkItem, Note
from .codes import Advice, Answer, Doubt, Meaning, Owner, Reason, SetupCode, Use, Whole
from .profile_model import GpuCover, UserProfile
from .run_model import Pool, RunSummary
from .values import BucketTime, Difference, PoolKey, check

SCHEMA_VERSION = "2.2"


@dataclass(frozen=True)
class PhaseDifference:
    """Time per frame of a phase in two groups of runs, ns."""

    phase: str
    time_ns: Difference


@dataclass(frozen=True)
class Contrast:
    """Unprofiled completed runs of ``new`` against those of ``base``: per frame, ns; ``repeats`` of each."""

    new: str
    base: str
    new_runs: int
    base_runs: int
    frame_ns: Difference
    frame_with_drain_ns: Difference
    run_wall_ns: Difference
    phases: tuple[PhaseDifference, ...]

    @property
    def has_interval(self) -> bool:
        """Whether both have at least two runs."""
        return min(self.new_runs, self.base_runs) > 1


@dataclass(frozen=True)
class Rung:
    """What a mode adds to the mode below it, per frame, ns, drain included.

    ``own_ns`` is the time in ``own_phases``, which only the upper mode has; ``shared_ns`` is all other time, which both
    have and which changes only where the runs drifted or compete. The two add up to the difference of the frames.
    ``contradicted``: ``shared_ns`` differs, and by more than the upper mode's own phases take.
    """

    contrast: Contrast
    own_phases: tuple[str, ...]
    own_ns: Difference
    shared_ns: Difference
    contradicted: bool


@dataclass(frozen=True)
class Comparison:
    """What recording adds: record against none, None where a mode is missing; ``steps`` are the modes in between."""

    record_against_none: Contrast | None
    missing_modes: tuple[str, ...]
    own_program: bool
    steps: tuple[Rung, ...]


@dataclass(frozen=True)
class ProfilerOverhead:
    """A phase (None: the frame) under profilers against the unprofiled runs of its mode, per frame.

    ``change`` is relative, ``lo`` and ``hi`` its 95 % interval. ``usable_rate_hz``: for a phase that is refused, the
    sampling rate at which it would not be.
    """

    key: PoolKey
    phase: str | None
    unprofiled_ns: float
    profiled_ns: float
    change: float
    lo: float | None
    hi: float | None
    use: Use
    usable_rate_hz: int | None


@dataclass(frozen=True)
class SetupFinding:
    """What makes numbers misleading, before any of them. ``values`` fill the sentence."""

    finding: SetupCode
    owner: Owner
    advice: Advice
    values: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """Something that may lead: a bucket, or with ``meaning`` a part of it; between ``lo`` and ``hi`` of the time."""

    bucket: str
    meaning: Meaning | None
    lo: float
    hi: float


@dataclass(frozen=True)
class Verdict:
    """Which bucket holds the time of loop and drain, by what margin, and what to do.

    ``leading`` is None where there is no completed run with a loop. ``certain``: its lower bound lies above the
    runner-up's upper bound, on evidence of its own. ``doubt`` and ``settle`` say why not, and what would settle it;
    ``claims`` are what the doubt is about. ``meaning`` and ``advice`` are of the cause that leads the bucket.
    ``heaviest`` is what is slow under it, by name; ``whole`` is what shares are of. ``gpus``: what the GPUs did, of a
    trace alone or where they lead.
    """

    runs: tuple[str, ...] = ()
    composed_from: tuple[str, ...] = ()
    setup: tuple[SetupFinding, ...] = ()
    leading: BucketTime | None = None
    runner_up: BucketTime | None = None
    margin: float | None = None
    certain: bool = False
    software_adapter: bool = False
    meaning: Meaning | None = None
    owner: Owner | None = None
    advice: Advice | None = None
    doubt: Doubt | None = None
    claims: tuple[Claim, ...] = ()
    settle: Advice | None = None
    whole: Whole = Whole.LOOP
    heaviest: tuple[Heaviest, ...] = ()
    gpus: tuple[GpuCover, ...] = ()

    def __post_init__(self) -> None:
        check([(not self.certain or self.leading is not None, "a certain verdict names a bucket"),
               (not self.certain or self.leading is None or self.leading.bucket != "unexplained",
                "unexplained time is never a certain verdict"),
               (self.certain == (self.doubt is None), "a verdict is certain, or says why not")])  # fmt: skip

    @property
    def open(self) -> bool:
        """Whether it names no bucket at all: it is not certain, and which one leads would be a guess."""
        return self.doubt is not None and self.leading is not None and self.leading.guess

    @property
    def starved(self) -> bool:
        """Whether the lead may be but threads that waited for a core."""
        return self.doubt is Doubt.STARVED

    @property
    def next_step(self) -> Advice:
        """What to do next: what would settle it, else what the leading cause asks for."""
        advice = self.settle or self.advice
        assert advice is not None
        return advice


@dataclass(frozen=True)
class Remark:
    """What is said beside a row of the benchmark report."""

    note: Note
    values: Values = field(default_factory=dict)


@dataclass(frozen=True)
class BenchmarkRow:
    """A row of the benchmark report. ``unit``: s, ms, FPS, B, x, 1, or empty for text and codes."""

    item: BenchmarkItem
    value: str | int | float | None
    unit: str = ""
    remark: Remark | None = None


@dataclass(frozen=True)
class Triage:
    """Whether the slowness is expected, and who owns it; ``values`` fill the reason's sentence.

    ``application`` is the program's name where it is known (UniLab). ``meaning`` is that of the leading cause.
    """

    answer: Answer
    reason: Reason
    owner: Owner | None
    advice: Advice | None
    values: Values = field(default_factory=dict)
    meaning: Meaning | None = None
    application: str | None = None


@dataclass(frozen=True)
class ClockAlignment:
    """How a source's clock was put on its run's; 95 % of aligned times are within ``error_ns``."""

    run_id: str
    source: str
    offset_ns: int
    drift_ppm: float
    error_ns: int
    pairs: int
    method: ClockMethod


@dataclass(frozen=True)
class Report:
    """Everything that ``analyze`` finds in one experiment. It holds every number that is shown.

    ``experiment`` is its name, which others may have too; ``experiment_id`` is its own. Tables have both.
    """

    schema_version: str
    experiment: str
    experiment_id: str
    created_utc: str | None
    environment: Environment
    command: Command | None
    runs: tuple[RunSummary, ...]
    pools: tuple[Pool, ...]
    same_states: bool | None
    comparison: Comparison
    profiler_overhead: tuple[ProfilerOverhead, ...]
    profiles: tuple[UserProfile, ...]
    verdict: Verdict
    triage: Triage
    benchmark: tuple[BenchmarkRow, ...]
    clocks: tuple[ClockAlignment, ...]
    warnings: tuple[Caution, ...]

    def __post_init__(self) -> None:
        ids = [run.run_id for run in self.runs]
        check([(len(set(ids)) == len(ids), "run ids must be unique in an experiment")])

    def pool(self, mode: str, profilers: tuple[str, ...] = ()) -> Pool | None:
        """The pool of a mode; of the unprofiled runs unless profilers are named."""
        return next((pool for pool in self.pools if pool.key == PoolKey(mode, profilers)), None)

    def runs_named(self, run_ids: Sequence[str]) -> list[RunSummary]:
        """Runs by their ids."""
        return [run for run in self.runs if run.run_id in run_ids]
