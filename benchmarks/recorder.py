"""What the recorder costs: a span, and a frame with 8 leaf spans in a process of 24 other threads.

Each number is taken by turning recording on and off in turn, within one run, and comparing
medians: ``python -m benchmarks.recorder``. The frame's leaves last ``--leaf-us`` each, spent half
on the core and half asleep, so that every state and every reading occurs; the other threads wake
every 2 ms, so that each of them has moved whenever it is read (the worst case), or they sleep.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from typing import Any

import motrace

LOOP_LEAVES = ("policy", "step", "submit", "wait", "take", "copy", "encode.write", "encode.finish")
"""The leaf spans of a recorded frame, in the order in which they happen."""

TARGET_SPAN_NS, TARGET_OFF_NS, TARGET_FRAME_NS = 500, 100, 100_000
PARENTS = {
    "submit": "capture",
    "wait": "capture",
    "take": "capture",
    "encode.write": "encode",
    "encode.finish": "encode",
}


def span_ns(spans: int) -> float:
    """Time of one ``with motrace.span(...)``, the loop around it taken off."""
    names = range(spans)
    begin = time.perf_counter_ns()
    for _ in names:
        with motrace.span("span"):
            pass
    middle = time.perf_counter_ns()
    for _ in names:
        pass
    return (middle - begin - (time.perf_counter_ns() - middle)) / spans


def bench_span(rounds: int = 15, spans: int = 20_000) -> tuple[float, float]:
    """Medians of a span's time with recording on (no CPU clocks) and off, ns."""
    on, off = [], []
    for _ in range(rounds):
        folder = tempfile.mkdtemp()
        motrace.start(folder, cpu_clocks=False)
        on.append(span_ns(spans))
        motrace.stop()
        off.append(span_ns(spans))
        shutil.rmtree(folder)
    return statistics.median(on), statistics.median(off)


def _leaf(name: str, leaf_ns: int) -> None:
    with motrace.span(name):
        end = time.perf_counter_ns() + leaf_ns // 2
        while time.perf_counter_ns() < end:
            pass
        time.sleep(leaf_ns / 2e9)


def _frame(leaf_ns: int) -> int:
    begin = time.thread_time_ns()
    with motrace.frame():
        for parent in (None, "capture", "encode"):
            names = [name for name in LOOP_LEAVES if PARENTS.get(name) == parent]
            if parent is None:
                for name in names:
                    _leaf(name, leaf_ns)
                continue
            with motrace.span(parent):
                for name in names:
                    _leaf(name, leaf_ns)
    return time.thread_time_ns() - begin


def bench_frame(threads: int, busy: bool, leaf_ns: int, rounds: int = 8, frames: int = 80) -> tuple[float, float]:
    """Medians of the loop thread's CPU time per frame, recording on and off, ns.

    CPU time, not wall time: sleeping threads make wall time noisy on two cores, and reading clocks
    is work of the loop thread alone.
    """
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.002 if busy else 3600):
            pass

    others = [threading.Thread(target=work) for _ in range(threads)]
    for thread in others:
        thread.start()
    on: list[int] = []
    off: list[int] = []
    for _ in range(rounds):
        folder = tempfile.mkdtemp()
        motrace.start(folder)
        on += [_frame(leaf_ns) for _ in range(frames)]
        motrace.stop()
        off += [_frame(leaf_ns) for _ in range(frames)]
        shutil.rmtree(folder)
    done.set()
    for thread in others:
        thread.join()
    return statistics.median(on), statistics.median(off)


def main() -> int:
    """Run all and print a table, and JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=24)
    parser.add_argument("--leaf-us", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    on, off = bench_span()
    results: dict[str, Any] = {"span_on_ns": on, "span_off_ns": off, "python": sys.version.split()[0]}
    for kind, busy in (("asleep", False), ("busy", True)):
        frame_on, frame_off = bench_frame(args.threads, busy, args.leaf_us * 1000)
        results[f"frame_{kind}_ns"] = frame_on - frame_off
    if args.json:
        print(json.dumps(results))
        return 0
    print(f"Python {results['python']}, {args.threads} other threads, leaves of {args.leaf_us} us; medians")
    print(f"span, recording            {on:8.0f} ns   (target {TARGET_SPAN_NS})")
    print(f"span, switched off         {off:8.0f} ns   (target {TARGET_OFF_NS})")
    for kind in ("asleep", "busy"):
        print(
            f"frame, others {kind:12s} {results[f'frame_{kind}_ns'] / 1000:8.1f} us   "
            f"(target {TARGET_FRAME_NS / 1000:.0f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
