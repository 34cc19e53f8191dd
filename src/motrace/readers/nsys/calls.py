"""Calls and GPU operations: CUDA, Vulkan and the OS runtime -> ``api_calls``, ``gpu_ops``, ``gpu_labels``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...arrays import Array
from ...dataset.dictionary_columns import constant, encoded
from .correlation import Pairs
from .enums import (
    AT_ONCE_NS,
    CUDA_CLASSES,
    LATE_NS,
    MEMCPY_KINDS,
    OSRT_CLASS,
    SLICE_NS,
    TIMED_WAIT,
    VULKAN_API_CLASS,
    api_name,
    waits_on,
)
from .placement import UNPAIRED, Context, Keep, Placed
from .source import NULL, Batch, Ints, Mask, Query


@dataclass(frozen=True)
class Api:
    """Where calls of an API are."""

    api: str
    table: str
    classes: tuple[int, ...]
    correlated: bool = True

    def query(self) -> Query:
        """What to read."""
        ints = ("start", "end", "globalTid", "nameId") + (("correlationId",) if self.correlated else ())
        return Query(self.table, ints=ints, among={"eventClass": self.classes})


APIS = (
    Api("cuda", "CUPTI_ACTIVITY_KIND_RUNTIME", CUDA_CLASSES),
    Api("vulkan", "VULKAN_API", (VULKAN_API_CLASS,)),
    Api("osrt", "OSRT_API", (OSRT_CLASS,), correlated=False),
)

Launches = tuple[Ints, Ints, Ints, Ints]


class ApiConverter:
    """Turns calls into rows of ``api_calls``, and says which of them may have launched something."""

    def __init__(self, context: Context, api: Api) -> None:
        self._context = context
        self._api = api

    def __call__(self, batch: Batch) -> tuple[pa.Table | None, Launches | None]:
        """Rows inside the window, and (pid, correlation, start_ns, tid) of all calls."""
        context, api = self._context, self._api
        every = context.place(api.table, batch)
        launches = None
        if api.correlated and len(every):
            launches = (every.pid, batch["correlationId"][every.keep], every.start_ns, every.tid)
        placed = context.in_window(every)
        if not len(placed):
            return None, launches
        strings = context.trace.strings
        names = strings.column(batch["nameId"][placed.keep], api_name if api.api == "cuda" else str, otherwise="")
        words = names.dictionary.to_pylist()
        codes = names.indices.to_numpy(zero_copy_only=False)
        columns = {
            "pid": placed.pid,
            "tid": placed.tid,
            "api": api.api,
            "name": names,
            "start_ns": placed.start_ns,
            "end_ns": placed.end_ns,
            "correlation": batch["correlationId"][placed.keep] if api.correlated else None,
            "waits_on": self._waits_on(placed, codes, words),
        }
        return context.table("api_calls", columns, len(placed)), launches

    def _waits_on(self, placed: Placed, codes: Array, words: list[str]) -> pa.Array:
        """What each call waits on; a timed wait may be for Python's interpreter lock."""
        waits: list[str | None] = [waits_on(self._api.api, word) for word in words]
        if self._api.api == "osrt" and TIMED_WAIT in words and self._context.trace.pythons:
            timed = codes == words.index(TIMED_WAIT)
            timed &= np.isin(placed.pid, list(self._context.trace.pythons))
            codes = codes.copy()
            codes[timed_for_the_lock(placed, timed)] = len(waits)
            waits.append("gil")
        return encoded(codes, waits)


def timed_for_the_lock(placed: Placed, timed: Mask) -> Ints:
    """The rows, of timed waits of Python programs, that are waits for the interpreter lock.

    A Python thread asks for it one switch interval (5 ms) after the other, at once again where it did not get it.
    CPython waits for nothing else in such a call: its locks are semaphores.
    """
    rows = np.flatnonzero(timed)
    rows = rows[np.lexsort((placed.start_ns[rows], placed.tid[rows]))]
    took = placed.end_ns[rows] - placed.start_ns[rows]
    at_once = placed.start_ns[rows[1:]] - placed.end_ns[rows[:-1]] < AT_ONCE_NS
    at_once &= placed.tid[rows[1:]] == placed.tid[rows[:-1]]
    slices = took >= SLICE_NS
    slices &= (took <= LATE_NS) | np.append(at_once, False)[: len(rows)]
    follows = np.append(False, at_once & slices[:-1])[: len(rows)]
    found: Ints = rows[slices | follows]
    return found


@dataclass(frozen=True)
class OpsTable:
    """Where GPU operations of a kind are, and which columns say what."""

    kind: str
    table: str
    owner: str = "globalPid"
    device: str = "deviceId"
    queue: str = "streamId"
    names: tuple[str, ...] = ()
    has_bytes: bool = False
    text: str = ""

    def query(self) -> Query:
        """What to read."""
        ints = ["start", "end", self.owner, self.device, self.queue, "correlationId"]
        if self.has_bytes:
            ints.append("bytes")
        if self.owner == "globalTid":
            ints.append("endCorrelationId")
        return Query(self.table, ints=tuple(ints), first={"name": self.names} if self.names else {})


OPS = (
    OpsTable("kernel", "CUPTI_ACTIVITY_KIND_KERNEL", names=("demangledName", "shortName", "mangledName")),
    OpsTable("memcpy", "CUPTI_ACTIVITY_KIND_MEMCPY", names=("copyKind",), has_bytes=True),
    OpsTable("memset", "CUPTI_ACTIVITY_KIND_MEMSET", has_bytes=True, text="memset"),
    OpsTable("kernel", "CUPTI_ACTIVITY_KIND_GRAPH_TRACE", text="CUDA graph"),
    OpsTable("graphics", "VULKAN_WORKLOAD", "globalTid", "gpu", "contextId", names=("textId", "nameId")),
)


