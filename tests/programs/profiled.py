"""A loop that records itself and is watched by its user: a Python loop, a hash, sleep; torch.profiler if asked.

profiled.py RUN_FOLDER FRAMES [KINETO_TRACE]

With HOG=1 in the environment every fifth frame also writes, while another thread holds the interpreter lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from typing import Any

import launched

import motrace


def count() -> int:
    """Work of the interpreter."""
    total = 0
    for number in range(40_000):
        total += number
    return total


def digest() -> str:
    """Native work, without the interpreter lock."""
    return hashlib.sha256(b"x" * 2_000_000).hexdigest()


def hog(wanted: threading.Event) -> None:
    """Hold the interpreter lock as long as that is wanted."""
    while True:
        wanted.wait()
        for _ in range(2000):
            pass


def main() -> None:
    """Run it."""
    folder, frames, trace = sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
    named: Any = contextlib.nullcontext
    profiler: Any = contextlib.nullcontext()
    if trace is not None:
        import torch

        named = torch.profiler.record_function
        profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    wanted, null = threading.Event(), os.open(os.devnull, os.O_WRONLY)
    if os.environ.get("HOG"):
        threading.Thread(target=hog, args=(wanted,), daemon=True).start()
    launched.begin(folder)
    with profiler:
        for number in range(frames):
            with motrace.frame():
                with motrace.span("count"), named("count"):
                    count()
                with motrace.span("digest"), named("digest"):
                    digest()
                with motrace.span("rest"), named("rest"):
                    time.sleep(0.001 * (1 + number % 4))
                if os.environ.get("HOG") and number % 5 == 0:
                    wanted.set()
                    with motrace.span("held"):
                        for _ in range(60):
                            os.write(null, b"x")
                    wanted.clear()
    launched.end(folder)
    if trace is not None:
        profiler.export_chrome_trace(trace)


if __name__ == "__main__":
    main()
