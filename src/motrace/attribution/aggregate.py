"""The one way to sum attribution.

Inside a cell (a phase of a frame or segment of a run, blocked or not) the wall time W is exact, and the rows' times add
up to it. So a group of rows in it is bounded twice: by the sum of its own bounds, and by W less the bounds of all other
rows there:

    lo = max(sum lo, W - sum of the others' hi)        hi = min(sum hi, W - sum of the others' lo)

Cells are independent of each other, so their bounds add up. A group's hi can never exceed the wall time. Unexplained
time may be anybody's: none of it is surely unexplained, and a bucket may hold all of it (``aggregate_buckets``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..dataset.estimate import Estimate
from ..dataset.times import CauseTime, by_size
from ..vocabulary import BUCKETS, RECORDING_SEGMENTS, evidence_kinds

Array = np.ndarray[Any, Any]
Key = tuple[str | int | None, ...]
"""Values of the columns that were summed by."""

CELL = ("experiment_id", "run", "segment", "frame", "phase", "blocked")
"""Within these columns the wall time is exact; ``blocked`` is made of ``state``."""
CAUSE = ("phase", "state", "cause", "bucket", "evidence")
TIMES = ("ns", "lo_ns", "hi_ns")


def aggregate(
    attribution: pa.Table, by: Sequence[str], segments: Sequence[str] | None = RECORDING_SEGMENTS
) -> dict[Key, Estimate]:
    """Sums of the table ``attribution`` by columns, in order of first appearance; of loop and drain by default.

    The table must hold all rows of each cell; columns of a cell that it has not are one value.
    """
    if segments is not None:
        wanted = pa.array(list(segments), pa.string())
        attribution = attribution.filter(pc.is_in(attribution.column("segment").cast("string"), value_set=wanted))
    if not attribution.num_rows:
        return {}
    state, bucket = (attribution.column(name).cast("string") for name in ("state", "bucket"))
    attribution = attribution.append_column("blocked", pc.equal(state, "blocked"))
    explained = pc.not_equal(bucket, "unexplained").to_numpy(zero_copy_only=False)
    times = np.stack([*(attribution.column(name).to_numpy() for name in TIMES), explained], axis=1)
    cells, _ = _grouped(attribution, [name for name in CELL if name in attribution.column_names])
    groups, first = _grouped(attribution, by)
    pairs, row_of_pair = _numbered(cells * (int(groups.max()) + 1) + groups)
    mine, whole = _sums(times, pairs), _sums(times, cells)[cells[row_of_pair]]
    wall = whole[:, 0]
    lo = np.maximum(mine[:, 1], wall - (whole[:, 2] - mine[:, 2]))
    lo[mine[:, 3] == 0] = 0
    hi = np.minimum(mine[:, 2], wall - (whole[:, 1] - mine[:, 1]))
    sums = _sums(np.stack((mine[:, 0], lo, hi), axis=1), groups[row_of_pair]).tolist()
    keys = attribution.select(list(by)).take(pa.array(first)).to_pylist()
    return {tuple(keys[group].values()): Estimate(*sums[group]) for group in np.argsort(first, kind="stable")}


def aggregate_causes(attribution: pa.Table) -> tuple[CauseTime, ...]:
    """Phase, state and cause over loop and drain, the largest first."""
    sums = aggregate(attribution, CAUSE)
    wall = sum(time.ns for time in sums.values())
    words = (((*map(str, key),), time) for key, time in sums.items())
    return by_size(
        CauseTime(phase, state, cause, bucket, evidence_kinds(evidence), time, time.of(wall).share)
        for (phase, state, cause, bucket, evidence), time in words
    )


def aggregate_buckets(
    attribution: pa.Table, segments: Sequence[str] | None = RECORDING_SEGMENTS
) -> dict[str, Estimate]:
    """Every bucket, of loop and drain by default; the time of which nothing is known may be any bucket's."""
    sums = aggregate(attribution, ("bucket",), segments)
    totals = {bucket: sums.get((bucket,), Estimate.exactly(0)) for bucket in BUCKETS}
    unknown = sum(time.ns for key, time in aggregate(attribution, ("state",), segments).items() if key == ("unknown",))
    free = sum(time.ns - time.lo_ns for time in totals.values())
    return {
        bucket: time
        if bucket == "unexplained"
        else replace(time, hi_ns=max(time.hi_ns, min(time.hi_ns + unknown, time.lo_ns + free)))
        for bucket, time in totals.items()
    }


def buckets_of(causes: Iterable[CauseTime]) -> dict[str, Estimate]:
    """Every bucket of causes that are no longer known by frame."""
    rows = [
        {"phase": one.phase, "state": one.state, "bucket": one.bucket,
         "ns": one.time.ns, "lo_ns": one.time.lo_ns, "hi_ns": one.time.hi_ns}
        for one in causes
    ]  # fmt: skip
    return aggregate_buckets(pa.Table.from_pylist(rows), None) if rows else dict.fromkeys(BUCKETS, Estimate.exactly(0))


def _grouped(table: pa.Table, names: Sequence[str]) -> tuple[Array, Array]:
    """For each row the number of its group, and for each group its first row; rows with equal ``names`` are a group."""
    codes = np.zeros(table.num_rows, np.int64)
    for name in names:
        column = table.column(name).combine_chunks()
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        mine = pc.fill_null(column.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False) + 1
        codes, _ = _numbered(codes * (int(mine.max(initial=0)) + 1) + mine)
    return _numbered(codes)


def _numbered(codes: Array) -> tuple[Array, Array]:
    """Codes as numbers from 0, and the first row of each."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return inverse.reshape(-1).astype(np.int64), first


def _sums(values: Array, groups: Array) -> Array:
    """Integer sums of the rows of each group; shape (groups, columns)."""
    totals = np.zeros((int(groups.max()) + 1, values.shape[1]), np.int64)
    np.add.at(totals, groups, values)
    return totals
