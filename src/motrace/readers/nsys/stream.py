"""Streams a table of an export through a function into a Parquet file, a few batches at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ...dataset.in_order import in_order
from ...dataset.tables import SCHEMAS
from .source import READ_ERRORS, Batch, Query
from .trace import NsysTrace, one_line

_T = TypeVar("_T")


class TableWriter:
    """A Parquet file of a declared schema that appears when it is complete, and only if it has rows."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.parquet"
        self._temporary = folder / f"{name}.parquet.tmp"
        self._schema = SCHEMAS[name]
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Append rows as a row group. Raises OSError."""
        if self._writer is None:
            words = [field.name for field in self._schema if pa.types.is_dictionary(field.type)]
            numbers = [field.name for field in self._schema if pa.types.is_integer(field.type)]
            self._writer = pq.ParquetWriter(
                self._temporary,
                self._schema,
                compression="snappy",  # integers are packed already; zstd takes twice the time for a fortieth less
                use_dictionary=words,
                column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
            )
        self._writer.write_table(table)
        self.rows += table.num_rows

    def close(self) -> int:
        """Complete the file; returns its rows."""
        if self._writer is not None:
            self._writer.close()
            os.replace(self._temporary, self._path)
        return self.rows

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._temporary.unlink(missing_ok=True)


def results(trace: NsysTrace, query: Query, work: Callable[[Batch], _T]) -> Iterator[_T]:
    """What ``work`` makes of each part of a table; damaged parts are left out with a warning."""
    if query.table not in trace.tables:
        return
    lost = 0
    reason = ""
    try:
        for future in in_order(lambda part: work(part()), trace.source.parts(query)):
            try:
                result = future.result()
            except READ_ERRORS as error:
                lost, reason = lost + 1, one_line(error)
                continue
            yield result
    except READ_ERRORS as error:
        lost, reason = lost + 1, one_line(error)
    if lost:
        trace.warn(f"{query.table} is damaged ({reason}): part of its rows are missing")
