"""A plan as an export of Nsight Systems: SQLite with the true schema of a version."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.simulator.export import Export
from tests.simulator.schema import KERNEL, MEMCPY, RUNTIME, VERSIONS, Schema
from tests.simulator.tape import global_id

from .plan import MOST_LAUNCHES, Piece, Plan, Work

Cell = int | str | None
Row = dict[str, Cell]
SWITCHES, OSRT, NVTX, VULKAN, DRAWN = "SCHED_EVENTS", "OSRT_API", "NVTX_EVENTS", "VULKAN_API", "VULKAN_WORKLOAD"
START_NS = 40_000_000
"""The first iteration begins so long after the session."""
WAITS = ("cudaDeviceSynchronize_v3020", "cudaStreamSynchronize_v3020", "cudaEventSynchronize_v3020")
GEMM = "ampere_sgemm_128x64_tn(float const*, float*)"


@dataclass
class Rank:
    """A process whose main thread runs a plan on a device."""

    pid: int
    device: int = 0
    stream: int = 7
    gpu_rows: bool = True

    @property
    def thread(self) -> int:
        """Its main thread, as nsys numbers it."""
        return global_id(self.pid, self.pid)


@dataclass
class NsysBuilder:
    """Rows of an export, table by table. ``shows`` are tables of what the CPU did that were recorded."""

    random: np.random.Generator
    shows: Collection[str] = (OSRT,)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    last: int = 0

    def add(self, table: str, **row: Cell) -> None:
        """A row."""
        self.rows.setdefault(table, []).append(row)

    def id(self, text: str) -> int:
        """The id of a string."""
        return self.texts.setdefault(text, len(self.texts) + 40)

    def call(self, rank: Rank, start: int, end: int, name: str) -> int:
        """A call of the CUDA runtime; returns its number."""
        self.last += 1
        self.add(RUNTIME, start=start, end=end, eventClass=0, globalTid=rank.thread, correlationId=self.last,
                 nameId=self.id(name))  # fmt: skip
        return self.last

    def operation(self, rank: Rank, start: int, end: int, correlation: int, copy: int = 0, name: str = GEMM) -> None:
        """A kernel, or with ``copy`` a copy of that kind."""
        if not rank.gpu_rows:
            return
        what: Row = {"start": start, "end": end, "deviceId": rank.device, "contextId": 1, "streamId": rank.stream,
                     "correlationId": correlation, "globalPid": global_id(rank.pid)}  # fmt: skip
        if copy:
            self.add(MEMCPY, **what, copyKind=copy, bytes=(end - start) * 25, srcKind=1 if copy == 1 else 2)
        else:
            self.add(KERNEL, **what, demangledName=self.id(name), shortName=self.id(name.partition("(")[0]))

    def osrt(self, thread: int, start: int, end: int, name: str) -> None:
        """A waiting call of the OS runtime."""
        if OSRT in self.shows:
            self.add(OSRT, start=start, end=end, eventClass=27, globalTid=thread, nameId=self.id(name))

    def range(self, thread: int, start: int, end: int, name: str, domain: int = 0, kind: int = 59) -> None:
        """An NVTX range with an inline name."""
        self.add(NVTX, start=start, end=end, eventType=kind, globalTid=thread, domainId=domain, text=name)

    def runs(self, thread: int, start: int, end: int, cpu: int = 3) -> None:
        """The thread is on a core in [start, end); it sleeps before and after."""
        if SWITCHES in self.shows:
            self.add(SWITCHES, start=start, cpu=cpu, isSchedIn=1, globalTid=thread, threadState=0)
            self.add(SWITCHES, start=end, cpu=cpu, isSchedIn=0, globalTid=thread, threadState=2)

    def play(self, plan: Plan, rank: Rank) -> None:
        """The events of a plan."""
        for piece in plan.pieces:
            self._piece(piece, rank, START_NS + piece.start_ns, START_NS + piece.end_ns)

    def _piece(self, piece: Piece, rank: Rank, start: int, end: int) -> None:
        if piece.work in (Work.PYTHON, Work.LAUNCH):
            self.runs(rank.thread, start, end)
            if piece.work is Work.LAUNCH:
                self._launches(rank, start, end)
        elif piece.work is Work.SLEEP:
            self.osrt(rank.thread, start + 2_000, end - 2_000, "clock_nanosleep")
        elif piece.work is Work.DRAW:
            self._draw(rank, start, end)
        elif piece.work is Work.KERNEL:
            number = self.call(rank, start, start + 8_000, "cudaLaunchKernel_v7000")
            self.operation(rank, start + 9_000, end - 3_000, number)
            self._wait(rank, start + 8_000, end, WAITS[int(self.random.integers(3))])
        else:
            copy = 1 if piece.work is Work.UPLOAD else 2
            if self.random.random() < 0.5:  # a copy that blocks
                number = self.call(rank, start, end, "cudaMemcpy_v3020")
            else:
                number = self.call(rank, start, start + 8_000, "cudaMemcpyAsync_v3020")
                self._wait(rank, start + 8_000, end, WAITS[1])
            self.operation(rank, start + 9_000, end - 3_000, number, copy)

    def _wait(self, rank: Rank, start: int, end: int, name: str) -> None:
        self.runs(rank.thread, start - 8_000, start + 1_000)
        self.call(rank, start, end, name)
        self.osrt(rank.thread, start + 2_000, end - 1_000, "poll")

    def _launches(self, rank: Rank, start: int, end: int) -> None:
        step = max(15_000, (end - start) // MOST_LAUNCHES)
        for now in range(start, end - step, step):
            number = self.call(rank, now, now + step * 4 // 5, "cudaLaunchKernel_v7000")
            self.operation(rank, now + step - 2_500, now + step - 1_000, number, name="add_kernel(float*)")

    def _draw(self, rank: Rank, start: int, end: int) -> None:
        self.last += 2
        one: Row = {"globalTid": rank.thread, "contextId": 1}
        for number, name, begin, until in ((self.last, "vkQueueSubmit", start, start + 8_000),
                                           (self.last + 1, "vkWaitForFences", start + 9_000, end)):  # fmt: skip
            self.add(VULKAN, id=number, start=begin, end=until, eventClass=53, correlationId=number,
                     endCorrelationId=number, nameId=self.id(name), **one)  # fmt: skip
        self.add(DRAWN, start=start + 10_000, end=end - 2_000, eventClass=54, correlationId=self.last,
                 endCorrelationId=self.last, nameId=self.id("vkQueueSubmit"), **one)  # fmt: skip
        self.last += 1
        self.osrt(rank.thread, start + 11_000, end - 1_000, "poll")

    def describe(self, ranks: Collection[Rank], end_ns: int) -> None:
        """What an export says of itself, its processes and GPUs."""
        self.add("ANALYSIS_DETAILS", globalVid=global_id(0), duration=end_ns, startTime=0, stopTime=end_ns)
        self.add("TARGET_INFO_SESSION_START_TIME", utcEpochNs=1_700_000_000_000_000_000, utcTime="x", localTime="x")
        for rank in ranks:
            name = "/usr/bin/python3.11"
            self.add("PROCESSES", globalPid=global_id(rank.pid), pid=rank.pid, name=name)
            self.add("ThreadNames", nameId=self.id("python3"), priority=20, globalTid=rank.thread)
            self.add("TARGET_INFO_GPU", id=rank.device, cuDevice=rank.device, name="NVIDIA H100", smCount=132)

    def write(self, path: Path, without: Collection[str] = (), renamed: dict[str, str] | None = None) -> None:
        """Write ``path``, in the schema of a random version, without some tables or with others' names."""
        export = Export(path, Schema(list(VERSIONS)[int(self.random.integers(len(VERSIONS)))]))
        for table, rows in self.rows.items():
            if table not in without:
                rows.sort(key=lambda row: row.get("start") or 0)  # type: ignore[arg-type,return-value]
                columns = dict.fromkeys(name for row in rows for name in row)
                export.add(table, {name: [row.get(name) for row in rows] for name in columns})
        if "StringIds" not in without:
            export.add("StringIds", {"id": list(self.texts.values()), "value": list(self.texts)})
        export.close()
        with closing(sqlite3.connect(path)) as database, database:
            for table, name in (renamed or {}).items():
                database.execute(f'ALTER TABLE "{table}" RENAME TO "{name}"')
