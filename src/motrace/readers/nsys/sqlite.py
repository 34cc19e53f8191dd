"""The SQLite export of Nsight Systems as a source of tables."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa

from ...errors import MotraceError
from .enums import RENAMED
from .source import CHUNK_ROWS, NULL, TEXT_CHARS, Batch, Query, make_batch

if TYPE_CHECKING:
    from adbc_driver_sqlite.dbapi import Cursor

_SPARSE = 8
_MOST_RANGES = 1 << 16
_BUSY_S = 1.0
_READ_WHAT_IS_THERE = "PRAGMA writable_schema = ON"
"""Lets SQLite open a file that is shorter than its header says; nothing is ever written."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class SqliteSource:
    """A ``.sqlite`` export. Large tables are read in ranges of row ids, by several connections at once."""

    def __init__(self, path: Path) -> None:
        """Read the catalogue. Raises MotraceError where the file is not an SQLite database."""
        self.path = path
        self.tables: dict[str, tuple[str, ...]] = {}
        self.damaged: list[str] = []
        self._names: dict[str, str] = {}
        self._uri = f"file:{quote(os.fsencode(path.resolve()))}?mode=ro"
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
    def _cursor(self) -> Iterator[Cursor]:
        import adbc_driver_sqlite.dbapi as adbc  # slow to import

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
            return f"CASE typeof({quoted}) WHEN 'integer' THEN {quoted} END" if exact else quoted

        columns = [f"{number(name)} AS {_quoted(name)}" for name in query.ints if name in have]
        for name, several in query.first.items():
            there = [number(one) for one in several if one in have]
            if there:
                columns.append(f"coalesce({', '.join([*there, 'NULL'])}) AS {_quoted(name)}")
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
            name
            for name in (*query.ints, *query.first)
            if name in table.schema.names and not pa.types.is_int64(table.column(name).type)
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
