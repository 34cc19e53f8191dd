"""How long ``analyze`` takes for a run of 1000 frames, imports included, and ``import motrace``.

``python -m benchmarks.analysis``: records a loop with the spans of a recorded frame and 24 other
threads that work now and then, then analyses it in new processes; medians of 5.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import motrace
from benchmarks.recorder import LOOP_LEAVES, PARENTS

TARGET_ANALYSIS_S, TARGET_IMPORT_MS = 5.0, 50.0


def record(folder: Path, frames: int, threads: int) -> None:
    """A run with the spans of a recorded frame, each leaf 100 us of work."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.005):
            sum(range(200))

    others = [threading.Thread(target=work) for _ in range(threads)]
    for thread in others:
        thread.start()
    motrace.start(folder)
    motrace.segment("loop")
    for _ in range(frames):
        with motrace.frame():
            for name in LOOP_LEAVES:
                parent = PARENTS.get(name)
                with motrace.span(parent or name):
                    if parent:
                        with motrace.span(name):
                            _spin(100_000)
                    else:
                        _spin(100_000)
    motrace.segment("shutdown")
    motrace.stop()
    done.set()
    for thread in others:
        thread.join()


def _spin(ns: int) -> None:
    end = time.perf_counter_ns() + ns
    while time.perf_counter_ns() < end:
        pass


def seconds(*command: str | Path) -> float:
    """Wall time of a process."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> int:
    """Record, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        record(folder, args.frames, 24)
        analysis = [seconds(sys.executable, "-m", "tools.analyze", folder) for _ in range(args.repeat)]
    bare, loaded = (
        [seconds(sys.executable, "-c", code) for _ in range(4 * args.repeat)] for code in ("", "import motrace")
    )
    results = {
        "frames": args.frames,
        "analysis_s": statistics.median(analysis),
        "import_ms": 1000 * (statistics.median(loaded) - statistics.median(bare)),
    }
    if args.json:
        print(json.dumps(results))
    else:
        print(f"analyze, {args.frames} frames      {results['analysis_s']:6.2f} s    (target {TARGET_ANALYSIS_S:.0f})")
        print(f"import motrace             {results['import_ms']:6.1f} ms   (target {TARGET_IMPORT_MS:.0f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
