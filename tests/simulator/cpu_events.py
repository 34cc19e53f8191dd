"""What the profiler saw of the CPU: ranges, scheduling, waiting calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clock import lags
from .config import LOOP_PID
from .schema import SYNC
from .tape import LOOP, Tape, global_id
from .world import BLOCKED, RUNNABLE, RUNNING, Chunk, runs

Array = np.ndarray[Any, Any]

_OSRT = 27
SHORTEST_CALL_NS = 1_000
"""nsys leaves out calls of the OS runtime that are shorter."""
_WORKER_WAITS = ("futex", "pthread_cond_wait", "sem_wait", "poll", "read")
_LOOP_WAITS = ("futex", "poll", "read", "epoll_wait", "ioctl")
_SYNC = "cudaStreamSynchronize_v3020"
_EVERY_SYNC_NS = 1_000_000_000
_DOMAIN = 1


class Ranges:
    """The NVTX ranges that the recorder writes beside its spans, and its marks."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._next_sync = 0

    def begin(self, start_ns: int) -> None:
        """What comes first: the domain's name and the run's id."""
        start = self._tape.clock(np.array([start_ns]))
        who = {"globalTid": LOOP, "domainId": _DOMAIN}
        name: dict[str, Any] = {"textId": self._tape.export.id("motrace")}
        self._tape.export.add("NVTX_EVENTS", {"start": start, "eventType": 75, **who, **name})
        self._mark(f"motrace.run {self._tape.config.run_id}", start)

    def add(self, chunk: Chunk) -> None:
        """The ranges of a chunk."""
        spans, export = chunk.layout.spans, self._tape.export
        begins = np.stack([chunk.stamps(first) for _, first, _ in spans], axis=1).reshape(-1)
        ends = np.stack([chunk.stamps(last) for *_, last in spans], axis=1).reshape(-1)
        stamps = np.unique(np.concatenate((begins, ends, chunk.edges[[0, -1]])))
        place = np.searchsorted(stamps, begins)
        # Stamps lie between neighbouring readings of the loop thread, so that ranges nest as spans do.
        early = lags(self._tape.random, self._tape.config.jitter_ns, (begins - stamps[np.maximum(place - 1, 0)]) // 2)
        place = np.minimum(np.searchsorted(stamps, ends) + 1, len(stamps) - 1)
        late = lags(self._tape.random, self._tape.config.jitter_ns, (stamps[place] - ends) // 2)
        names = [name for name, *_ in spans]
        rows: dict[str, Any] = {"eventType": 59, "domainId": _DOMAIN, "globalTid": LOOP}
        if self._tape.config.inline_text:
            rows["text"] = names * chunk.frames
        else:
            rows["textId"] = np.tile(export.ids(names), chunk.frames)
        self._syncs(chunk)
        export.add(
            "NVTX_EVENTS", {"start": self._tape.clock(begins - early), "end": self._tape.clock(ends + late), **rows}
        )

    def _syncs(self, chunk: Chunk) -> None:
        """Marks that carry the run's clock, read a moment before."""
        begins = chunk.stamps(0)
        for begin in begins.tolist():
            if begin < self._next_sync:
                continue
            self._next_sync = begin + _EVERY_SYNC_NS
            delay = self._tape.random.integers(300, 1500) if self._tape.config.jitter_ns else 0
            start = self._tape.clock(np.array([begin]))
            self._mark("motrace.sync", start, begin - delay)

    def _mark(self, text: str, start: Array, payload: int | None = None) -> None:
        who = {"globalTid": LOOP, "domainId": _DOMAIN, "int64Value": payload}
        name: dict[str, Any] = (
            {"text": text} if self._tape.config.inline_text else {"textId": self._tape.export.id(text)}
        )
        self._tape.export.add("NVTX_EVENTS", {"start": start, "eventType": 34, **who, **name})


class Switches:
    """SCHED_EVENTS."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._on_core: dict[int, bool] = {}

    def add(self, chunk: Chunk) -> None:
        """Switches of threads. Why a thread left its core is known of the loop thread; others sleep."""
        times, owners, goes_in, states = [], [], [], []
        on_core = np.concatenate(((chunk.loop == RUNNING)[None], chunk.busy))
        after = np.append(chunk.loop, BLOCKED)
        for (owner, _), on in zip(self._tape.threads, on_core):
            before = self._on_core.get(owner, False)
            place = np.flatnonzero(np.diff(on, prepend=before))
            self._on_core[owner] = bool(on[-1])
            times.append(chunk.edges[place])
            owners.append(np.full(len(place), owner))
            goes_in.append(on[place])
            why = (
                np.where(after[place] == RUNNABLE, 1, 2)
                if owner == self._tape.threads[0][0]
                else np.full(len(place), 2)
            )
            states.append(np.where(on[place], 0, why))
        self._put(*(np.concatenate(part) for part in (times, owners, goes_in, states)))

    def _put(self, times: Array, owners: Array, goes_in: Array, states: Array) -> None:
        order = np.argsort(times, kind="stable")
        rows = {"globalTid": owners[order], "isSchedIn": goes_in[order].astype(np.int64), "threadState": states[order]}
        self._tape.export.add("SCHED_EVENTS", {"start": self._tape.clock(times[order]), "cpu": 0, **rows})

    def end(self, end_ns: int) -> None:
        """Everyone leaves the core."""
        owners = np.array([owner for owner, on in self._on_core.items() if on], np.int64)
        if len(owners):
            nothing = np.zeros(len(owners), np.int64)
            self._put(np.full(len(owners), end_ns), owners, nothing, nothing + 2)


class Waits:
    """Waiting calls: all of the loop thread's blocked time, most of the others' time off their cores."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def add(self, chunk: Chunk) -> None:
        """The calls of a chunk."""
        on_core = np.concatenate(((chunk.loop == RUNNING)[None], chunk.busy))
        parts: list[tuple[Array, Array, Array, Array]] = []
        for (owner, role), on in zip(self._tape.threads, on_core):
            is_loop = role == "loop"
            some = chunk.loop == BLOCKED if is_loop else ~on
            start, end = self._around(chunk, some)
            if not is_loop:  # some wait without a call
                kept = self._tape.random.random(len(start)) < 0.9
                start, end = start[kept], end[kept]
            elif self._tape.config.cuda:
                start, end = self._cuda_waits(chunk, start, end)
            names = _LOOP_WAITS if is_loop else _WORKER_WAITS
            which = self._tape.random.integers(0, len(names), len(start))
            for number, name in enumerate(names):
                self._tape.count(chunk, role, "osrt", name, start[which == number], end[which == number])
            parts.append((start, end, np.full(len(start), owner), self._tape.export.ids(list(names))[which]))
        start, end, owners, names_ = (np.concatenate(part) for part in zip(*parts))
        order = np.argsort(start, kind="stable")
        rows = {**self._tape.times(start[order], end[order]), "globalTid": owners[order]}
        self._tape.export.add("OSRT_API", {**rows, "eventClass": _OSRT, "nameId": names_[order], "nestingLevel": 0})

    def _cuda_waits(self, chunk: Chunk, start: Array, end: Array) -> tuple[Array, Array]:
        """In the policy the loop thread waits in CUDA calls; returns its other waits."""
        mine = self._tape.phase(chunk, start) == "policy"
        count = int(mine.sum())
        if count:
            self._tape.cuda_calls(_SYNC, start[mine], end[mine], self._tape.numbers(count))
            self._tape.count(chunk, "loop", "cuda", _SYNC.partition("_v")[0], start[mine], end[mine])
            rows = {**self._tape.times(start[mine], end[mine]), "globalPid": global_id(LOOP_PID)}
            self._tape.export.add(SYNC, {**rows, "syncType": 3, "deviceId": self._tape.config.cuda_device})
        return start[~mine], end[~mine]

    def _around(self, chunk: Chunk, some: Array) -> tuple[Array, Array]:
        """Calls around the stretches ``some`` (flags), reaching a little into what lies between them."""
        start, end = runs(some, chunk.edges)
        gaps = np.concatenate((start, chunk.edges[-1:])) - np.concatenate((chunk.edges[:1], end))
        edge = np.minimum(self._tape.config.edge_ns, gaps // 2)
        start = start - self._tape.random.integers(0, edge[:-1] + 1)
        end = end + self._tape.random.integers(0, edge[1:] + 1)
        kept = end - start >= SHORTEST_CALL_NS
        return start[kept], end[kept]
