"""The time of the thread that matters of a trace that stands alone: VizTracer's calls, PyTorch's operators."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..arrays import Array
from ..dataset.dictionary_columns import constant
from ..dataset.thread_time import Basis, ThreadPart, ThreadTime
from ..readers.viztracer import FunctionCalls
from ..sampling.python_waits import IDLE, waits_for
from ..sampling.thread_time import OTHERS, RUNS, UNKNOWN, heaviest
from ..timeline.intervals import Intervals
from .function_loop import FunctionLoop

NO_OPERATORS = ("c10d::", "gloo:", "nccl:", "record_param_comms")
"""Operators that wait for other ranks."""


def called_time(calls: FunctionCalls, loop: FunctionLoop | None) -> ThreadTime:
    """Of every call: functions that are known to wait, and the rest, in which the thread ran as far as they show."""
    first, last = calls.extent_ns if loop is None else (int(loop.start_ns[0]), int(loop.end_ns[-1]))
    thread = _longest(calls) if loop is None else (loop.pid, loop.tid)
    mine = (calls.pid == thread[0]) & (calls.tid == thread[1])
    inside = mine & (calls.start_ns >= first) & (calls.end_ns <= last)
    whole = max(1, last - first)
    waits = [waits_for(name) for name in calls.names]
    own = np.bincount(calls.name[inside], calls.own_ns[inside].astype(float), len(calls.names))
    sums, places = Counter[str](), dict[str, Counter[str]]()
    for name, cause, ns in zip(calls.names, waits, own.tolist()):
        sums[cause or RUNS] += round(ns)
        places.setdefault(cause or RUNS, Counter())[name] += round(ns)
    sums[RUNS] += max(0, whole - sums.total())
    blocked = np.array([cause is not None for cause in waits], bool)[calls.name]
    idle = np.array([cause == IDLE for cause in waits], bool)[calls.name]
    worked = _worked(calls, ~mine, blocked)
    with_others = Intervals.union(calls.start_ns[inside & idle], calls.end_ns[inside & idle]) & worked
    taken = min(with_others.total_ns, sums[IDLE])
    if taken:
        places[OTHERS] = places[IDLE] if 2 * taken > sums[IDLE] else Counter()
        sums[IDLE], sums[OTHERS] = sums[IDLE] - taken, taken
    running = sums[RUNS] / whole
    parts = []
    for cause, ns in sums.most_common():
        share = min(1.0, ns / whole)
        lo, hi = (0.0, share) if cause == RUNS else (0.0 if cause == OTHERS else share, min(1.0, share + running))
        if ns:
            parts.append(ThreadPart(cause, share, lo, hi, heaviest(places.get(cause, {}), whole, whole / 1e9)))
    return ThreadTime(Basis.CALLS, whole / 1e9, True, False, tuple(parts))


def _longest(calls: FunctionCalls) -> tuple[int, int]:
    """The main thread; else the one with the longest calls."""
    took: Counter[tuple[int, int]] = Counter()
    for pid, tid, ns in zip(calls.pid.tolist(), calls.tid.tolist(), calls.own_ns.tolist()):
        took[pid, tid] += ns
    return max(took, key=lambda key: (key[0] == key[1], took[key]))


def _worked(calls: FunctionCalls, others: Array, blocked: Array) -> Intervals:
    """When any other thread was in a call, and not in one that waits."""
    found = Intervals.nothing()
    for pid, tid in {*zip(calls.pid[others].tolist(), calls.tid[others].tolist())}:
        rows = (calls.pid == pid) & (calls.tid == tid)
        every = Intervals.union(calls.start_ns[rows], calls.end_ns[rows])
        found = found | (every - Intervals.union(calls.start_ns[rows & blocked], calls.end_ns[rows & blocked]))
    return found


WAITS_ON = {"pacing": "sleep", "pipe": "pipe", "io": "file", "other_processes": "child", IDLE: "lock"}
"""What a cause's call waits on, in the words of ``api_calls``."""


def waiting_calls(calls: FunctionCalls) -> pa.Table:
    """The calls that are known to wait, as rows of ``api_calls`` without their key."""
    waits = [waits_for(name) for name in calls.names]
    rows = np.flatnonzero(np.array([cause is not None for cause in waits], bool)[calls.name])
    code, count = calls.name[rows], len(rows)
    words = pa.array([None if cause is None else WAITS_ON[cause] for cause in waits], pa.string())
    columns = {
        "pid": calls.pid[rows], "tid": calls.tid[rows], "api": constant("python", count),
        "name": pa.array(calls.names).take(pa.array(code)).dictionary_encode(),
        "start_ns": calls.start_ns[rows], "end_ns": calls.end_ns[rows],
        "correlation": pa.nulls(count, pa.int64()), "waits_on": words.take(pa.array(code)).dictionary_encode(),
        "source": constant("VizTracer", count),
    }  # fmt: skip
    return pa.table(columns)


