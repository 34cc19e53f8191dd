"""What threads did: scheduling -> ``thread_states``; instruction samples -> ``samples`` and ``stacks``."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from ...dataset.dictionary_columns import coded, encoded
from .correlation import Pairs
from .enums import OFF_CPU_STATES, THREAD_STATES
from .placement import Context, PlacedColumn
from .source import NULL, Batch, Ints, Query, first_rows
from .trace import pid_of, tid_of

SCHED = "SCHED_EVENTS"
SAMPLES = "COMPOSITE_EVENTS"
STACKS = "SAMPLING_CALLCHAINS"
SAMPLED = np.int64(0)
"""The owner of all samples in the table of pairs: their ids count through the whole file."""
NO_STACK = 0
"""The stack of samples that have none: it is not in ``stacks``."""

_STATES = ("running", "runnable", "blocked", "unknown")
_DEFAULT_PERIOD_NS = 1_000_000


Hashes = np.ndarray[Any, np.dtype[np.uint64]]


class SchedConverter:
    """Pairs a thread's events into ``running`` intervals, and others where the event says why it left.

    Stateful: batches in order of time. A thread's last event of a batch is carried into the next.
    """

    query = Query(SCHED, ints=("start", "globalTid", "isSchedIn", "threadState"), order=("start",))

    def __init__(self, context: Context) -> None:
        self._context = context
        self._last: dict[int, tuple[int, int, int]] = {}

    def __call__(self, batch: Batch) -> pa.Table | None:
        """Intervals that end in this batch; None if there are none."""
        placed = self._context.place(SCHED, batch, end="start")
        owner = batch["globalTid"][placed.keep]
        state = batch["threadState"][placed.keep]
        goes_in = (batch["isSchedIn"][placed.keep] != 0).astype(np.int64)
        return self._pair(owner, placed.start_ns, goes_in, state)

    def _pair(self, owner: Ints, time_ns: Ints, goes_in: Ints, state: Ints) -> pa.Table | None:
        carried = np.array(
            [(thread, *self._last[thread]) for thread in np.unique(owner).tolist() if thread in self._last], np.int64
        ).reshape(-1, 4)
        owner, time_ns, goes_in, state = (
            np.concatenate((carried[:, i], column)) for i, column in enumerate((owner, time_ns, goes_in, state))
        )
        if not len(owner):
            return None
        codes, distinct = coded(owner)
        order = np.lexsort((np.arange(len(owner)), time_ns, codes))
        codes, time_ns, goes_in, state = codes[order], time_ns[order], goes_in[order], state[order]
        same = codes[1:] == codes[:-1]
        last = np.flatnonzero(np.append(~same, True))
        for thread, *values in zip(
            distinct[codes[last]].tolist(), time_ns[last].tolist(), goes_in[last].tolist(), state[last].tolist()
        ):
            self._last[thread] = (values[0], values[1], values[2])
        out_states = np.array([_STATES.index(OFF_CPU_STATES.get(number, "unknown")) for number in range(16)])
        named = (state >= 0) & (state < len(out_states))
        kind = np.where(
            goes_in == 1, 0, np.where(named, out_states[np.where(named, state, 0)], _STATES.index("unknown"))
        )
        chosen = np.flatnonzero(same & (goes_in[1:] != goes_in[:-1]) & (kind[:-1] != _STATES.index("unknown")))
        return self._table(distinct[codes[chosen]], time_ns[chosen], time_ns[chosen + 1], kind[chosen])

    def finish(self) -> pa.Table | None:
        """Threads that were on a core when the recording ended run until there."""
        end = self._context.end_ns
        running = [(thread, time) for thread, (time, goes_in, _) in self._last.items() if goes_in]
        if end is None or not running:
            return None
        owner, begins = np.array(running, np.int64).T
        ends = np.maximum(self._context.to_run(np.full(len(begins), end)), begins)
        return self._table(owner, begins, ends, np.zeros(len(begins), np.int64))

    def _table(self, owner: Ints, start_ns: Ints, end_ns: Ints, kind: Ints) -> pa.Table | None:
        keep = self._context.inside(start_ns, end_ns) & (end_ns > start_ns)
        if not keep.any():
            return None
        owner = np.where(owner == NULL, 0, owner)[keep]
        columns: dict[str, PlacedColumn] = {
            "pid": pid_of(owner),
            "tid": tid_of(owner),
            "start_ns": start_ns[keep],
            "end_ns": end_ns[keep],
            "state": encoded(kind[keep], _STATES),
            "waits_on": None,
        }
        return self._context.table("thread_states", columns, len(owner))


class StackConverter:
    """Turns frames into ``stacks``, each once, and notes which sample has which.

    A stack's id is a hash of its frames, so that equal stacks of two files are equal. Stateful: the
    frames of a sample lie together. Ids of the stacks seen are kept: some bytes for each different one.
    """

    query = Query(STACKS, ints=("id", "symbol", "module", "stackDepth"), order=("id", "stackDepth"))

    def __init__(self, context: Context, stacks: Pairs, wanted: Pairs | None = None) -> None:
        """``stacks`` takes each sample's stack; only samples in ``wanted`` count, if it is given."""
        self._context = context
        self._stacks = stacks
        self._wanted = wanted
        self._seen: set[int] = set()
        self._hashes: dict[int, int] = {}
        self._rest: list[Ints] = []

    def __call__(self, batch: Batch) -> pa.Table | None:
        """New stacks of the samples that end in this batch; None if there are none."""
        columns = [batch[name] for name in self.query.ints]
        if self._rest:
            columns = [np.concatenate(pair) for pair in zip(self._rest, columns)]
        ids = columns[0]
        if not len(ids):
            return None
        cut = len(ids) - int(np.argmax(ids[::-1] != ids[-1])) if (ids != ids[-1]).any() else 0
        self._rest = [column[cut:] for column in columns]
        return self._take([column[:cut] for column in columns])

    def finish(self) -> pa.Table | None:
        """The last sample's stack."""
        return self._take(self._rest) if self._rest else None

    def _take(self, columns: list[Ints]) -> pa.Table | None:
        if self._wanted is not None:
            known = self._wanted.get(np.full(len(columns[0]), SAMPLED), columns[0])[1] != NULL
            columns = [column[known] for column in columns]
        if not len(columns[0]):
            return None
        order = np.lexsort((columns[3], columns[0]))
        ids, symbol, module, depth = (column[order] for column in columns)
        begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
        frame = _mixed(self._hash(symbol) * np.uint64(3) + self._hash(module) + depth.astype(np.uint64))
        hashes = (np.add.reduceat(frame, begins) >> np.uint64(1)).astype(np.int64)
        sampled = ids[begins]
        self._stacks.put(np.full(len(sampled), SAMPLED), sampled, hashes, np.zeros(len(sampled), np.int64))
        distinct, where = np.unique(hashes, return_index=True)
        new = [(int(hash), int(at)) for hash, at in zip(distinct, where) if int(hash) not in self._seen]
        self._seen.update(hash for hash, _ in new)
        ends = np.append(begins[1:], len(ids))
        return self._table([(hash, symbol[begins[at] : ends[at]], module[begins[at] : ends[at]]) for hash, at in new])

    def _hash(self, string_ids: Ints) -> Hashes:
        """A hash of each string, the same in every file and process."""
        codes, distinct = coded(string_ids)
        values = []
        for id, text in zip(distinct.tolist(), self._context.trace.strings.texts(distinct)):
            if id not in self._hashes:
                digest = hashlib.blake2b(_last_part(text or "").encode(errors="replace"), digest_size=8).digest()
                self._hashes[id] = int.from_bytes(digest, "little")
            values.append(self._hashes[id])
        return np.array(values, np.uint64)[codes]

    def _table(self, new: list[tuple[int, Ints, Ints]]) -> pa.Table | None:
        if not new:
            return None
        symbols = np.concatenate([symbol[::-1] for _, symbol, _ in new])  # depth 0 is the leaf
        modules = np.concatenate([module[::-1] for _, _, module in new])
        texts = self._context.trace.strings.texts
        frames = [_frame(s, m) for s, m in zip(texts(symbols), texts(modules))]
        offsets = np.cumsum([0, *(len(symbol) for _, symbol, _ in new)])
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(frames, pa.string()))
        ids = np.array([hash for hash, _, _ in new], np.int64)
        return self._context.table("stacks", {"stack_id": ids, "frames": lists}, len(new))