def op_names(context: Context, ops: OpsTable, batch: Batch, keep: Keep) -> pa.DictionaryArray:
    """The names of those operations of a batch that ``keep`` picks."""
    if ops.text:
        return constant(ops.text, len(batch["start"][keep]))
    if ops.kind == "memcpy":
        kinds = batch["name"][keep]
        known = np.where((kinds < 0) | (kinds > max(MEMCPY_KINDS)), 0, kinds)
        return encoded(known, [MEMCPY_KINDS.get(kind, "Unknown") for kind in range(max(MEMCPY_KINDS) + 1)])
    return context.trace.strings.column(batch["name"][keep], otherwise="")


class OpsConverter:
    """Turns GPU operations into rows of ``gpu_ops``; those whose call is not in the trace stay."""

    def __init__(self, context: Context, ops: OpsTable, launches: Pairs) -> None:
        self._context = context
        self._ops = ops
        self._launches = launches

    def __call__(self, batch: Batch) -> pa.Table | None:
        """Rows of the batch that count; None if there are none."""
        ops = self._ops
        placed = self._context.in_window(self._context.place(ops.table, batch, who=ops.owner))
        if not len(placed):
            return None
        keep = placed.keep
        correlation = batch["correlationId"][keep]
        launch_ns, launch_tid = self._launches.get(placed.pid, correlation)
        if ops.owner == "globalTid":  # the first of a range of calls may be one that only records commands
            last_ns, last_tid = self._launches.get(placed.pid, batch["endCorrelationId"][keep])
            launch_ns = np.where(launch_ns == NULL, last_ns, launch_ns)
            launch_tid = np.where(launch_tid == NULL, last_tid, launch_tid)
        columns = {
            "device": np.where(batch[ops.device][keep] == NULL, 0, batch[ops.device][keep]),
            "queue": np.where(batch[ops.queue][keep] == NULL, 0, batch[ops.queue][keep]),
            "kind": ops.kind,
            "name": op_names(self._context, ops, batch, keep),
            "start_ns": placed.start_ns,
            "end_ns": placed.end_ns,
            "pid": placed.pid,
            "launch_ns": launch_ns,
            "launch_tid": launch_tid,
            "correlation": correlation,
            "bytes": batch["bytes"][keep] if ops.has_bytes else None,
        }
        return self._context.table("gpu_ops", columns, len(placed))


LABEL_TABLE = "VULKAN_DEBUG_API"


class LabelConverter:
    """Pairs the begin and end of debug labels of each command buffer: ``gpu_labels``.

    A begin has a text, an end has none. Stateful: batches in order of time.
    """

    query = Query(LABEL_TABLE, ints=("start", "end", "globalTid", "contextId", "nameId", "textId"), order=("start",))

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open: dict[tuple[int, int], list[tuple[int, int, int]]] = {}

    def __call__(self, batch: Batch) -> pa.Table | None:
        """Labels that end in this batch; None if there are none."""
        placed = self._context.place(LABEL_TABLE, batch)
        text_id = batch["textId"][placed.keep]
        context = np.where(batch["contextId"] == NULL, 0, batch["contextId"])[placed.keep]
        names = dict(zip(*self._kinds(batch["nameId"][placed.keep]), strict=True))
        rows: list[tuple[int, int, int, int, int, int]] = []
        for pid, tid, start, end, buffer, text, kind in zip(
            placed.pid.tolist(), placed.tid.tolist(), placed.start_ns.tolist(), placed.end_ns.tolist(),
            context.tolist(), text_id.tolist(), batch["nameId"][placed.keep].tolist(), strict=True,
        ):  # fmt: skip
            if "Insert" in names[kind]:
                rows.append((pid, tid, buffer, text, start, end))
            elif text != NULL:
                self._open.setdefault((pid, buffer), []).append((tid, text, start))
            elif self._open.get((pid, buffer)):
                begin_tid, begin_text, begin = self._open[pid, buffer].pop()
                rows.append((pid, begin_tid, buffer, begin_text, begin, max(begin, end)))
            else:
                self._context.count(LABEL_TABLE, UNPAIRED, 1)
        return self._table(rows)

    def _kinds(self, name_ids: Ints) -> tuple[list[int], list[str]]:
        distinct = np.unique(name_ids)
        return distinct.tolist(), [name or "" for name in self._context.trace.strings.texts(distinct)]

    def _table(self, rows: list[tuple[int, int, int, int, int, int]]) -> pa.Table | None:
        values = np.array(rows, np.int64).reshape(-1, 6)
        values = values[self._context.inside(values[:, 4], values[:, 5])]
        if not len(values):
            return None
        pid, tid, context, text, start_ns, end_ns = (np.ascontiguousarray(column) for column in values.T)
        columns = {"pid": pid, "tid": tid, "context": context, "start_ns": start_ns, "end_ns": end_ns}
        columns["name"] = self._context.trace.strings.column(text, otherwise="")
        return self._context.table("gpu_labels", columns, len(values))

    def finish(self) -> None:
        """Count the labels that were never ended; there are no more rows."""
        self._context.count(LABEL_TABLE, UNPAIRED, sum(map(len, self._open.values())))
