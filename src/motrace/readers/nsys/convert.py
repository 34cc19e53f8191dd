"""An export -> Parquet tables of declared schema, streamed: memory does not grow with the file.

Row ranges are read and converted by two threads (SQLite and NumPy give up the GIL) and written in
order by the calling one. Batches in flight are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from ...dataset.tables import SCHEMAS, RunKey
from .calls import APIS, OPS, ApiConverter, LabelConverter, OpsConverter
from .correlation import Pairs
from .extent import recording_end
from .metrics import TABLE as METRICS
from .metrics import MetricsConverter
from .nvtx import TABLE as NVTX
from .nvtx import NvtxConverter, labels
from .nvtx import query as nvtx_query
from .placement import SAY, Context, ToRun
from .scheduling import SAMPLED, SAMPLES, SampleConverter, SchedConverter, StackConverter
from .source import READ_ERRORS, Batch, Ints, Query
from .stream import TableWriter, results
from .trace import NsysTrace, one_line
from .unread import name_unread

Tables = Iterator[pa.Table | None]


class InTurn(Protocol):
    """A converter that carries something from one batch to the next."""

    query: Query

    def __call__(self, batch: Batch) -> pa.Table | None: ...

    def finish(self) -> pa.Table | None:
        """Rows that were waiting for a later batch."""


_T = TypeVar("_T")


def _identity(times: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return times


def nvtx_table(trace: NsysTrace, domain: str | None = None) -> pa.Table:
    """Ranges and marks: the schema ``nvtx`` without its key, times in ns from the start of the session.

    ``domain`` keeps only that domain ("" is the default one), which is cheap.
    """
    context = Context(trace, RunKey("", ""), _identity, end_ns=recording_end(trace))
    pieces: list[pa.Table] = []
    try:
        known = labels(trace)
        converter = NvtxConverter(context, known, domain)
        if domain is None or domain == "" or domain in known.domains.values():
            pieces = [t for t in results(trace, nvtx_query(trace, known, domain), converter) if t is not None]
    except READ_ERRORS as error:
        trace.warn(f"{NVTX} is damaged: {one_line(error)}")
    table = pa.concat_tables(pieces) if pieces else SCHEMAS["nvtx"].empty_table()
    return table.drop_columns(list(RunKey._fields))


def convert(
    trace: NsysTrace,
    key: RunKey,
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
    context = Context(trace, key, to_run, None if pids is None else frozenset(pids), window_ns, recording_end(trace))
    conversion = _Conversion(context)
    done: dict[str, int] = {}
    try:
        for name in ("nvtx", "api_calls", "gpu_ops", "gpu_labels", "thread_states", "stacks", "samples", "gpu_metrics"):
            writer = TableWriter(out, name)
            try:
                for table in conversion.guarded(getattr(conversion, name)):
                    if table is not None:
                        writer.write(table)
                if writer.close():
                    done[name] = writer.rows
            finally:
                writer.abandon()
    finally:
        conversion.close()
    for (table, kind), number in sorted(context.problems.items()):
        trace.warn(f"{table}: {number} {SAY[kind]}")
    name_unread(trace)
    return done


class _Conversion:
    """What the tables of one conversion share. A method per table yields its rows, in this order:
    calls before what they launched, stacks before the samples that have them.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._trace = context.trace
        self._launches = Pairs(context.trace.scratch)
        self._stacks = Pairs(context.trace.scratch)

    def close(self) -> None:
        """Give back what is on disk."""
        lost = self._launches.lost
        if lost:
            self._trace.warn(f"{lost} calls have correlation ids out of range: what they launched has no launch")
        self._launches.close()
        self._stacks.close()

    def guarded(self, produce: Callable[[], Tables]) -> Tables:
        """Tables up to where the file is damaged."""
        try:
            yield from produce()
        except READ_ERRORS as error:
            self._trace.warn(f"damaged: {one_line(error)}; the rest of {produce.__name__} is missing")

    def nvtx(self) -> Tables:
        """Ranges and marks."""
        if NVTX in self._trace.tables:
            known = labels(self._trace)
            yield from results(self._trace, nvtx_query(self._trace, known), NvtxConverter(self._context, known))

    def api_calls(self) -> Tables:
        """Calls of all APIs; remembers what may have launched something."""
        for api in APIS:
            for table, launched in results(self._trace, api.query(), ApiConverter(self._context, api)):
                if launched is not None:
                    self._launches.put(*launched)
                yield table

    def gpu_ops(self) -> Tables:
        """GPU operations."""
        for ops in OPS:
            yield from results(self._trace, ops.query(), OpsConverter(self._context, ops, self._launches))

    def gpu_labels(self) -> Tables:
        """Debug labels."""
        yield from self._in_turn(LabelConverter(self._context))

    def thread_states(self) -> Tables:
        """Scheduling."""
        yield from self._in_turn(SchedConverter(self._context))

    def stacks(self) -> Tables:
        """Stacks of the samples that count."""
        some = self._context.pids is not None or self._context.window_ns is not None
        wanted = Pairs(self._trace.scratch) if some else None
        if wanted is not None:
            for ids in results(self._trace, SampleConverter.query, self._wanted):
                wanted.put(np.full(len(ids), SAMPLED), ids, ids, np.zeros(len(ids), np.int64))
        try:
            yield from self._in_turn(StackConverter(self._context, self._stacks, wanted))
        finally:
            if wanted is not None:
                wanted.close()

    def _wanted(self, batch: Batch) -> Ints:
        placed = self._context.in_window(self._context.place(SAMPLES, batch, end="start"))
        return batch["id"][placed.keep]

    def samples(self) -> Tables:
        """Samples."""
        if SAMPLES in self._trace.tables:
            yield from results(self._trace, SampleConverter.query, SampleConverter(self._context, self._stacks))

    def gpu_metrics(self) -> Tables:
        """Readings of the GPU's counters."""
        if METRICS in self._trace.tables:
            yield from results(self._trace, MetricsConverter.query, MetricsConverter(self._context))

    def _in_turn(self, converter: InTurn) -> Tables:
        """Batches are read ahead, but converted one after the other."""
        for batch in results(self._trace, converter.query, _same):
            yield converter(batch)
        yield converter.finish()


def _same(batch: _T) -> _T:
    return batch
