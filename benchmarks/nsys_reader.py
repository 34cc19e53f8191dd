"""How fast an export of Nsight Systems becomes Parquet, and how much memory that takes.

``python -m benchmarks.nsys_reader [--rows 1000000 10000000]`` makes exports of that many events,
converts each in a process of its own, and in the same run reads the same columns with the standard
library's sqlite3. Where nsys is installed (and up to --stats-rows) ``nsys stats`` makes three summaries,
and so do we, in turn with it: straight from the export (``summaries``, what ``analyze --sums`` prints),
by way of Parquet (conversion of everything included), and from Parquet that is already there. The rows
of the first are compared with those of nsys. The goals are 3.5 million rows a second on two idle cores,
and a tenth of the time of ``nsys stats``; CPU time is what a busy machine distorts least.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from motrace.dataset.tables import RunKey
from motrace.readers.nsys.calls import APIS, OPS
from motrace.readers.nsys.export import convert, open_trace
from motrace.readers.nsys.nvtx import Labels
from motrace.readers.nsys.nvtx import query as nvtx_query
from motrace.readers.nsys.source import Query
from motrace.readers.nsys.stats import summaries

TARGET_ROWS_S, TARGET_TIMES = 3.5e6, 10.0
REPORTS = ("gpukernsum", "cudaapisum", "nvtxsum")
GLOBAL_TID = (1 << 48) | (4711 << 24) | 4711
NAMES = 200
SHARES = {
    "CUPTI_ACTIVITY_KIND_RUNTIME": 0.45,
    "CUPTI_ACTIVITY_KIND_KERNEL": 0.25,
    "NVTX_EVENTS": 0.15,
    "OSRT_API": 0.15,
}
"""Of the events, how many are in which table: roughly a training loop's."""

_SCHEMA = """
CREATE TABLE StringIds (id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE META_DATA_EXPORT (name TEXT NOT NULL, value TEXT);
CREATE TABLE ANALYSIS_DETAILS (globalVid INTEGER, duration INTEGER, startTime INTEGER, stopTime INTEGER);
CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER NOT NULL, end INTEGER NOT NULL, eventClass INTEGER NOT NULL,
    globalTid INTEGER, correlationId INTEGER, nameId INTEGER NOT NULL, returnValue INTEGER NOT NULL,
    callchainId INTEGER);
CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,
    contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER,
    globalPid INTEGER, demangledName INTEGER NOT NULL, shortName INTEGER NOT NULL, mangledName INTEGER,
    launchType INTEGER, cacheConfig INTEGER, registersPerThread INTEGER NOT NULL, gridX INTEGER NOT NULL,
    gridY INTEGER NOT NULL, gridZ INTEGER NOT NULL, blockX INTEGER NOT NULL, blockY INTEGER NOT NULL,
    blockZ INTEGER NOT NULL, staticSharedMemory INTEGER NOT NULL, dynamicSharedMemory INTEGER NOT NULL,
    localMemoryPerThread INTEGER NOT NULL, localMemoryTotal INTEGER NOT NULL, gridId INTEGER NOT NULL,
    sharedMemoryExecuted INTEGER, graphNodeId INTEGER, sharedMemoryLimitConfig INTEGER);
CREATE TABLE NVTX_EVENTS (start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER,
    category INTEGER, color INTEGER, text TEXT, globalTid INTEGER, endGlobalTid INTEGER, textId INTEGER,
    domainId INTEGER, uint64Value INTEGER, int64Value INTEGER, doubleValue REAL, uint32Value INTEGER,
    int32Value INTEGER, floatValue REAL, jsonTextId INTEGER, jsonText TEXT);
CREATE TABLE OSRT_API (start INTEGER NOT NULL, end INTEGER NOT NULL, eventClass INTEGER NOT NULL, globalTid INTEGER,
    nameId INTEGER NOT NULL, returnValue INTEGER NOT NULL, nestingLevel INTEGER, callchainId INTEGER NOT NULL);
"""
_JITTER = "abs(random()) % 700"
_NULLS = ", NULL" * 8
_ROWS = {
    "CUPTI_ACTIVITY_KIND_RUNTIME": f"i * 2111 + {_JITTER}, i * 2111 + 900 + {_JITTER}, 0, {{tid}} + i % 3, i, "
    "1 + abs(random()) % 40, 0, NULL",
    "CUPTI_ACTIVITY_KIND_KERNEL": f"i * 3801 + 5000 + {_JITTER}, i * 3801 + 6000 + {_JITTER}, i % 2, 1, NULL, "
    "7 + i % 4, i * 9 / 5, {pid}, 41 + abs(random()) % 100, 41 + i % 100, 41 + i % 100, 1, 0, 32, 108, "
    "1, 1, 128, 1, 1, 0, 1024, 0, 0, i, 102400, NULL, 0",
    "NVTX_EVENTS": f"i * 6333 + {_JITTER}, i * 6333 + 6000 + {_JITTER}, 59, NULL, NULL, NULL, NULL, {{tid}} + i % 3, "
    f"NULL, 141 + abs(random()) % 30, 0{_NULLS}",
    "OSRT_API": f"i * 6333 + {_JITTER}, i * 6333 + 5000 + {_JITTER}, 27, {{tid}} + i % 3, 171 + i % 20, 0, 0, 0",
}


