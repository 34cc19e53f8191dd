"""What a report claims of a pool of runs, row by row: buckets, and causes over all phases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from motrace.dataset.times import BucketTime, CauseTime
from motrace.findings.run_model import Pool
from motrace.vocabulary import IntervalKind, bucket_of

from .groups import ANY, Wanted

NOBODY = ("idle", "pacing", "io", "pipe")
"""No thread and no process of the program works: one row, as clocks alone can't distinguish them."""
MAY_BE = {
    "native_or_python": ("interpreter", "native", "copying"),
    "idle": ("pacing", "io", "pipe"),
    "unexplained": ("interpreter", "native", "copying", "run_queue", "encoder", "gil", "io", "pacing",
                    "pipe", "other_threads", "other_processes"),
}  # fmt: skip
"""Causes whose time a row of another cause may be, by what the vocabulary says of it."""
CAUSE_ROWS = ("interpreter", "native", "copying", "run_queue", "encoder", "gil", "io", "pacing", "pipe",
              "other_threads", "other_processes")  # fmt: skip


class Interval(str, Enum):
    """What an interval is."""

    BOUND = "bound"
    """Deterministic: the truth can't lie outside."""
    SAMPLED = "95 %"
    """Of samples or a model, or transferred from other runs: the truth should lie outside in one of twenty."""


def interval_of(kinds: Iterable[IntervalKind]) -> Interval:
    """What an interval is, by what the report says of its parts: the one place that decides it."""
    return Interval.BOUND if set(kinds) <= {IntervalKind.MEASURED} else Interval.SAMPLED


@dataclass(frozen=True)
class RowClaim:
    """A row: its share of the wall time with bounds, what they are, and which true time belongs to it."""

    name: str
    share: float
    lo: float
    hi: float
    interval: Interval
    wanted: Wanted


def claims(pool: Pool) -> list[RowClaim]:
    """Every row that a pool claims, also those of nothing."""
    best, wall = pool.best, pool.recording_wall_ns
    shown = [one for one in best.buckets if one.bucket != "unexplained"]
    buckets = [_bucket(one) for one in shown]
    models = [model for one, row in zip(shown, buckets) for model in _model(one, row)]
    return [*buckets, *models, *(_cause((name,), name, best.causes, wall) for name in CAUSE_ROWS),
            _cause(NOBODY, "nobody works", best.causes, wall)]  # fmt: skip


def _bucket(one: BucketTime) -> RowClaim:
    def wanted(phase: str, state: str, cause: str) -> bool:
        return cause != ANY and bucket_of(cause, phase) == one.bucket

    return RowClaim(f"[{one.bucket}]", one.share, one.lo_share, one.hi_share, interval_of([one.interval]), wanted)


def _model(one: BucketTime, row: RowClaim) -> Iterator[RowClaim]:
    """A row more where a model gives a range inside the bounds."""
    lo, hi = one.likely_lo_share, one.likely_hi_share
    if lo is not None and hi is not None:
        yield replace(row, name=f"~{row.name[1:-1]}", lo=lo, hi=hi, interval=Interval.SAMPLED)


def _cause(names: tuple[str, ...], title: str, causes: tuple[CauseTime, ...], wall_ns: int) -> RowClaim:
    """The sum of some causes over all phases."""
    places: dict[tuple[str, str], list[CauseTime]] = {}
    for row in causes:
        places.setdefault((row.phase, row.state), []).append(row)
    parts = [_part(names, rows) for rows in places.values()]
    ns, lo, hi = (sum(time[index] for time, _ in parts) for index in range(3))
    about = [row for _, rows in parts for row in rows if row.time.hi_ns]
    interval = interval_of(row.interval for row in about or causes)

    def wanted(phase: str, state: str, cause: str) -> bool:
        return cause in names

    return RowClaim(title, ns / wall_ns, lo / wall_ns, hi / wall_ns, interval, wanted)


def _part(names: tuple[str, ...], rows: list[CauseTime]) -> tuple[tuple[int, int, int], list[CauseTime]]:
    """Of one phase and state: time, least, most, and the rows that say so.

    A cause without a row may be in the row of another, by what the vocabulary says of it; what the others can't be,
    these are.
    """
    mine = [row for row in rows if row.cause in names]
    left_out = set(names) - {row.cause for row in mine}
    perhaps = [row for row in rows if row not in mine and set(MAY_BE.get(row.cause, ())) & left_out]
    if not mine and not perhaps:
        return (0, 0, 0), []
    others = [row.time for row in rows if row not in mine]
    ns, total = sum(row.time.ns for row in mine), sum(row.time.ns for row in rows)
    least, most = sum(row.time.lo_ns for row in mine), sum(row.time.hi_ns for row in (*mine, *perhaps))
    lo = max(least, total - sum(time.hi_ns for time in others)) if mine else 0
    hi = min(most, total - sum(row.time.lo_ns for row in rows if row not in (*mine, *perhaps)))
    return (ns, min(lo, ns), max(ns, hi)), [*mine, *perhaps]