@dataclass(frozen=True)
class HostEvents:
    """Events of threads of a trace, parallel arrays; ``name`` holds codes into ``names``."""

    names: Sequence[str]
    name: Array
    tid: Array
    start_ns: Array
    end_ns: Array

    @classmethod
    def of(cls, table: pa.Table) -> HostEvents:
        """From a table of ``readers.torch``."""
        names = table.column("name").cast(pa.string()).combine_chunks().dictionary_encode()
        columns = (table.column(name).to_numpy() for name in ("tid", "start_ns", "end_ns"))
        code = names.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return cls([str(name) for name in names.dictionary.to_pylist()], code, *columns)

    def where(self, rows: Array) -> HostEvents:
        """Some of them."""
        return HostEvents(self.names, self.name[rows], self.tid[rows], self.start_ns[rows], self.end_ns[rows])

    @property
    def busy(self) -> Intervals:
        """When any of them was."""
        return Intervals.union(self.start_ns, self.end_ns)


def operated_time(on_cpu: pa.Table, of_python: pa.Table) -> ThreadTime | None:
    """Of operators on the CPU, which are the thread's own work, and of functions of Python; gaps are not known."""
    operators, functions = HostEvents.of(on_cpu), HostEvents.of(of_python)
    real = np.array(["::" in name and not name.startswith(NO_OPERATORS) for name in operators.names], bool)
    tids, which = np.unique(np.concatenate((operators.tid, functions.tid)), return_inverse=True)
    if not len(tids):
        return None
    lengths = np.concatenate((operators.end_ns - operators.start_ns, functions.end_ns - functions.start_ns))
    tid = int(tids[np.argmax(np.bincount(which.reshape(-1), lengths.astype(float)))])
    all_ops, functions = operators.where(operators.tid == tid), functions.where(functions.tid == tid)
    ops = all_ops.where(real[all_ops.name])
    extent = all_ops.busy | functions.busy
    first, last = int(extent.start_ns[0]), int(extent.end_ns[-1])
    whole, waits = max(1, last - first), [waits_for(name) for name in functions.names]
    parts: dict[str, Intervals] = {}
    left = Intervals.nothing().gaps(first, last)
    for cause in sorted({cause for cause in waits if cause}):
        rows = np.array([one == cause for one in waits], bool)[functions.name]
        parts[cause] = functions.where(rows).busy & left
        left = left - parts[cause]
    parts["native"] = ops.busy & left
    left = left - parts["native"]
    parts[RUNS] = functions.busy & left
    parts[UNKNOWN] = left - parts[RUNS]
    return ThreadTime(Basis.OPERATORS, whole / 1e9, True, False, _bounded(parts, whole, ops, functions, waits))


def _bounded(
    parts: Mapping[str, Intervals], whole: int, ops: HostEvents, functions: HostEvents, waits: Sequence[str | None]
) -> tuple[ThreadPart, ...]:
    hidden = (parts[RUNS].total_ns + parts[UNKNOWN].total_ns) / whole
    out = []
    for cause, found in sorted(parts.items(), key=lambda item: -item[1].total_ns):
        share = found.total_ns / whole
        if not share:
            continue
        lo = 0.0 if cause in (RUNS, UNKNOWN) else share
        hi = share if cause in (RUNS, UNKNOWN) else min(1.0, share + hidden)
        named = _own(ops) if cause == "native" else _own(functions)
        if cause not in ("native", RUNS):
            named = Counter({name: ns for name, ns in named.items() if waits_for(name) == cause})
        out.append(ThreadPart(cause, share, lo, hi, heaviest(named, whole, whole / 1e9)))
    return tuple(out)


def _own(events: HostEvents) -> Counter[str]:
    """Time by name without what is inside."""
    order = np.lexsort((-events.end_ns, events.start_ns))
    sums: Counter[str] = Counter()
    around: list[tuple[int, str]] = []
    for code, start, end in zip(*(column[order].tolist() for column in (events.name, events.start_ns, events.end_ns))):
        while around and around[-1][0] <= start:
            around.pop()
        name = re.sub(r" at 0x[0-9a-fA-F]+", "", events.names[code])
        sums[name] += end - start
        if around:
            sums[around[-1][1]] -= min(end, around[-1][0]) - start
        around.append((end, name))
    return sums
