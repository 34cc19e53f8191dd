"""A SQLite export of Nsight Systems, written in batches of Arrow columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi as adbc
import numpy as np
import pyarrow as pa

from .schema import Schema

Array = np.ndarray[Any, Any]
Rows = dict[str, Any]
"""Columns by name: arrays, or one value for all rows; None is null. The columns not named are null, or 0."""

_FIRST_ID = 40
_FAST = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE")


class Export:
    """An export being written. As nsys does by default, a table is made when its first row comes."""

    def __init__(self, path: Path, schema: Schema, lazy: bool = True) -> None:
        """Begin a file. Raises OSError or the driver's error where it can't be written."""
        self.schema = schema
        self.counts: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        self._connection = adbc.connect(f"file:{path}", autocommit=True)
        self._cursor = self._connection.cursor()
        for pragma in _FAST:
            self._execute(f"PRAGMA {pragma}")
        for table in () if lazy else schema.columns:
            self._make(table)
        for name, value in (("EXPORT_PRODUCT_VERSION", schema.product), ("EXPORT_SCHEMA_VERSION", schema.full)):
            self.add("META_DATA_EXPORT", {"name": [name], "value": [value]})

    def _execute(self, sql: str) -> None:
        self._cursor.execute(sql)
        self._cursor.fetchall()

    def _make(self, table: str) -> None:
        if table not in self.counts:
            self.counts[table] = 0
            self._execute(self.schema.create(table))

    def id(self, text: str) -> int:
        """The id of a string."""
        if text not in self._ids:
            self._ids[text] = len(self._ids) + _FIRST_ID
            self.add("StringIds", {"id": [self._ids[text]], "value": [text]})
        return self._ids[text]

    def ids(self, texts: list[str]) -> Array:
        """The ids of several."""
        return np.array([self.id(text) for text in texts], np.int64)

    def add(self, table: str, rows: Rows) -> None:
        """Append rows; tables and columns that this version does not have are left out."""
        if table not in self.schema.columns:
            return
        count = max(len(value) for value in rows.values() if isinstance(value, np.ndarray | list | pa.Array))
        if not count:
            return
        self._make(table)
        columns = {}
        for name, kind in self.schema.columns[table].items():
            columns[name] = _column(rows.get(name), kind, count)
        batch = pa.table(columns)
        self._cursor.adbc_ingest(self.schema.name(table), batch, mode="append")
        self.counts[table] += count

    def close(self) -> None:
        """Complete the file."""
        self._cursor.close()
        self._connection.close()


def _column(value: Any, kind: str, count: int) -> pa.Array:
    words, null = kind.partition(" ")[0], " NOT NULL" not in kind
    arrow = {"INTEGER": pa.int64(), "TEXT": pa.string(), "REAL": pa.float64()}[words]
    if value is None:
        return pa.nulls(count, arrow) if null else pa.array(np.zeros(count, np.int64))
    if isinstance(value, np.ndarray | list | pa.Array):
        return pa.array(value, arrow)
    return pa.repeat(pa.scalar(value, arrow), count)
