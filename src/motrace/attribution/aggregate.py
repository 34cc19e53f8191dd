"""The one way to sum attribution.

Inside a cell (a phase of a frame or segment of a run, blocked or not) the wall time W is exact, and the rows' times add
up to it. So a group of rows in it is bounded twice: by the sum of its own bounds, and by W less the bounds of all other
rows there:

    lo = max(sum lo, W - sum of the others' hi)        hi = min(sum hi, W - sum of the others' lo)

Where a model gives ``ns``, what it says at either end (``turns_ns``, ``overlap_ns``) is summed by the same groups. The
likely range reaches from the least of the three sums to the greatest, and ``MARGIN`` of the modelled time farther; time
without a model keeps its bounds there.

Where time rests on samples, the bounds of a cell are a 95 % interval, and the sum of many of them is far too wide. So a
sum of sampled cells has an interval of its own, inside that. Of the time B of a cell, of which samples ``step`` apart
saw the share p, the variance is p (1 - p) B step; variances add, and what is rare gets ``Z`` squared steps more.

Cells are independent of each other, so their bounds add up. A group's hi can never exceed the wall time. Unexplained
time may be anybody's: none of it is surely unexplained, and a bucket may hold all of it (``aggregate_buckets``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Array
from ..dataset.estimate import Estimate
from ..dataset.times import CauseTime, by_size
from ..vocabulary import BUCKETS, RECORDING_SEGMENTS, EvidenceKind, evidence_kinds, interval_kind

Key = tuple[str | int | None, ...]
"""Values of the columns that were summed by."""

CELL = ("experiment_id", "run", "segment", "frame", "phase", "blocked")
"""Within these columns the wall time is exact; ``blocked`` is made of ``state``."""
CAUSE = ("phase", "state", "cause", "bucket", "evidence")
MARGIN = 0.02
"""What the model was wrong by beside the overlap, of the time that it splits (docs/attribution.md)."""
PYTHON, UNSPLIT = "python_overhead", "native_or_python"
"""The bucket that running time not split by samples may belong to, and its cause."""
Z = 1.96
"""The 97.5 % quantile of the normal distribution."""
TIMES = ("ns", "lo_ns", "hi_ns", "turns_ns", "overlap_ns")


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
    known = [name if name in attribution.column_names else "ns" for name in TIMES]
    modelled = pc.match_substring(attribution.column("evidence").cast("string"), EvidenceKind.TURN_TAKING.value)
    columns = [attribution.column(name).to_numpy() for name in known]
    by_model = columns[0] * modelled.to_numpy(zero_copy_only=False)
    step_ns = attribution.column("step_ns").to_numpy() if "step_ns" in attribution.column_names else 0 * columns[0]
    times = np.stack([*columns, explained, by_model, columns[2] * (step_ns == 0)], axis=1)
    cells, _ = _grouped(attribution, [name for name in CELL if name in attribution.column_names])
    groups, first = _grouped(attribution, by)
    pairs, row_of_pair = _numbered(cells * (int(groups.max()) + 1) + groups)
    mine, whole = _sums(times, pairs), _sums(times, cells)[cells[row_of_pair]]
    wall = whole[:, 0]
    lo = np.maximum(mine[:, 1], wall - (whole[:, 2] - mine[:, 2]))
    lo[mine[:, 5] == 0] = 0
    hi = np.minimum(mine[:, 2], wall - (whole[:, 1] - mine[:, 1]))
    steps = np.zeros(int(cells.max()) + 1, np.int64)
    np.maximum.at(steps, cells, step_ns)
    step = steps[cells[row_of_pair]]
    model = whole[:, 6] > 0
    margin = np.round(MARGIN * whole[:, 6]).astype(np.int64)
    ends = [
        np.where(model, says + side * margin, bound)
        for says in (mine[:, 0], mine[:, 3], mine[:, 4])
        for side, bound in ((-1, lo), (1, hi))
    ]
    sums = _sums(np.stack((mine[:, 0], lo, hi, model, *ends), axis=1), groups[row_of_pair])
    may_take, may_lose = mine[:, 7], whole[:, 7] - mine[:, 7]
    seen = np.stack((mine[:, 0], lo, hi, may_lose, may_take), axis=1)
    _narrow_sampled(sums, groups[row_of_pair], seen, wall, step)
    keys, rows = attribution.select(list(by)).take(pa.array(first)).to_pylist(), sums.tolist()
    return {tuple(keys[group].values()): _estimate(*rows[group]) for group in np.argsort(first, kind="stable")}


def _narrow_sampled(sums: Array, groups: Array, times: Array, wall: Array, step: Array) -> None:
    """Narrow the bounds of ``sums`` (ns, lo, hi, ...) to the sampling error of the cells that rest on samples.

    ``times``: ns, lo, hi, and what a group may lose to, or take for, causes that the samples can't show.
    """
    if not step.any():
        return
    sampled = _sums(times * (step > 0)[:, None], groups)
    share = times[:, 0] / np.maximum(wall, 1)
    variance = np.bincount(groups, share * (1 - share) * wall * step, len(sums))
    longest = np.zeros(len(sums), np.int64)
    np.maximum.at(longest, groups, step)
    half = np.ceil(Z * np.sqrt(variance) + Z**2 * longest).astype(np.int64)
    sums[:, 1] += np.maximum(sampled[:, 0] - sampled[:, 3] - half - sampled[:, 1], 0)
    sums[:, 2] -= np.maximum(sampled[:, 2] - sampled[:, 0] - sampled[:, 4] - half, 0)


def _estimate(ns: int, lo_ns: int, hi_ns: int, modelled: int, *ends: int) -> Estimate:
    """A sum with its bounds and, of a model, its likely range: ``ends`` are the sums at its settings, by turns with
    the lower and with the upper bounds of what is not modelled."""
    if not modelled:
        return Estimate(ns, lo_ns, hi_ns)
    return Estimate(ns, lo_ns, hi_ns, max(lo_ns, min(ns, *ends[::2])), min(hi_ns, max(ns, *ends[1::2])))


def aggregate_causes(attribution: pa.Table) -> tuple[CauseTime, ...]:
    """Phase, state and cause over loop and drain, the largest first."""
    sums = aggregate(attribution, CAUSE)
    wall = sum(time.ns for time in sums.values())
    rows = []
    for key, time in sums.items():
        phase, state, cause, bucket, word = map(str, key)
        kinds = evidence_kinds(word)
        rows.append(CauseTime(phase, state, cause, bucket, kinds, time, time.of(wall).share, interval_kind(kinds)))
    return by_size(rows)


def aggregate_buckets(
    attribution: pa.Table, segments: Sequence[str] | None = RECORDING_SEGMENTS
) -> dict[str, Estimate]:
    """Every bucket, of loop and drain by default.

    The time of which nothing is known may be any bucket's, and running time that no samples split may be the
    interpreter's, whatever its phase does.
    """
    attribution = _may_be_python(attribution)
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


def _may_be_python(attribution: pa.Table) -> pa.Table:
    """Rows with those added that say how much of the running time may be Python overhead, which is 0 at least."""
    cause, bucket = (attribution.column(name).cast("string") for name in ("cause", "bucket"))
    unsplit = pc.and_(pc.equal(cause, UNSPLIT), pc.not_equal(bucket, PYTHON))
    if not pc.any(unsplit).as_py():
        return attribution
    nothing = pc.multiply(attribution.column("lo_ns"), 0)
    lo_ns = pc.if_else(unsplit, nothing, attribution.column("lo_ns"))
    changed = _with(attribution, {"bucket": bucket, "cause": cause, "lo_ns": lo_ns})
    python = pa.array([PYTHON] * len(bucket), pa.string())
    both = {name: nothing for name in TIMES if name in attribution.column_names and name != "hi_ns"}
    return pa.concat_tables(
        [changed, _with(changed, {**both, "bucket": python}).filter(unsplit)], promote_options="default"
    )


def _with(table: pa.Table, columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def buckets_of(causes: Iterable[CauseTime]) -> dict[str, Estimate]:
    """Every bucket of causes that are no longer known by frame."""
    rows = [
        {"phase": one.phase, "state": one.state, "cause": one.cause, "bucket": one.bucket,
         "ns": one.time.ns, "lo_ns": one.time.lo_ns, "hi_ns": one.time.hi_ns, "evidence": ""}
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
