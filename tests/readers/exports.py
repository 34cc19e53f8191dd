"""Makes small exports of Nsight Systems, row by row, in each of the formats that it writes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from motrace.dataset.tables import RunKey
from tests.simulator.schema import create_table

KEY = RunKey("e", "r")
FORMATS = ("sqlite", "parquet", "arrow", "arrowdir")
KERNEL, MEMCPY, MEMSET, RUNTIME = (f"CUPTI_ACTIVITY_KIND_{kind}" for kind in ("KERNEL", "MEMCPY", "MEMSET", "RUNTIME"))


def gid(pid: int, tid: int | None = None) -> int:
    """A global thread id, or the global process id without ``tid``, as a signed integer."""
    value = (255 << 56) | (1 << 48) | (pid << 24) | (tid or 0)
    return value - (1 << 64)


class Export:
    """Tables of an export; each row is what its keywords say."""

    def __init__(self, version: str = "3.25.0", metadata: str = "META_DATA_EXPORT") -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self._strings: dict[str, int] = {}
        if metadata:
            self.add(metadata, name="EXPORT_PRODUCT_VERSION", value="2026.2.1.210")
            self.add(metadata, name="EXPORT_SCHEMA_VERSION", value=version)

    def add(self, table: str, **columns: Any) -> None:
        """A row."""
        self.tables.setdefault(table, []).append(columns)

    def id(self, text: str) -> int:
        """The id of a string."""
        if text not in self._strings:
            self._strings[text] = len(self._strings) + 40
            self.add("StringIds", id=self._strings[text], value=text)
        return self._strings[text]

    def range(self, start: int, end: int | None, name: str, pid: int = 7, tid: int = 70, **more: Any) -> None:
        """A push/pop range with an inline name, in the default domain."""
        row = {"eventType": 59, "globalTid": gid(pid, tid), "domainId": 0, "text": name, "textId": None, **more}
        self.add("NVTX_EVENTS", start=start, end=end, **row)

    def call(
        self, start: int, end: int, name: str, correlation: int = 0, pid: int = 7, tid: int = 70, **more: Any
    ) -> None:
        """A CUDA call."""
        row = {"eventClass": 0, "globalTid": gid(pid, tid), "correlationId": correlation, "nameId": self.id(name)}
        self.add(RUNTIME, start=start, end=end, **(row | more))

    def kernel(self, start: int, end: int, name: str, correlation: int = 0, pid: int = 7, **more: Any) -> None:
        """A kernel."""
        row = {"deviceId": 0, "streamId": 7, "correlationId": correlation, "globalPid": gid(pid)}
        self.add(KERNEL, start=start, end=end, **row, demangledName=self.id(name), shortName=self.id(name[:3]), **more)

    def osrt(self, start: int, end: int, name: str, pid: int = 7, tid: int = 70, **more: Any) -> None:
        """A call of the OS runtime."""
        row = {"eventClass": 27, "globalTid": gid(pid, tid), "nameId": self.id(name)}
        self.add("OSRT_API", start=start, end=end, **(row | more))

    def _columns(self, table: str) -> dict[str, str]:
        kinds: dict[str, str] = {}
        for row in self.tables[table]:
            for name, value in row.items():
                kind = {int: "INTEGER", float: "REAL", str: "TEXT"}.get(type(value))
                kinds[name] = kinds.get(name) or kind or ""
        return {name: kind or "INTEGER" for name, kind in kinds.items()}

    def sqlite(self, path: Path) -> Path:
        """Write ``path``, a ``.sqlite``."""
        with closing(sqlite3.connect(os.fsencode(path))) as db, db:
            for table, rows in self.tables.items():
                columns = self._columns(table)
                db.execute(create_table(table, columns))
                marks = ", ".join("?" * len(columns))
                db.executemany(
                    f'INSERT INTO "{table}" VALUES ({marks})', [[row.get(name) for name in columns] for row in rows]
                )
        return path

    def _arrow(self, table: str, text: pa.DataType) -> pa.Table:
        types = {"INTEGER": pa.int64(), "REAL": pa.float64(), "TEXT": text}
        columns = self._columns(table)
        arrays = [
            pa.array([row.get(name) for row in self.tables[table]], types[kind]) for name, kind in columns.items()
        ]
        made = pa.table(arrays, names=list(columns)).replace_schema_metadata({"table_name": table})
        for index, name in enumerate(columns):
            if name.startswith("global"):  # as the real exporter types them
                made = made.set_column(index, name, made.column(name).combine_chunks().view(pa.uint64()))
        return made

    def write(self, folder: Path, form: str) -> Path:
        """Write into a new folder in any of FORMATS; returns what to open."""
        folder.mkdir(parents=True)
        if form == "sqlite":
            return self.sqlite(folder / "report1.sqlite")
        if form == "parquet":
            for table in self.tables:
                pq.write_table(self._arrow(table, pa.string()), folder / f"{table}.parquet")
            return folder
        if form == "arrowdir":
            for table in self.tables:
                rows = self._arrow(table, pa.binary())
                with pa.OSFile(str(folder / f"{table}.arrow"), "wb") as out, ipc.new_file(out, rows.schema) as writer:
                    writer.write_table(rows)
            return folder
        with pa.OSFile(str(folder / "report1.arrow"), "wb") as out:
            for table in self.tables:
                rows = self._arrow(table, pa.binary())
                with ipc.new_stream(out, rows.schema) as writer:
                    writer.write_table(rows)
        return folder / "report1.arrow"


def everything() -> Export:
    """An export with something of each kind, in two processes that use the same numbers."""
    export = Export()
    export.add("ANALYSIS_DETAILS", globalVid=gid(0), duration=10_000, startTime=5, stopTime=10_005)
    export.add("TARGET_INFO_SESSION_START_TIME", utcEpochNs=1_700_000_000_000_000_000, utcTime="x", localTime="x")
    for pid in (7, 8):
        name = {7: "train", 8: "other"}[pid]
        export.add("PROCESSES", globalPid=gid(pid), pid=pid, name=f"/opt/bin/{name}")
        export.add("ThreadNames", nameId=export.id("[NSys]"), priority=10, globalTid=gid(pid, pid * 10 + 9))
        export.add("ThreadNames", nameId=export.id("old name"), priority=5, globalTid=gid(pid, pid * 10))
        export.add("ThreadNames", nameId=export.id(f"{name} main"), priority=20, globalTid=gid(pid, pid * 10))
        tid = pid * 10
        export.range(0, None, f"{name} domain", pid, tid, eventType=75, domainId=1)
        export.range(1, None, f"{name} category", pid, tid, eventType=33, domainId=1, category=3)
        export.range(100, 200, "outer", pid, tid, category=None)
        export.range(110, 150, f"{name} inner", pid, tid, domainId=1, category=3, int64Value=-5)
        export.call(120, 130, "cudaLaunchKernel_v7000", 1, pid, tid)
        export.call(120, 130, "cudaLaunchKernel_v7000", 1, pid, tid, eventClass=67)
        export.call(160, 190, "cudaMemcpy_v3020", 2, pid, tid)
        export.kernel(140 + pid, 180, "kernel<int>(float*)", 1, pid)
        export.add(
            MEMCPY,
            start=170,
            end=185,
            deviceId=0,
            streamId=7,
            correlationId=2,
            globalPid=gid(pid),
            bytes=64,
            copyKind=2,
        )
        export.osrt(300, 400, "futex", pid, tid)
        for start, into, state in ((500, 1, 1), (600, 0, 2), (700, 1, 1), (800, 0, 1), (850, 1, 1)):
            export.add("SCHED_EVENTS", start=start, cpu=0, isSchedIn=into, globalTid=gid(pid, tid), threadState=state)
        for number, (start, leaf) in enumerate(((1000, "a"), (1010, "b"), (1020, "a"))):
            sample = pid * 100 + number
            export.add(
                "COMPOSITE_EVENTS", id=sample, start=start, cpu=0, threadState=1, globalTid=gid(pid, tid), cpuCycles=1
            )
            for depth, symbol in enumerate((leaf, "main")):
                export.add(
                    "SAMPLING_CALLCHAINS",
                    id=sample,
                    symbol=export.id(symbol),
                    module=export.id("/usr/lib/libx.so"),
                    stackDepth=depth,
                )
    export.tables["SCHED_EVENTS"].sort(key=lambda row: row["start"])
    export.add("GPU_METRICS", timestamp=900, typeId=(1 << 40) | 1, metricId=4, value=55.0)
    export.add("GPU_METRICS", timestamp=901, typeId=(1 << 40) | 1, metricId=5, value=1.5e9)
    export.add("GPU_METRICS", timestamp=902, typeId=(1 << 40) | 1, metricId=4, value=float("nan"))
    export.add("TARGET_INFO_GPU_METRICS", typeId=(1 << 40) | 1, metricId=4, metricName="SMs Active [Throughput %]")
    export.add("TARGET_INFO_GPU_METRICS", typeId=(1 << 40) | 1, metricId=5, metricName="GPC Clock Frequency [MHz]")
    export.add("TARGET_INFO_GPU", id=0, cuDevice=0, name="H100")
    vulkan(export)
    return export


def vulkan(export: Export) -> None:
    """Calls, a submission on the GPU, and labels of two command buffers that interleave."""
    base = {"globalTid": gid(7, 71)}
    for start, number, name, kind in (
        (2000, 0, "Vulkan profiling initialized", 55),
        (2010, 50, "vkCmdDraw", 53),
        (2020, 51, "vkQueueSubmit", 53),
        (2030, 52, "vkWaitForFences", 53),
        (2031, 53, "vkCmdBeginDebugUtilsLabelEXT", 66),
    ):
        row = {"eventClass": kind, "correlationId": number, "endCorrelationId": number, "nameId": export.id(name)}
        export.add("VULKAN_API", id=start, start=start, end=start + 5, **base, **row, contextId=3)
    for start, context, label in ((2002, 3, "shadow"), (2003, 4, "main"), (2005, 3, None), (2009, 4, None)):
        name = f"vkCmd{'Begin' if label else 'End'}DebugUtilsLabelEXT"
        row = {"eventClass": 66, "nameId": export.id(name), "textId": export.id(label) if label else None}
        export.add("VULKAN_DEBUG_API", start=start, end=start + 1, **base, **row, contextId=context)
    row = {"eventClass": 54, "correlationId": 49, "endCorrelationId": 51, "nameId": export.id("vkQueueSubmit")}
    export.add("VULKAN_WORKLOAD", start=2100, end=2200, **base, **row, gpu=None, contextId=3, textId=None)
