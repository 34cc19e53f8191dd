"""Where the tables of an Nsight Systems export come from: a SQLite file here, others in nsys_columnar.

Columns are addressed by name. A column that an export lacks reads as null: versions add columns,
also in the middle. Integers come as int64 arrays in which ``NULL`` stands for null.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as adbc
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import MotraceError
from .nsys_enums import RENAMED

Ints = NDArray[np.int64]

NULL = int(np.iinfo(np.int64).min)
"""Null in an array of integers."""
CHUNK_ROWS = 1 << 17
TEXT_CHARS = 4096
"""Longer texts are cut: a million-character string in every row would not fit into memory."""
READ_ERRORS = (sqlite3.Error, adbc.Error, pa.ArrowException, OSError)
"""What reading a damaged file raises; OSError also covers pyarrow's."""
_SPARSE = 8
_MOST_RANGES = 1 << 16
_BUSY_S = 1.0
_READ_WHAT_IS_THERE = "PRAGMA writable_schema = ON"
"""Lets SQLite open a file that is shorter than its header says; nothing is ever written."""


@dataclass(frozen=True)
class Query:
    """Columns of a table, by type. ``among`` keeps rows whose column is one of these integers."""

    table: str
    ints: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    among: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    order: tuple[str, ...] = ()


@dataclass
class Batch:
    """Some rows. Integers and floats are NumPy arrays, texts Arrow strings; ``damaged`` counts misfits."""

    rows: int
    columns: dict[str, Any]
    damaged: int = 0

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]


class Source(Protocol):
    """Tables of an export, streamed."""

    tables: dict[str, tuple[str, ...]]
    """Columns by table, under today's names of the tables."""

    def parts(self, query: Query) -> Iterator[Callable[[], Batch]]:
        """Calls that each read some rows, in order; they may be called from several threads."""


def text_array(array: Any) -> pa.Array:
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


def int_array(array: Any) -> tuple[Ints, int]:
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


