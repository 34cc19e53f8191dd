"""Where the rows of a chunk go, and what all kinds of them share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clock import TraceClock
from .config import LOOP_PID, Config
from .export import Export
from .schema import RUNTIME
from .truth import Truth
from .world import Chunk

Array = np.ndarray[Any, Any]


def global_id(pid: int, tid: int = 0) -> int:
    """nsys's number of a thread (or, without ``tid``, a process), as a signed integer."""
    return ((254 << 56) | (1 << 48) | (pid << 24) | tid) - (1 << 64)


LOOP = global_id(LOOP_PID, LOOP_PID)


class Tape:
    """The export being written, the profiler's clock, and the truth, which is told of every call.

    ``threads`` is (global id, role as far as it can be seen), the loop thread first.
    """

    def __init__(
        self, config: Config, random: np.random.Generator, export: Export, clock: TraceClock, truth: Truth
    ) -> None:
        self.config, self.random, self.export, self.clock, self.truth = config, random, export, clock, truth
        self._correlation = 0
        seen = ((global_id(thread.pid, thread.tid), config.seen_role(thread)) for thread in config.threads())
        self.threads: list[tuple[int, str | None]] = [(LOOP, "loop"), *seen]

    def phase(self, chunk: Chunk, times: Array) -> Array:
        """The phases (names) of moments inside the chunk."""
        place = np.clip(np.searchsorted(chunk.edges, times, side="right") - 1, 0, len(chunk.edges) - 2)
        return np.array(chunk.layout.phase)[place % chunk.slices]

    def count(self, chunk: Chunk, role: str | None, api: str, name: str, start: Array, end: Array) -> None:
        """Tell the truth of some calls of one function."""
        if role is not None and len(start):
            self.truth.call(self.phase(chunk, start), role, api, name, end - start)

    def numbers(self, count: int) -> Array:
        """Fresh correlation ids."""
        self._correlation += count
        return np.arange(self._correlation - count + 1, self._correlation + 1)

    def times(self, start: Array, end: Array) -> dict[str, Array]:
        """The columns ``start`` and ``end``, on the profiler's clock."""
        return {"start": self.clock(start), "end": self.clock(end)}

    def cuda_calls(self, name: str, start: Array, end: Array, correlation: Array) -> None:
        """Calls of the CUDA runtime, by the loop thread."""
        rows = {"eventClass": 0, "globalTid": LOOP, "correlationId": correlation, "nameId": self.export.id(name)}
        self.export.add(RUNTIME, {**self.times(start, end), **rows})
