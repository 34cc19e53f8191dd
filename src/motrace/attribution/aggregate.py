"""The one way to sum attribution.

Inside a cell (a phase of a frame or segment of a run) the wall time W is exact, and the rows' times add up to it. So a
group of rows in it is bounded twice: by the sum of its own bounds, and by W less the bounds of all other rows there:

    lo = max(sum lo, W - sum of the others' hi)        hi = min(sum hi, W - sum of the others' lo)

Cells are independent of each other, so their bounds add up. A group's hi can never exceed the wall time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..dataset.estimate import Estimate
from ..vocabulary import RECORDING_SEGMENTS

Array = np.ndarray[Any, Any]
Key = tuple[Any, ...]

CELL = ("run", "segment", "frame", "phase")
"""Within these columns the wall time is exact."""
TIMES = ("ns", "lo_ns", "hi_ns")


@dataclass(frozen=True)
class Sum:
    """A group of rows: its key, in the order of ``by``, and its time."""

    key: Key
    time: Estimate


def aggregate(
    attribution: pa.Table,
    by: Sequence[str],
    segments: Sequence[str] | None = RECORDING_SEGMENTS,
    cell: Sequence[str] = CELL,
) -> list[Sum]:
    """Sums of the table ``attribution`` by columns, in order of first appearance; of loop and drain by default.

    The table must hold all rows of each cell. Columns of ``by`` may be of the cell or not.
    """
    if segments is not None:
        wanted = pa.array(list(segments), pa.string())
        attribution = attribution.filter(pc.is_in(attribution.column("segment").cast("string"), value_set=wanted))
    if not attribution.num_rows:
        return []
    times = np.stack([attribution.column(name).to_numpy() for name in TIMES], axis=1)
    cells, _ = grouped(attribution, cell)
    groups, first = grouped(attribution, by)
    pairs, row_of_pair = _unique(cells * (int(groups.max()) + 1) + groups)
    mine, whole = _sums(times, pairs), _sums(times, cells)[cells[row_of_pair]]
    wall = whole[:, 0]
    lo = np.maximum(mine[:, 1], wall - (whole[:, 2] - mine[:, 2]))
    hi = np.minimum(mine[:, 2], wall - (whole[:, 1] - mine[:, 1]))
    sums = _sums(np.stack((mine[:, 0], lo, hi), axis=1), groups[row_of_pair])
    keys = attribution.select(list(by)).take(pa.array(first)).to_pylist()
    found = [Sum(tuple(key.values()), Estimate(*values)) for key, values in zip(keys, sums.tolist())]
    return [found[index] for index in np.argsort(first, kind="stable")]


def grouped(table: pa.Table, names: Sequence[str]) -> tuple[Array, Array]:
    """For each row the number of its group, and for each group its first row; rows with equal ``names`` are a group."""
    codes = np.zeros(table.num_rows, np.int64)
    for name in names:
        column = table.column(name).combine_chunks()
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        mine = pc.fill_null(column.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False) + 1
        codes, _ = _unique(codes * (int(mine.max(initial=0)) + 1) + mine)
    return _unique(codes)


def _unique(codes: Array) -> tuple[Array, Array]:
    """Codes as numbers from 0, and the first row of each."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return inverse.reshape(-1).astype(np.int64), first


def _sums(values: Array, groups: Array) -> Array:
    """Integer sums of the rows of each group; shape (groups, columns)."""
    totals = np.zeros((int(groups.max()) + 1, values.shape[1]), np.int64)
    np.add.at(totals, groups, values)
    return totals
