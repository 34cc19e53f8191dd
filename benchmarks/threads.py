"""``python -m benchmarks.threads``: what the sampler of thread states costs, and how right it is."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from motrace.collect.threads import FILE, ThreadsCollector
from motrace.readers import thread_samples

PROGRAM = """
import os, sys, threading, time
for _ in range(int(sys.argv[1])):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
end, ran, waited = time.monotonic() + float(sys.argv[2]), 0.0, 0.0
while time.monotonic() < end:
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.004:
        pass
    middle = time.perf_counter()
    time.sleep(0.004)
    ran, waited = ran + middle - begin, waited + time.perf_counter() - middle
print(ran / (ran + waited), flush=True)
os._exit(0)
"""
THREADS = (0, 20, 100)
SECONDS = 6.0


def measure(threads: int, hz: float) -> str:
    """A row: threads, rates, cost, and the running share as seen and as it was."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-c", PROGRAM, str(threads), str(SECONDS)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        collector = ThreadsCollector(hz)
        collector.attach(process.pid, folder)
        true = float(process.communicate()[0])
        collector.finish(folder)
        samples = thread_samples.read(folder / FILE)
    intervals = samples.intervals()
    loop = intervals[process.pid, process.pid]
    others = sorted(ns for (_, tid), ns in intervals.items() if tid != process.pid) or [loop]
    points = samples.points().to_pandas()
    seen = (points.loc[points["tid"] == process.pid, "state"] == "running").mean()
    rates = f"{1e9 / loop:5.0f} Hz loop, {1e9 / max(1, others[len(others) // 2]):5.0f} Hz others"
    return (
        f"{threads + 1:4d} threads, asked {hz:.0f} Hz: {rates}, {samples.cost_share:.1%} of a core, "
        f"running {seen:.1%} (true {true:.1%}), late {samples.late_share:.1%}, {samples.facts.scheduling}"
    )


def main() -> int:
    """Print the rows."""
    for hz in (500.0, 1000.0):
        for threads in THREADS:
            print(measure(threads, hz), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
