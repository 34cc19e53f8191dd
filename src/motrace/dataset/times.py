"""Attributed time of loop and drain: by cause, and by bucket."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..vocabulary import BUCKETS, CAUSES, STATES, EvidenceKind, IntervalKind, interval_kind
from .estimate import Estimate


@dataclass(frozen=True)
class CauseTime:
    """Time of loop and drain by phase, state and cause; ``share`` is of loop and drain.

    ``interval`` is what its bounds are.
    """

    phase: str
    state: str
    cause: str
    bucket: str
    evidence: tuple[EvidenceKind, ...]
    time: Estimate
    share: float
    interval: IntervalKind = IntervalKind.MEASURED

    def __post_init__(self) -> None:
        if self.state not in STATES or self.cause not in CAUSES or self.bucket not in BUCKETS:
            raise ValueError(f"{self.state}, {self.cause}, {self.bucket}: not a state, a cause and a bucket")


@dataclass(frozen=True)
class BucketTime:
    """Time of loop and drain that counts for a bucket; shares are of loop and drain.

    ``interval`` is what the bounds are. ``least_run_share`` and ``most_run_share`` are the least and the greatest share
    in one of several runs, None where there is one run. ``likely_lo_share`` to ``likely_hi_share`` is a model's 95 %
    range inside the bounds, None where there is no model.
    ``guess``: the point is a guess inside a wide range; reports show the bounds alone, and no headline rests on it.
    ``loop_ns`` is the time in the loop, None where it is not known by segment. ``evidence``: kinds that it rests on,
    those of most time first.
    """

    bucket: str
    time: Estimate
    share: float
    lo_share: float
    hi_share: float
    loop_ns: int | None = None
    evidence: tuple[EvidenceKind, ...] = ()
    likely_lo_share: float | None = None
    likely_hi_share: float | None = None
    guess: bool = False
    interval: IntervalKind = IntervalKind.MEASURED
    least_run_share: float | None = None
    most_run_share: float | None = None

    def __post_init__(self) -> None:
        if self.bucket not in BUCKETS:
            raise ValueError(f"{self.bucket} is not a bucket")
        if not 0 <= self.lo_share <= self.share <= self.hi_share <= 1:
            raise ValueError(f"{self.bucket}: shares are not ordered")


TimeRow = TypeVar("TimeRow", CauseTime, BucketTime)


def summed(rows: Iterable[TimeRow], key: Callable[[TimeRow], Hashable]) -> list[tuple[TimeRow, Estimate]]:
    """The first row of each group of the same key, with the group's time: how the times of several runs add up."""
    groups: dict[Hashable, list[TimeRow]] = {}
    for one in rows:
        groups.setdefault(key(one), []).append(one)
    return [(mine[0], Estimate.total(one.time for one in mine)) for mine in groups.values()]


def by_size(causes: Iterable[CauseTime]) -> tuple[CauseTime, ...]:
    """Causes, the largest first."""
    return tuple(sorted(causes, key=lambda one: (-one.time.ns, one.phase, one.cause)))


def bucket_times(
    totals: Mapping[str, Estimate],
    causes: Iterable[CauseTime],
    wall_ns: int,
    loop_ns: Mapping[str, int] | None = None,
    runs: Sequence[Sequence[BucketTime]] = (),
) -> tuple[BucketTime, ...]:
    """Every bucket with its shares of a wall time; its evidence is that of its ``causes``.

    ``runs``: the buckets of each run that they are the sums of.
    """
    resting: dict[str, set[EvidenceKind]] = {bucket: set() for bucket in BUCKETS}
    by_run = {bucket: [one.share for run in runs for one in run if one.bucket == bucket] for bucket in BUCKETS}
    weights: dict[str, dict[EvidenceKind, int]] = {bucket: {} for bucket in BUCKETS}
    for one in causes:
        mine = weights[one.bucket]
        resting[one.bucket] |= set(one.evidence) if one.time.hi_ns else set()
        for kind in one.evidence if one.time.ns else ():
            mine[kind] = mine.get(kind, 0) + one.time.ns
    order = list(EvidenceKind)
    out = []
    for bucket, mine in weights.items():
        kinds = tuple(sorted(mine, key=lambda kind: (-mine[kind], order.index(kind))))
        share = totals[bucket].of(wall_ns)
        in_loop = None if loop_ns is None else loop_ns.get(bucket, 0)
        lo, hi = totals[bucket].likely_of(wall_ns)
        several = by_run[bucket] if len(runs) > 1 else []
        out.append(BucketTime(
            bucket, totals[bucket], share.share, share.lo, share.hi, in_loop, kinds, lo, hi,
            guess=totals[bucket].guessed(wall_ns), interval=interval_kind(resting[bucket]),
            least_run_share=min(several, default=None), most_run_share=max(several, default=None),
        ))  # fmt: skip
    return tuple(out)