def _mixed(values: Hashes) -> Hashes:
    """Well-spread 64-bit hashes of 64-bit integers (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _frame(symbol: str | None, module: str | None) -> str:
    return f"{symbol or '[unknown]'} ({_last_part(module or '') or '[unknown]'})"


def _last_part(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


class SampleConverter:
    """Turns samples into rows of ``samples``. Each stands for one sampling period.

    The period is measured: the lower quartile of the time between samples of one thread. Rows with
    ``cpuCycles`` 0 are call stacks taken for another reason (a switch of threads); they stand for no time.
    """

    query = Query(SAMPLES, ints=("id", "start", "globalTid", "threadState", "cpuCycles"))

    def __init__(self, context: Context, stacks: Pairs) -> None:
        self._context = context
        self._stacks = stacks
        self._period_ns = self._measured()

    def _measured(self) -> int:
        batches = first_rows(self._context.trace.source, self.query)
        start, owner, cycles = (
            np.concatenate([batch[name] for batch in batches]) if batches else np.empty(0, np.int64)
            for name in ("start", "globalTid", "cpuCycles")
        )
        usable = (cycles != 0) & (start != NULL)
        order = np.lexsort((start[usable], owner[usable]))
        start, owner = start[usable][order], owner[usable][order]
        gaps = np.diff(start)[owner[1:] == owner[:-1]]
        every = gaps[gaps > 0]
        return int(np.percentile(every, 25)) if len(every) else _DEFAULT_PERIOD_NS

    def __call__(self, batch: Batch) -> pa.Table | None:
        """Rows of the batch that count; None if there are none."""
        placed = self._context.in_window(self._context.place(SAMPLES, batch, end="start"))
        if not len(placed):
            return None
        stack_id, _ = self._stacks.get(np.full(len(placed), SAMPLED), batch["id"][placed.keep])
        state = batch["threadState"][placed.keep]
        words = [THREAD_STATES.get(number, "unknown") for number in range(16)]
        columns = {
            "t_ns": placed.start_ns,
            "weight_ns": np.where(batch["cpuCycles"][placed.keep] == 0, 0, self._period_ns),
            "pid": placed.pid,
            "tid": placed.tid,
            "state": encoded(np.where((state < 0) | (state > 15), 0, state), words),
            "stack_id": np.where(stack_id == NULL, NO_STACK, stack_id),
        }
        return self._context.table("samples", columns, len(placed))
