"""Event tables of one run, read back in windows of time, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..arrays import Array
from ..vocabulary import GPU_APIS, Tool
from .tables import EVENT_TABLES

NO_LAUNCH = int(np.iinfo(np.int64).min)
"""In place of ``launch_ns`` where the launching call is not in the trace: before every run."""


@dataclass(frozen=True)
class EventStore:
    """Folders of ``<table>.parquet`` files of one run, one for each source, on the run's clock (int64 ns)."""

    folders: tuple[Path, ...]

    def files(self, table: str) -> list[Path]:
        """The files that hold a table."""
        return [path for folder in self.folders if (path := folder / f"{table}.parquet").exists()]

    def rows(self, table: str) -> int:
        """How many rows a table has; 0 if there is none."""
        return sum(pq.read_metadata(path).num_rows for path in self.files(table))

    def counts(self) -> dict[str, int]:
        """Rows of each table that there is."""
        return {table: rows for table in EVENT_TABLES if (rows := self.rows(table))}

    def event_files(self) -> dict[str, tuple[Path, ...]]:
        """The files of each table that has rows."""
        return {table: tuple(self.files(table)) for table in self.counts()}

    def load(
        self,
        table: str,
        columns: Sequence[str],
        window_ns: tuple[int, int] | None = None,
        where: pc.Expression | None = None,
    ) -> pa.Table:
        """Columns of the rows that overlap a window; all of them without one. Empty if there is no table."""

        files = self.files(table)
        if not files:
            return pa.table({name: pa.array([], pa.int64()) for name in columns})
        condition = where
        if window_ns is not None:
            inside = (pc.field("start_ns") < window_ns[1]) & (pc.field("end_ns") >= window_ns[0])
            condition = inside if condition is None else condition & inside
        from pyarrow import dataset  # imports pandas, which takes longer than all else

        return dataset.dataset(files).to_table(columns=list(columns), filter=condition)

    def batches(self, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of a table, batch by batch, in the order of the files."""
        for path in self.files(table):
            yield from pq.ParquetFile(path).iter_batches(1 << 18, columns=list(columns))

    def words(self, table: str, column: str) -> frozenset[str]:
        """The distinct words of a column."""
        found: set[str] = set()
        for batch in self.batches(table, [column]):
            found.update(str(word) for word in pc.unique(batch.column(0).cast(pa.string())).to_pylist())
        return frozenset(found)


def integers(table: pa.Table, name: str, missing: int = -1) -> Array:
    """A column of integers, nulls replaced."""
    column = table.column(name)
    return np.asarray(pc.fill_null(column, missing).to_numpy() if column.null_count else column.to_numpy(), np.int64)


def codes(table: pa.Table, name: str) -> tuple[Array, list[str | None]]:
    """A column of words as codes into a list of words; null is a word too (None), the last."""
    column = table.column(name).combine_chunks() if table.num_rows else pa.array([], pa.string())
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    words: list[str | None] = [*column.dictionary.to_pylist(), None]
    return np.asarray(pc.fill_null(column.indices, len(words) - 1).to_numpy(zero_copy_only=False), np.int64), words


def _says(table: pa.Table, name: str, *chosen: str) -> Array:
    """In which rows a column of words says one of these."""
    found, words = codes(table, name)
    return np.isin(found, [index for index, one in enumerate(words) if one in chosen])


def _who_and_when(table: pa.Table) -> tuple[Array, Array, Array, Array]:
    pid, tid, start_ns, end_ns = (integers(table, name) for name in ("pid", "tid", "start_ns", "end_ns"))
    return pid, tid, start_ns, end_ns


@dataclass(frozen=True)
class TracedStates:
    """Rows of ``thread_states`` of one source in a window; parallel arrays; ``waits_on`` is one of words."""

    source: str
    pid: Array
    tid: Array
    start_ns: Array
    end_ns: Array
    running: Array
    blocked: Array
    waits_on: Array


@dataclass(frozen=True)
class Calls:
    """Rows of ``api_calls`` that wait, in a window; ``waits_on`` is an array of words, ``gpu`` which are a GPU's API's.

    ``vulkan`` are those of Vulkan among them.
    """

    pid: Array
    tid: Array
    start_ns: Array
    end_ns: Array
    waits_on: Array
    gpu: Array
    vulkan: Array


@dataclass(frozen=True)
class TracedOps:
    """Rows of ``gpu_ops`` in a window; ``graphics`` is False for kernels and ``copies``."""

    device: Array
    graphics: Array
    copies: Array
    start_ns: Array
    end_ns: Array
    launch_ns: Array


@dataclass(frozen=True)
class WindowEvents:
    """Everything in a window that tells who worked and who waited; run times, int64 ns.

    ``worked`` are begins and ends of one thread's calls that don't wait, where that was asked for.
    """

    states: TracedStates | None
    calls: Calls
    ops: TracedOps
    worked: tuple[Array, Array] | None = None


def state_source(store: EventStore) -> str | None:
    """The best source of thread states in a store: the scheduler's events before samples; None if there is none."""
    sources = store.words("thread_states", "source")
    return min(sources, key=lambda source: (source != Tool.NSYS, source), default=None)


def kinds_of(store: EventStore, pids: Collection[int] | None = None) -> frozenset[str]:
    """The kinds of GPU work that processes submitted; None for all."""
    kind, words = codes(store.load("gpu_ops", ("kind",), where=submitted_by(pids)), "kind")
    return frozenset(str(words[code]) for code in np.unique(kind))


def submitted_by(pids: Collection[int] | None) -> pc.Expression | None:
    """GPU work of some processes; work of which the process is not known may be theirs."""
    if pids is None:
        return None
    pid = pc.field("pid")
    return pid.isin(sorted(pids)) | pc.is_null(pid) | (pid <= 0)


def load_window(
    store: EventStore,
    window_ns: tuple[int, int],
    source: str | None,
    pids: Collection[int] | None = None,
    worked_by: tuple[int, int] | None = None,
) -> WindowEvents:
    """The events that overlap a window of run times, ns; of the GPU's work what ``pids`` (None: all) submitted.

    ``worked_by`` is the thread (pid, tid) whose calls that don't wait are asked for.
    """
    states = None
    if source is not None:
        rows = store.load(
            "thread_states",
            ("pid", "tid", "start_ns", "end_ns", "state", "waits_on"),
            window_ns,
            pc.field("source") == source,
        )
        running, blocked = _says(rows, "state", "running"), _says(rows, "state", "blocked")
        waits, kinds = codes(rows, "waits_on")
        waited = np.array([str(kind) for kind in kinds], object)[waits]
        states = TracedStates(source, *_who_and_when(rows), running, blocked, waited)
    columns = ("pid", "tid", "start_ns", "end_ns", "waits_on", "api")
    rows = store.load("api_calls", columns, window_ns, pc.is_valid(pc.field("waits_on")))
    waits, words = codes(rows, "waits_on")
    waits_on = np.array([str(word) for word in words], object)[waits]
    calls = Calls(*_who_and_when(rows), waits_on, _says(rows, "api", *GPU_APIS), _says(rows, "api", "vulkan"))
    worked = None
    if worked_by is not None:
        mine = (pc.field("pid") == worked_by[0]) & (pc.field("tid") == worked_by[1])
        rows = store.load("api_calls", ("start_ns", "end_ns"), window_ns, mine & pc.is_null(pc.field("waits_on")))
        worked = integers(rows, "start_ns"), integers(rows, "end_ns")
    return WindowEvents(states, calls, load_ops(store, pids, window_ns), worked)


def load_ops(
    store: EventStore, pids: Collection[int] | None = None, window_ns: tuple[int, int] | None = None
) -> TracedOps:
    """GPU operations that ``pids`` (None: all) submitted and that overlap a window of run times (None: all).

    Another process's work, a rank's or a stranger's on the same GPU, explains no wait of these processes.
    """
    columns = ("device", "kind", "start_ns", "end_ns", "launch_ns")
    rows = store.load("gpu_ops", columns, window_ns, submitted_by(pids))
    return TracedOps(
        integers(rows, "device"),
        _says(rows, "kind", "graphics"),
        _says(rows, "kind", "memcpy", "memset"),
        integers(rows, "start_ns"),
        integers(rows, "end_ns"),
        integers(rows, "launch_ns", NO_LAUNCH),
    )