def make_batch(query: Query, table: Any, rows: int) -> Batch:
    """A batch from an Arrow table or record batch that has some of the query's columns."""
    columns: dict[str, Any] = {}
    damaged = 0
    names = set(table.schema.names)
    for name in query.ints:
        columns[name], bad = int_array(_column(table, name)) if name in names else (np.full(rows, NULL), 0)
        damaged += bad
    for name in query.floats:
        if name in names and (pa.types.is_floating(table.schema.field(name).type)
                              or pa.types.is_integer(table.schema.field(name).type)):  # fmt: skip
            columns[name] = _column(table, name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        else:
            columns[name] = np.full(rows, np.nan)
    for name in query.texts:
        columns[name] = text_array(_column(table, name)) if name in names else pa.nulls(rows, pa.string())
    return Batch(rows, columns, damaged)


def _column(table: Any, name: str) -> Any:
    column = table.column(name)
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def first_rows(source: Source, query: Query, limit: int = CHUNK_ROWS) -> list[Batch]:
    """The first rows of a small table, or all; none where the table is not there."""
    batches: list[Batch] = []
    if query.table in source.tables:
        for part in source.parts(query):
            batches.append(part())
            limit -= batches[-1].rows
            if limit <= 0:
                break
    return batches


def rows_of(source: Source, query: Query, limit: int = CHUNK_ROWS) -> list[tuple[Any, ...]]:
    """The same as tuples of ints, texts and floats in the query's order; null is None."""
    rows: list[tuple[Any, ...]] = []
    for batch in first_rows(source, query, limit):
        ints = [[None if v == NULL else v for v in batch[name].tolist()] for name in query.ints]
        rest = [batch[name].to_pylist() for name in query.texts] + [batch[name].tolist() for name in query.floats]
        rows += zip(*ints, *rest, strict=True)
    return rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class SqliteSource:
    """A ``.sqlite`` export. Large tables are read in ranges of row ids, by several connections at once."""

    def __init__(self, path: Path) -> None:
        """Read the catalogue. Raises MotraceError where the file is no SQLite database."""
        self.path = path
        self.tables: dict[str, tuple[str, ...]] = {}
        self.damaged: list[str] = []
        self._names: dict[str, str] = {}
        self._uri = f"file:{quote(str(path.resolve()))}?mode=ro"
        self._cut_off = False
        try:
            try:
                self._catalogue()
            except sqlite3.DatabaseError:
                self._cut_off = True
                self._catalogue()
                self.damaged.append(path.name)
        except sqlite3.Error as error:
            raise MotraceError(
                f"{path.name}: can't be read ({error}): the export was cut off or is being written; export it again"
            ) from None

    def _catalogue(self) -> None:
        with closing(self._connect()) as db:
            names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                columns = tuple(row[1] for row in db.execute(f"PRAGMA table_info({_quoted(name)})"))
                self.tables[RENAMED.get(name, name)] = columns
                self._names[RENAMED.get(name, name)] = name

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._uri, uri=True, timeout=_BUSY_S)
        if self._cut_off:
            db.execute(_READ_WHAT_IS_THERE)
        return db

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with adbc.connect(self._uri, autocommit=True) as connection, connection.cursor() as cursor:
            if self._cut_off:
                cursor.execute(_READ_WHAT_IS_THERE)
            yield cursor

    def parts(self, query: Query) -> Iterator[Callable[[], Batch]]:
        """Ranges of row ids; one by one from a cursor where rows must be sorted or ids are sparse."""
        ranges = self._ranges(self._names[query.table])
        if ranges is None or not self._sorted(query, ranges):
            yield from self._stream(query)
            return
        for low, high in ranges:
            yield partial(self._read, query, f"rowid >= {low} AND rowid < {high}")

    def _ranges(self, name: str) -> list[tuple[int, int]] | None:
        try:
            with closing(self._connect()) as db:
                first, last = (  # one by one: together they would read the whole table
                    db.execute(f"SELECT {edge}(rowid) FROM {_quoted(name)}").fetchone()[0] for edge in ("min", "max")
                )
                if first is None:
                    return []
                if last - first < CHUNK_ROWS:
                    return [(first, last + 1)]
                count = last - first + 1
                with suppress(sqlite3.DatabaseError):  # a damaged page costs its range only
                    count = db.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0]
        except sqlite3.DatabaseError:  # no row ids, or damaged at an edge: a cursor gets as far as it can
            return None
        if (last - first) // _SPARSE > count or (last - first) // CHUNK_ROWS > _MOST_RANGES:
            return None
        step = max(1, CHUNK_ROWS * (last - first + 1) // count)
        return [(low, min(low + step, last + 1)) for low in range(first, last + 1, step)]

    def _sorted(self, query: Query, ranges: list[tuple[int, int]]) -> bool:
        """Whether the rows lie in the order that is asked (of its first column), as nsys writes them."""
        column = query.order[0] if query.order else ""
        if column not in self.tables[query.table]:
            return True
        last = NULL
        for low, high in ranges:
            one = Query(query.table, ints=(column,), among=query.among)
            values = self._read(one, f"rowid >= {low} AND rowid < {high}")[column]
            if len(values):
                if values[0] < last or (values[1:] < values[:-1]).any():
                    return False
                last = int(values[-1])
        return True

    def _sql(self, query: Query, where: str = "", exact: bool = False) -> str:
        """The statement; ``exact`` makes anything but integers null in columns of integers."""
        have = set(self.tables[query.table])

        def number(name: str) -> str:
            quoted = _quoted(name)
            return f"CASE typeof({quoted}) WHEN 'integer' THEN {quoted} END AS {quoted}" if exact else quoted

        columns = [number(name) for name in query.ints if name in have]
        columns += [f"CAST({_quoted(name)} AS REAL) AS {_quoted(name)}" for name in query.floats if name in have]
        columns += [
            f"CAST(substr({_quoted(name)}, 1, {TEXT_CHARS}) AS TEXT) AS {_quoted(name)}"
            for name in query.texts
            if name in have
        ]
        conditions = [where] if where else []
        conditions += [
            f"{_quoted(name)} IN ({','.join(map(str, values))})" for name, values in query.among.items() if name in have
        ]
        sql = f"SELECT {', '.join(columns) or '1'} FROM {_quoted(self._names[query.table])}"
        if conditions:
            sql += " WHERE " + " AND ".join(conditions)
        order = [_quoted(name) for name in query.order if name in have]
        return sql + (" ORDER BY " + ", ".join(order) if order else "")

    def _read(self, query: Query, where: str) -> Batch:
        table = self._fetch(self._sql(query, where))
        misfits = [
            name for name in query.ints if name in table.schema.names and not pa.types.is_int64(table.column(name).type)
        ]
        if not misfits:
            return make_batch(query, table, table.num_rows)
        batch = make_batch(query, self._fetch(self._sql(query, where, exact=True)), table.num_rows)
        batch.damaged = sum(int((batch[name] == NULL).sum()) - table.column(name).null_count for name in misfits)
        return batch

    def _fetch(self, sql: str) -> pa.Table:
        """All rows of a statement. In one batch, so that the driver infers each type from all of them."""
        with self._cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_SPARSE * CHUNK_ROWS)})
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def _stream(self, query: Query) -> Iterator[Callable[[], Batch]]:
        with self._cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(CHUNK_ROWS)})
            cursor.execute(self._sql(query, exact=True))
            for rows in cursor.fetch_record_batch():
                yield partial(make_batch, query, rows, rows.num_rows)
