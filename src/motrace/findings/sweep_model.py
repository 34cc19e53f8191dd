"""What a sweep asked for and what it found: ``sweep.json`` is ``Sweep``."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..cautions import Caution
from ..dataset.facts import Adapter, Environment, OptionValues
from ..statistics.scaling_fit import Dominant, FitSummary, LeftOut
from ..statistics.scaling_slope import Slope
from .model import SCHEMA_VERSION


class Quantity(str, Enum):
    """Of a run, per kept frame: the loop; loop and drain (buffered encoding); the phase capture, mean."""

    FRAME = "frame"
    FRAME_WITH_DRAIN = "frame_with_drain"
    CAPTURE = "capture"


@dataclass(frozen=True)
class MeasuredRun:
    """A run at its point of the grid. ``run`` is experiment/run; times that it has not are None."""

    run: str
    mode: str
    num_envs: int
    width: int
    height: int
    frames: int
    adapter: Adapter | None
    frame_ns: float
    frame_with_drain_ns: float | None
    capture_ns: float | None

    def time_ns(self, quantity: Quantity) -> float | None:
        """One of its times."""
        times = (self.frame_ns, self.frame_with_drain_ns, self.capture_ns)
        return dict(zip(Quantity, times))[quantity]


@dataclass(frozen=True)
class SweepPoint:
    """A point of the grid: the mean of its runs with its 95 % interval, and what the fit says."""

    num_envs: int
    width: int
    height: int
    runs: int
    mean_ns: float
    lo_ns: float | None
    hi_ns: float | None
    fitted_ns: float | None
    residual: float | None


@dataclass(frozen=True)
class SlopeAlong:
    """Growth along environments at one size, or along pixels (``num_envs`` is held)."""

    num_envs: int | None
    width: int | None
    height: int | None
    slope: Slope

    @property
    def along_envs(self) -> bool:
        """Whether it is along environments."""
        return self.num_envs is None


@dataclass(frozen=True)
class QuantityFit:
    """How a quantity of one mode grows. ``unknown`` is the reason where the fit is refused."""

    mode: str
    quantity: Quantity
    unknown: str | None
    fit: FitSummary | None
    points: tuple[SweepPoint, ...]
    corners: tuple[Dominant, ...]
    left_out: tuple[LeftOut, ...]
    left_out_median: float | None
    left_out_worst: LeftOut | None
    slopes: tuple[SlopeAlong, ...]


@dataclass(frozen=True)
class SweepResults:
    """What was measured and fitted."""

    runs: tuple[MeasuredRun, ...]
    fits: tuple[QuantityFit, ...]
    warnings: tuple[Caution, ...]


@dataclass(frozen=True)
class SweepTurn:
    """What became of a run of the grid; ``run_id`` is None where there is none."""

    point: str
    round: int
    run_id: str | None
    status: str


@dataclass(frozen=True)
class SweepCommand:
    """What was asked for; ``earlier`` are the command lines before --resume."""

    argv: list[str] = field(default_factory=list)
    options: OptionValues = field(default_factory=dict)
    mode: str | None = None
    repeat: int | None = None
    num_envs: list[int] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    earlier: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Sweep:
    """A sweep: what was asked, its runs in their order, and what was found."""

    schema_version: str = SCHEMA_VERSION
    sweep: str = ""
    created_utc: str | None = None
    status: str = "unknown"
    command: SweepCommand = field(default_factory=SweepCommand)
    adapter: Adapter | None = None
    environment: Environment = field(default_factory=Environment)
    runs: tuple[SweepTurn, ...] = ()
    results: SweepResults | None = None
