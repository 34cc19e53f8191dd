"""The run's own logs, as the recorder writes them: spans, and CPU clocks.

Words are computed for a chunk at a time and appended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from motrace.record import cpulog, wordlog
from motrace.record.spans import DEFINITION, KIND_CLOCK, KIND_FRAME, KIND_SEGMENT, RECORD_WORDS

from .config import CHILD_PID, ENCODER_PID, LOOP_PID, Config
from .world import RUNNABLE, RUNNING, Chunk

Array = np.ndarray[Any, Any]

TICK_NS = 4_000_000
READING_NS = 3_000
FULL_EVERY_NS = 20_000_000
UTC_START_NS = 1_700_000_000_000_000_000
"""The wall clock when CLOCK_MONOTONIC was 0."""


def _header(magic: int, created_ns: int, name: str) -> Array:
    words = np.zeros(wordlog.HEADER_WORDS, np.int64)
    words[wordlog.MAGIC], words[wordlog.FORMAT] = magic, wordlog.VERSION
    words[wordlog.PID] = words[wordlog.TID] = LOOP_PID
    words[wordlog.CREATED_NS], words[wordlog.CREATED_UTC_NS] = created_ns, UTC_START_NS + created_ns
    raw = np.frombuffer(name.encode().ljust(wordlog.NAME_BYTES, b"\0"), np.int64)
    words[wordlog.NAME : wordlog.NAME + len(raw)] = raw
    return words


class SpanLog:
    """The loop thread's span log."""

    def __init__(self, folder: Path, created_ns: int) -> None:
        self._file: BinaryIO = (folder / f"spans-{LOOP_PID}-{LOOP_PID}.bin").open("wb")
        _header(wordlog.MAGIC_SPANS, created_ns, "MainThread").tofile(self._file)
        self._ids: dict[str, int] = {}
        self._segment = "startup"
        self._clock = KIND_CLOCK | self._id("clock")
        self._put([[self._clock, created_ns, created_ns, UTC_START_NS + created_ns]])

    def _put(self, records: Any) -> None:
        np.array(records, np.int64).reshape(-1).tofile(self._file)

    def _id(self, name: str) -> int:
        if name not in self._ids:
            number = self._ids[name] = len(self._ids)
            body = -(-len(name) // (8 * RECORD_WORDS)) * RECORD_WORDS * 8
            self._put([[number, DEFINITION, len(name), 0]])
            self._file.write(name.encode().ljust(body, b"\0"))
        return self._ids[name]

    def add(self, chunk: Chunk) -> None:
        """The spans of a chunk."""
        begin = int(chunk.edges[0])
        if chunk.segment != self._segment:
            self._segment = chunk.segment
            self._put([[KIND_SEGMENT | self._id(chunk.segment), begin, begin, 0]])
        records = np.zeros((chunk.frames, len(chunk.layout.spans), RECORD_WORDS), np.int64)
        for column, (name, first, last) in enumerate(chunk.layout.spans):
            is_frame = name == "frame"
            records[:, column, 0] = self._id(name) | (KIND_FRAME if is_frame else 0)
            records[:, column, 1], records[:, column, 2] = chunk.stamps(first), chunk.stamps(last)
            if is_frame:
                records[:, column, 3] = (chunk.first_frame or 0) + np.arange(chunk.frames)
        self._put(records)

    def close(self) -> None:
        """Complete the file."""
        self._file.close()


class CpuLog:
    """Clocks of the loop thread at every boundary, and of everyone else after each span longer than 20 us.

    A *partial* reading lists some threads, a *full* one those that have moved since the last full one.
    """

    def __init__(self, folder: Path, config: Config, random: np.random.Generator, start_ns: int) -> None:
        self._config, self._random = config, random
        self._file: BinaryIO = (folder / f"cpu-{LOOP_PID}.bin").open("wb")
        header = _header(wordlog.MAGIC_CPU, start_ns, "cpu clocks")
        header[wordlog.TICK_NS], header[wordlog.CORES] = TICK_NS, config.cores
        header.tofile(self._file)
        threads = config.threads()
        self._members: list[list[int]] = []  # indices of the threads of each slot
        self._definitions: list[tuple[str, Array]] = []
        for index, thread in enumerate(threads):
            if thread.is_child and any(threads[rows[0]].pid == thread.pid for rows in self._members):
                self._members[-1].append(index)
                continue
            self._members.append([index])
            self._definitions.append((thread.born_in, self._definition(len(self._members) - 1, index)))
        self._loop = np.zeros(2, np.int64)  # CPU time and run delay so far
        self._used = np.zeros(len(self._members), np.int64)
        self._listed = np.zeros(len(self._members), np.int64)  # by the last full reading
        self._last_full = start_ns

    def _definition(self, slot: int, index: int) -> Array:
        thread = self._config.threads()[index]
        flags = cpulog.FLAG_CHILD if thread.is_child else 0
        text = thread.name.encode()[: cpulog.NAME_BYTES - 1].ljust(cpulog.NAME_BYTES, b"\0")
        text += thread.library.encode().ljust(cpulog.LIBRARY_BYTES, b"\0")
        id = thread.pid if thread.is_child else thread.tid
        return np.concatenate(([cpulog.MEMBER, slot, id, flags, 0], np.frombuffer(text, np.int64)))

    def add(self, chunk: Chunk) -> None:
        """The readings of a chunk."""
        self._define(chunk)
        lengths = np.diff(chunk.edges)
        own = np.stack([(chunk.loop == state) * lengths for state in (RUNNING, RUNNABLE)])
        own = self._loop[:, None] + np.concatenate((np.zeros((2, 1), np.int64), np.cumsum(own, axis=1)), axis=1)
        self._loop = own[:, -1]
        cuts = sorted({first for _, first, _ in chunk.layout.spans} | {last for *_, last in chunk.layout.spans} | {0})
        places = (np.array(cuts) + chunk.slices * np.arange(chunk.frames)[:, None]).reshape(-1)
        places = np.unique(np.append(places, len(chunk.edges) - 1))
        self._write(chunk, places, own[:, places])

    def _define(self, chunk: Chunk) -> None:
        if chunk.segment != "startup":
            return
        for born_in, words in self._definitions:
            position = chunk.layout.phase.index(born_in)
            words[4] = chunk.edges[position] + 1 + (chunk.edges[position + 1] - chunk.edges[position]) // 2
            words.tofile(self._file)

    def _write(self, chunk: Chunk, places: Array, own: Array) -> None:
        """Boundaries at ``places`` (edges), each followed by a reading if the span before it was long."""
        at = chunk.edges[places]
        long = np.concatenate(([True], np.diff(at) > 20_000))
        long[-1] = True
        begin = at[long]
        moments, end = self._moments(begin, at)
        used = self._clocks(chunk, moments)
        full = np.diff(begin // FULL_EVERY_NS, prepend=self._last_full // FULL_EVERY_NS) > 0
        full[-1] = True  # a chunk's end is a full reading: the next one starts from there
        self._last_full = int(begin[-1])
        listed = np.less(self._random.random(used.shape), 0.6)
        before = self._listed[:, None]
        numbers = np.flatnonzero(full)
        moved = np.diff(used[:, numbers], axis=1, prepend=before) != 0
        listed[:, numbers] = moved
        self._listed = used[:, numbers[-1]]
        count = listed.sum(axis=0)
        sizes = np.full(len(at), cpulog.BOUNDARY_WORDS)
        sizes[long] += cpulog.SNAPSHOT_WORDS + 2 * count
        starts = np.cumsum(sizes) - sizes
        words = np.empty(int(sizes.sum()), np.int64)
        for offset, values in enumerate((cpulog.BOUNDARY, at, own[0], own[1])):
            words[starts + offset] = values
        heads = starts[long] + cpulog.BOUNDARY_WORDS
        kinds = np.where(full, cpulog.FULL, cpulog.PARTIAL) | count << cpulog.COUNT_SHIFT
        for offset, values in enumerate((kinds, begin, end)):
            words[heads + offset] = values
        rank = np.cumsum(listed, axis=0) - 1
        slot, reading = np.nonzero(listed)
        where = heads[reading] + cpulog.SNAPSHOT_WORDS + 2 * rank[slot, reading]
        words[where], words[where + 1] = slot, used[slot, reading]
        words.tofile(self._file)

    def _moments(self, begin: Array, at: Array) -> tuple[Array, Array]:
        """When the clocks are read, and by when the reading is over: before the next boundary."""
        following = np.append(at, at[-1] + READING_NS)[np.searchsorted(at, begin, side="right")]
        end = np.minimum(begin + self._random.integers(500, READING_NS, len(begin)), following)
        end[-1] = begin[-1]  # nothing is known here of what comes after the chunk
        return self._random.integers(begin, end + 1), end

    def _clocks(self, chunk: Chunk, moments: Array) -> Array:
        """(slots, readings): CPU time used; that of a child lags by up to a tick, as the kernel's does."""
        lengths = np.diff(chunk.edges)
        found = np.empty((len(self._members), len(moments)), np.int64)
        for slot, rows in enumerate(self._members):
            rate = chunk.busy[rows].sum(axis=0)
            total = self._used[slot] + np.concatenate(([0], np.cumsum(rate * lengths)))
            when = moments
            if self._config.threads()[rows[0]].pid in (ENCODER_PID, CHILD_PID):
                when = np.maximum(moments - self._random.integers(0, TICK_NS, len(moments)), chunk.edges[0])
                when[-1] = moments[-1]
            place = np.clip(np.searchsorted(chunk.edges, when, side="right") - 1, 0, len(rate) - 1)
            found[slot] = np.maximum.accumulate(total[place] + (when - chunk.edges[place]) * rate[place])
            self._used[slot] = total[-1]
        return found

    def close(self) -> None:
        """Complete the file."""
        self._file.close()
