"""Where the tables of an Nsight Systems export come from: what nsys_sqlite and nsys_columnar have in common.

Columns are addressed by name. A column that an export lacks reads as null: versions add columns,
also in the middle. Integers come as int64 arrays in which ``NULL`` stands for null.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager import Error as AdbcError

from ...arrays import Ints as Ints

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

Numbers = tuple[int | None, ...]
Texts = tuple[str | None, ...]

NULL = int(np.iinfo(np.int64).min)
"""Null in an array of integers."""
CHUNK_ROWS = 1 << 16
TEXT_CHARS = 4096
"""Longer texts are cut: a million-character string in every row would not fit into memory."""
READ_ERRORS = (sqlite3.Error, AdbcError, pa.ArrowException, OSError, UnicodeDecodeError)
"""What reading a damaged file raises; OSError also covers pyarrow's."""


@dataclass(frozen=True)
class Query:
    """Columns of a table, by type. ``among`` keeps rows whose column is one of these integers.

    ``first`` makes columns of integers: the first of several that is not null. It saves reading them all.
    """

    table: str
    ints: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    first: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    among: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    def wanted(self) -> set[str]:
        """All columns that it needs."""
        several = (name for names in self.first.values() for name in names)
        return {*self.ints, *self.texts, *self.floats, *several, *self.among, *self.order}


@dataclass
class Batch:
    """Some rows. Integers and floats are NumPy arrays, texts Arrow strings; ``damaged`` counts misfits."""

    rows: int
    ints: dict[str, Ints] = field(default_factory=dict)
    floats: dict[str, Floats] = field(default_factory=dict)
    texts: dict[str, pa.Array] = field(default_factory=dict)
    damaged: int = 0

    def __getitem__(self, name: str) -> Ints:
        return self.ints[name]


class ExportSource(Protocol):
    """Tables of an export, streamed."""

    tables: dict[str, tuple[str, ...]]
    """Columns by table, under today's names of the tables."""

    def parts(self, query: Query) -> Iterator[Callable[[], Batch]]:
        """Calls that each read some rows, in order; they may be called from several threads."""


def text_array(array: pa.Array) -> pa.Array:
    """Any Arrow array as valid UTF-8 strings, each at most TEXT_CHARS long."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type) or pa.types.is_string(array.type):
        try:
            array = array.cast(pa.binary()).cast(pa.string())
            array.validate(full=True)
        except pa.ArrowInvalid:  # not UTF-8
            values = array.cast(pa.binary()).to_pylist()
            array = pa.array([None if v is None else v.decode(errors="replace") for v in values], pa.string())
    else:
        array = array.cast(pa.string())
    return pc.utf8_slice_codeunits(array, 0, TEXT_CHARS)


def int_array(array: pa.Array) -> tuple[Ints, int]:
    """An Arrow array as int64 with NULL for nulls, and how many values were no integers."""
    kind = array.type
    if pa.types.is_uint64(kind):
        array = array.view(pa.int64())  # global ids with the highest bit set are negative in SQLite too
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        array = array.cast(pa.int64())
    elif not pa.types.is_null(kind):
        return np.full(len(array), NULL), len(array) - array.null_count
    else:
        return np.full(len(array), NULL), 0
    if array.null_count:
        array = array.fill_null(NULL)
    return array.to_numpy(zero_copy_only=False), 0


def make_batch(query: Query, table: pa.Table | pa.RecordBatch, rows: int) -> Batch:
    """A batch from an Arrow table or record batch that has some of the query's columns."""
    batch = Batch(rows)
    names = set(table.schema.names)
    for name in (*query.ints, *query.first):
        batch.ints[name], bad = int_array(_column(table, name)) if name in names else (np.full(rows, NULL), 0)
        batch.damaged += bad
    for name in query.floats:
        if name in names and (pa.types.is_floating(table.schema.field(name).type)
                              or pa.types.is_integer(table.schema.field(name).type)):  # fmt: skip
            batch.floats[name] = _column(table, name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        else:
            batch.floats[name] = np.full(rows, np.nan)
    for name in query.texts:
        batch.texts[name] = text_array(_column(table, name)) if name in names else pa.nulls(rows, pa.string())
    return batch


def _column(table: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    column = table.column(name)
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def first_rows(source: ExportSource, query: Query, limit: int = CHUNK_ROWS) -> list[Batch]:
    """The first rows of a small table, or all; none where the table is not there."""
    batches: list[Batch] = []
    if query.table in source.tables:
        for part in source.parts(query):
            batches.append(part())
            limit -= batches[-1].rows
            if limit <= 0:
                break
    return batches


def rows_of(source: ExportSource, query: Query, limit: int = CHUNK_ROWS) -> Iterator[tuple[Numbers, Texts]]:
    """The same row by row: the integers and the texts, in the query's order; null is None."""
    for batch in first_rows(source, query, limit):
        ints = [[None if v == NULL else v for v in batch[name].tolist()] for name in query.ints]
        texts = [batch.texts[name].to_pylist() for name in query.texts]
        for row in range(batch.rows):
            yield tuple(column[row] for column in ints), tuple(column[row] for column in texts)