def make_export(path: Path, rows: int) -> None:
    """Write a SQLite export of ``rows`` events to ``path``. Takes about a second per million."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        db.executemany("INSERT INTO StringIds VALUES (?, ?)", [(i, f"function{i}") for i in range(1, NAMES)])
        db.execute("INSERT INTO META_DATA_EXPORT VALUES ('EXPORT_PRODUCT_VERSION', 'made here')")
        db.execute("INSERT INTO ANALYSIS_DETAILS VALUES (0, ?, 0, 0)", (rows * 2000,))
        for table, share in SHARES.items():
            values = _ROWS[table].format(tid=GLOBAL_TID, pid=GLOBAL_TID & ~0xFFFFFF)
            counting = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {int(rows * share)})"
            db.execute("BEGIN")
            db.execute(f"INSERT INTO {table} {counting} SELECT {values} FROM n")
            db.execute("COMMIT")


def child(path: Path) -> dict[str, Any]:
    """Convert in this process: seconds, rows, peak memory, and the three summaries from the Parquet files."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        out = Path(name) / "out"
        begin, cpu = time.perf_counter(), time.process_time()
        rows = convert(open_trace(path, Path(name)), RunKey("", "run"), out, lambda times: times)
        taken, cpu = time.perf_counter() - begin, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = sum(file.stat().st_size for file in out.iterdir())
        begin = time.perf_counter()
        for table in rows:
            columns = pq.read_table(out / f"{table}.parquet", columns=["name", "start_ns", "end_ns"])
            frame = columns.to_pandas()
            (frame["end_ns"] - frame["start_ns"]).groupby(frame["name"], observed=True).agg(
                ["sum", "count", "mean", "median", "min", "max", "std"]
            )
        later = time.perf_counter() - begin
    return {"s": taken, "cpu_s": cpu, "rows": sum(rows.values()), "bytes": size, "parquet_sums_s": later,
            "peak_mb": peak / 1024, "before_mb": before / 1024}  # fmt: skip


def direct_child(path: Path) -> dict[str, Any]:
    """The three summaries straight from the export, in this process."""
    begin, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        found = summaries(open_trace(path, Path(name)), ("nvtx", "cuda", "gpu"))
    taken, cpu = time.perf_counter() - begin, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = sorted(zip(*(found.column(name).to_pylist() for name in ("name", "count", "total_ns"))))
    return {"s": taken, "cpu_s": cpu, "peak_mb": peak, "rows": rows}


def queries() -> list[Query]:
    """What a conversion reads of the tables that a made export has."""

    class Trace:
        source = None

    asked = [nvtx_query(Trace(), Labels({}, {}))]  # type: ignore[arg-type]
    asked += [api.query() for api in APIS] + [ops.query() for ops in OPS]
    return [query for query in asked if query.table in SHARES]


def standard_library(path: Path) -> float:
    """Seconds that the standard library takes to read the same columns into Python, writing nothing."""
    begin = time.perf_counter()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        for query in queries():
            have = [row[1] for row in db.execute(f"PRAGMA table_info({query.table})")]
            names = ", ".join(f'"{name}"' for name in sorted(query.wanted()) if name in have)
            cursor = db.execute(f"SELECT {names} FROM {query.table}")
            while cursor.fetchmany(10_000):
                pass
    return time.perf_counter() - begin


