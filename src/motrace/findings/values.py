"""Values that runs, pools and comparisons of a report are made of.

Times are ns in fields named ``*_ns``, shares are of 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..dataset.times import BucketTime, CauseTime
from ..statistics.intervals import Distribution

__all__ = ["BucketTime", "CauseTime", "Distribution"]


def check(rules: Iterable[tuple[bool, str]]) -> None:
    """Raise ValueError with the text of the first rule that does not hold."""
    for holds, text in rules:
        if not holds:
            raise ValueError(text)


@dataclass(frozen=True)
class PoolKey:
    """Which runs belong together: those of one mode under the same profilers; unprofiled where there is none."""

    mode: str
    profilers: tuple[str, ...] = ()

    @property
    def profiled(self) -> bool:
        """Whether a profiler that disturbs watched these runs."""
        return bool(self.profilers)


@dataclass(frozen=True)
class Spread:
    """Mean, sample standard deviation (0 of one value), least and largest of ``count`` values."""

    mean: float
    std: float
    min: float
    max: float
    count: int


@dataclass(frozen=True)
class Difference:
    """``new`` minus ``base``: means over runs, and the 95 % interval of the difference; None with one run."""

    new: float
    base: float
    difference: float
    lo: float | None
    hi: float | None
    ratio: float | None


@dataclass(frozen=True)
class PhaseTime:
    """A phase inside frames, children included. ``parent`` is the phase that most often encloses it.

    ``self_ns`` is the time in the same frames outside its children; over all phases it adds up to these frames. What
    lies between frames is in ``SegmentPhase`` alone. ``share`` is of the loop.
    """

    phase: str
    parent: str | None
    time: Distribution
    share: float
    self_ns: int

    def __post_init__(self) -> None:
        check([(0 <= self.self_ns <= self.time.total_ns, f"{self.phase}: its own time exceeds the whole")])


@dataclass(frozen=True)
class Worker:
    """CPU time that threads of one name, or child processes, used while the loop thread was in a phase.

    An estimate between two readings of their clocks. ``name`` is the kernel's, ``library`` the one that started the
    thread (empty if not known), ``count`` how many there were in all runs.
    """

    phase: str
    name: str
    library: str
    role: str
    is_child: bool
    count: int
    cpu_ns: int


@dataclass(frozen=True)
class SegmentTime:
    """Wall time of a segment. Those of a run add up to its wall time."""

    segment: str
    wall_ns: int


@dataclass(frozen=True)
class SegmentPhase:
    """Time of a phase in a segment, children included and without them; ``share`` is of the segment."""

    segment: str
    phase: str
    total_ns: int
    self_ns: int
    share: float

    def __post_init__(self) -> None:
        check([(0 <= self.self_ns <= self.total_ns, f"{self.segment} {self.phase}: its own time exceeds the whole")])


@dataclass(frozen=True)
class RecorderOverhead:
    """What recording cost in the loop; None where the recorder did not run to its end."""

    recorder_ns: int | None
    share_of_loop: float | None
    boundary_cost_ns: int | None


@dataclass(frozen=True)
class FrameCost:
    """Mean and median over frames, ns."""

    mean_ns: int
    p50_ns: int


@dataclass(frozen=True)
class ResetCost:
    """Frames in which an environment was reset against the others; None where there are none."""

    with_reset: FrameCost | None
    without_reset: FrameCost | None


@dataclass(frozen=True)
class EpisodeStatistics:
    """Episodes of a run's or a pool's environments that were not over with the warm-up.

    ``returns``, ``lengths`` and ``success_rate`` are of those that ended by themselves; ``cut_off`` are the others.
    """

    episodes: int
    ended: int
    terminated: int
    truncated: int
    cut_off: int
    success_rate: float | None
    returns: Spread | None
    lengths: Spread | None
    reward_per_step: float | None
    resets: int
    resets_per_frame: float | None
    frames_with_reset: int | None
    frame: ResetCost
    step: ResetCost
    envs: int | None = None
    success_rule: str | None = None
    reward_rule: str | None = None
