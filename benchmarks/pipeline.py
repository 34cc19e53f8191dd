"""How long, and in how much memory, from an export to the report: traces of 1, 10 and 50 million events.

``python -m benchmarks.pipeline``: simulates runs (``tests/simulator``) and analyses each in a
new process, ``python -m tools.analyze``, imports included. Prints medians, and how time and memory
grow from one size to the next.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.simulator import Config, simulate
from tests.simulator.__main__ import frames_for

TARGETS = {"10e6 events, s": 15.0, "10e6 events, GB": 1.5}
CALLS_PER_SLICE = 90
"""Vulkan calls in each slice in which a renderer thread works: about 1500 events a frame, as Motrix's."""
REPEATS = {1: 3, 10: 3, 50: 1}


def measured(run: Path, out: Path) -> tuple[float, float, float]:
    """Wall time and CPU time, s, and largest resident memory, GB, of analysing a run in a process of its own."""
    command = [sys.executable, "-m", "tools.analyze", str(run), "--out", str(out)]
    begin = time.perf_counter()
    with open(os.devnull, "w") as quiet:
        child = subprocess.Popen(command, stdout=quiet)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {child.returncode}")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def main() -> int:
    """Simulate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10, 50], help="sizes, in millions of events")
    parser.add_argument("--repeat", type=int, help="runs of each size (default: 3, one of 50 millions)")
    parser.add_argument("--dir", type=Path, help="where to write the traces (about 60 bytes an event)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    config = Config(calls_per_slice=CALLS_PER_SLICE, drift_ppm=12.0, jitter_ns=600, warmup=10)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=args.dir) as name:
        for millions in args.millions:
            run, out = Path(name) / "run", Path(name) / "out"
            frames = frames_for(millions * 1e6, config)
            events = sum(simulate(run, Config(**{**config.__dict__, "frames": frames})).events.values())
            repeat = args.repeat or REPEATS.get(int(millions), 3)
            found = [measured(run, out) for _ in range(repeat)]
            wall, cpu, memory = (statistics.median(part) for part in zip(*found))
            size = (run / "nsys.sqlite").stat().st_size / 1e9
            row = {"events": events, "frames": frames, "file_gb": size, "runs": repeat}
            rows.append({**row, "s": wall, "cpu_s": cpu, "gb": memory})
            if not args.json:
                _show(rows)
            subprocess.run(["rm", "-r", str(run), str(out)], check=True)
    if args.json:
        print(json.dumps(rows))
    return 0


def _show(rows: list[dict[str, Any]]) -> None:
    if len(rows) == 1:
        print("targets at 10 million: 15 s, 1.5 GB; CPU time is what a busy machine does not distort")
        print("     events   frames  file, GB  wall, s   CPU, s  CPU, us/event  memory, GB  runs")
    row = rows[-1]
    each = 1e6 * row["cpu_s"] / row["events"]
    print(
        f"{row['events']:11,} {row['frames']:8,} {row['file_gb']:9.2f} {row['s']:8.1f} {row['cpu_s']:8.1f}"
        f" {each:14.2f} {row['gb']:11.2f} {row['runs']:5}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