def nsys_stats(path: Path) -> tuple[float, float, list[list[Any]]]:
    """Wall and CPU seconds of ``nsys stats`` for the three summaries, and their rows: name, count, total."""
    begin, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ("nsys", "stats", "-q", "-r", ",".join(REPORTS), "--format", "csv", "-o", "-", str(path))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = []
    for block in done.stdout.strip().split("\n\n"):
        for row in csv.DictReader(block.splitlines()):
            name, count = row.get("Name") or row.get("Range"), row.get("Num Calls") or row.get("Instances")
            rows.append([name, int(count or 0), int(row["Total Time (ns)"])])
    used = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
    return time.perf_counter() - begin, used, sorted(rows)


def in_child(path: Path, flag: str) -> tuple[dict[str, Any], float]:
    """What a new process finds, and the seconds that it took with all imports."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.nsys_reader", flag, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return json.loads(done.stdout), time.perf_counter() - begin


def compared(path: Path, repeat: int = 3) -> dict[str, Any]:
    """Our summaries and those of ``nsys stats``, in turn; medians. Raises RuntimeError if they differ."""
    found: dict[str, list[float]] = {}
    for _ in range(repeat):
        ours, process_s = in_child(path, "--direct")
        wall, cpu, rows = nsys_stats(path)
        if ours["rows"] != rows:
            raise RuntimeError("our summaries are not those of nsys stats")
        for name, value in (
            ("direct_s", ours["s"]), ("direct_cpu_s", ours["cpu_s"]), ("direct_process_s", process_s),
            ("direct_mb", ours["peak_mb"]), ("stats_s", wall), ("stats_cpu_s", cpu),
        ):  # fmt: skip
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def measure(rows: int, folder: Path, with_stats: bool) -> dict[str, Any]:
    """All of it for one size."""
    path = folder / f"made{rows}.sqlite"
    make_export(path, rows)
    size = path.stat().st_size
    best = min((in_child(path, "--child")[0] for _ in range(3)), key=lambda result: float(result["s"]))
    found = {"rows": rows, "sqlite_bytes": size, "stdlib_s": standard_library(path)}
    if with_stats:
        found |= compared(path)
    path.unlink()
    return {**best, **found}


def show(found: dict[str, Any]) -> None:
    """Print what was measured of one size."""
    sizes = f"{found['sqlite_bytes'] / 1e6:.0f} MB SQLite -> {found['bytes'] / 1e6:.0f} MB Parquet"
    print(f"{found['rows']:,} events, {sizes}")
    print(f"  converted in           {found['s']:8.2f} s  = {found['rows'] / found['s'] / 1e6:.2f} M rows/s "
          f"(goal {TARGET_ROWS_S / 1e6}), {found['cpu_s']:.2f} s of CPU")  # fmt: skip
    print(f"  stdlib sqlite3, read   {found['stdlib_s']:8.2f} s  = {found['stdlib_s'] / found['s']:.1f} x ours")
    print(f"  peak memory            {found['peak_mb']:8.0f} MB, of which {found['before_mb']:.0f} MB before")
    if "stats_s" in found:
        stats = found["stats_s"]
        print(
            f"  three summaries: nsys stats {stats:.2f} s ({found['stats_cpu_s']:.2f} s of CPU); the same rows from us"
        )
        for text, taken in (
            ("straight from the export", found["direct_s"]),
            ("  as a process, imports too", found["direct_process_s"]),
            ("by way of Parquet, converting", found["s"] + found["parquet_sums_s"]),
            ("from Parquet already there", found["parquet_sums_s"]),
        ):
            print(f"    {text:30} {taken:8.2f} s  {stats / taken:6.1f} times as fast (goal {TARGET_TIMES:.0f})")
        used = found["direct_cpu_s"]
        print(f"    straight, CPU time             {used:8.2f} s  {found['stats_cpu_s'] / used:6.1f} times less;"
              f" peak memory {found['direct_mb']:.0f} MB", flush=True)  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--stats-rows", type=int, default=10_000_000, help="no larger export goes to nsys stats")
    parser.add_argument("--folder", type=Path, help="where to make the exports (default: the temporary folder)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--direct", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child or args.direct:
        print(json.dumps(child(args.child) if args.child else direct_child(args.direct)))
        return 0
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for rows in args.rows:
            stats = shutil.which("nsys") is not None and rows <= args.stats_rows
            found = measure(rows, Path(folder), stats)
            if args.json:
                print(json.dumps(found), flush=True)
            else:
                show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
