"""An export -> Parquet tables of declared schema, streamed: memory does not grow with the file.

Row ranges are read and converted by two threads (SQLite and NumPy give up the GIL) and written in
order by the calling one. Batches in flight are bounded.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..tables import SCHEMAS
from .nsys_calls import APIS, LABEL_TABLE, OPS, ApiConverter, LabelConverter, OpsConverter
from .nsys_join import Pairs
from .nsys_nvtx import TABLE as NVTX
from .nsys_nvtx import NvtxConverter, labels
from .nsys_nvtx import query as nvtx_query
from .nsys_place import SAY, Context, ToRun
from .nsys_source import READ_ERRORS, Batch, Query
from .nsys_trace import NsysTrace, one_line

_T = TypeVar("_T")
WORKERS = 2
_AHEAD = 2 * WORKERS


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
                compression="zstd",
                compression_level=1,
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


def in_order(parts: Iterator[Callable[[], Batch]], work: Callable[[Batch], _T]) -> Iterator[Future[_T]]:
    """``work`` on each part, a few at once, in threads; the results in order."""
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[_T]] = deque()
        try:
            for part in parts:
                waiting.append(pool.submit(lambda part=part: work(part())))  # type: ignore[misc]
                if len(waiting) > _AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for future in waiting:
                future.cancel()


def results(trace: NsysTrace, query: Query, work: Callable[[Batch], _T]) -> Iterator[_T]:
    """What ``work`` makes of each part of a table; damaged parts are left out with a warning."""
    if query.table not in trace.tables:
        return
    lost = 0
    reason = ""
    try:
        for future in in_order(trace.source.parts(query), work):
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


def _identity(times: NDArray[np.int64]) -> NDArray[np.int64]:
    return times


def nvtx_table(trace: NsysTrace, domain: str | None = None) -> pa.Table:
    """Ranges and marks: the schema ``nvtx`` without ``run``, times in ns from the start of the session.

    ``domain`` keeps only that domain ("" is the default one), which is cheap.
    """
    context = Context(trace, "", _identity)
    pieces: list[pa.Table] = []
    try:
        known = labels(trace)
        converter = NvtxConverter(context, known, domain)
        if domain is None or domain == "" or domain in known.domains.values():
            pieces = [t for t in results(trace, nvtx_query(trace, known, domain), converter) if t is not None]
    except READ_ERRORS as error:
        trace.warn(f"{NVTX} is damaged: {one_line(error)}")
    table = pa.concat_tables(pieces) if pieces else SCHEMAS["nvtx"].empty_table()
    return table.drop_columns(["run"])


def convert(
    trace: NsysTrace,
    run_id: str,
    out: Path,
    to_run: ToRun,
    pids: Collection[int] | None = None,
    window_ns: tuple[int, int] | None = None,
) -> dict[str, int]:
    """Write ``out/<table>.parquet`` for each event table that has rows; returns rows by table.

    ``to_run`` maps an array of trace times to run times, ns; it must be monotonic. Only events of
    ``pids`` count (None: all), and of these only what overlaps ``window_ns`` (run times). What is
    damaged is left out with one of the trace's warnings. Raises OSError where it can't write.
    """
    out.mkdir(parents=True, exist_ok=True)
    context = Context(trace, run_id, to_run, None if pids is None else frozenset(pids), window_ns)
    launches = Pairs(trace.scratch)
    done: dict[str, int] = {}
    try:
        for name, produce in _producers(context, launches).items():
            writer = TableWriter(out, name)
            try:
                for table in produce():
                    if table is not None:
                        writer.write(table)
                if writer.close():
                    done[name] = writer.rows
            finally:
                writer.abandon()
        if launches.lost:
            trace.warn(f"{launches.lost} calls have correlation ids out of range: what they launched has no launch")
    finally:
        launches.close()
    _report(context)
    return done


def _report(context: Context) -> None:
    for (table, kind), number in sorted(context.problems.items()):
        context.trace.warn(f"{table}: {number} {SAY[kind]}")


def _producers(context: Context, launches: Pairs) -> dict[str, Callable[[], Iterator[pa.Table | None]]]:
    trace = context.trace

    def nvtx() -> Iterator[pa.Table | None]:
        try:
            known = labels(trace)
            yield from results(trace, nvtx_query(trace, known), NvtxConverter(context, known))
        except READ_ERRORS as error:
            trace.warn(f"{NVTX} is damaged: {one_line(error)}")

    def api_calls() -> Iterator[pa.Table | None]:
        for api in APIS:
            for table, launched in results(trace, api.query(), ApiConverter(context, api)):
                if launched is not None:
                    launches.put(*launched)
                yield table

    def gpu_ops() -> Iterator[pa.Table | None]:
        for ops in OPS:
            yield from results(trace, ops.query(), OpsConverter(context, ops, launches))

    def gpu_labels() -> Iterator[pa.Table | None]:
        converter = LabelConverter(context)
        if LABEL_TABLE in trace.tables:
            for batch in results(trace, LabelConverter.query, _same):
                yield converter(batch)
            converter.finish()

    return {"nvtx": nvtx, "api_calls": api_calls, "gpu_ops": gpu_ops, "gpu_labels": gpu_labels}


def _same(batch: Any) -> Any:
    return batch
