"""A program of known composition: python known.py FOLDER TRUTH.json SECONDS [pool]

Spans of 2 to 10 ms, each kind of a known make-up. TRUTH.json: by span kind and class of work, the CPU
time (what runs) or wall time (what waits) that the program measured itself, in ns.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import launched
import numpy as np

import motrace

DATA = b"x" * 200_000
SOURCE = np.ones(1 << 22, np.uint8)
TARGET = SOURCE.copy()
RGBA = SOURCE.reshape(512, 2048, 4)
RGB = np.empty((512, 2048, 3), np.uint8)


# Each does a piece of work so many times. No clock is read in between: reading a thread's CPU clock lets the
# kernel take the core away right there, and samples would find the thread waiting in it.


def python_loop(times: int) -> None:
    total = 0
    for number in range(times):
        total += number & 7


def sha256(times: int) -> None:
    for _ in range(times):
        hashlib.sha256(DATA).digest()


def copy_holding(times: int) -> None:
    for _ in range(times):
        SOURCE.tobytes()


def copy_releasing(times: int) -> None:
    for _ in range(times):
        np.copyto(TARGET, SOURCE)


def rgba_to_rgb(times: int) -> None:
    for _ in range(times):
        RGB[...] = RGBA[..., :3]


def times_for(work: Callable[[int], None], ns: int) -> int:
    """How many times a piece of work takes about so much CPU time here."""
    work(3)
    times = 1
    while True:
        begin = time.thread_time_ns()
        work(times)
        used = time.thread_time_ns() - begin
        if used > 3_000_000:
            return max(1, times * ns // used)
        times *= 2


def to_disk(ns: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(DATA)
        file.flush()
        os.fsync(file.fileno())


def sleep(ns: int) -> None:
    time.sleep(ns / 1e9)


class Pipe:
    """A pipe whose reader is slow: a write into it waits."""

    def __init__(self) -> None:
        code = "import os, time\nwhile os.read(0, 1 << 16): time.sleep(0.002)"
        self.reader = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, bufsize=0)
        assert self.reader.stdin is not None
        self.fd = self.reader.stdin.fileno()

    def write(self, ns: int) -> None:
        os.write(self.fd, DATA)

    def close(self) -> None:
        self.reader.stdin.close()
        self.reader.wait()


class Hog(threading.Thread):
    """Holds the GIL in a Python loop while it is asked to."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.wanted = threading.Event()

    def run(self) -> None:
        while True:
            self.wanted.wait()
            for _ in range(2000):
                pass


def pool() -> Callable[[int], None]:
    """A simulation whose native pool is awaited with the GIL held."""
    import motrixsim as mx

    path = os.path.join(os.path.dirname(motrace.__file__), "workloads", "humanoid.xml")
    model = mx.load_model(path)
    data = mx.SceneData(model, batch=[64])

    def step(ns: int) -> None:
        model.step(data)

    return step


def main(folder: str, truth_path: str, seconds: float, with_pool: bool) -> None:
    pipe, hog = Pipe(), Hog()
    hog.start()
    pieces: dict[str, tuple[tuple[str, Callable[[int], None], int], ...]] = {
        "python": (("interpreter", python_loop, 5_000_000),),
        "mixed": (
            ("interpreter", python_loop, 3_000_000),
            ("copying", copy_holding, 2_000_000),
            ("native", sha256, 5_000_000),
        ),
        "hash": (("native", sha256, 6_000_000),),
        "copies": (("copying", copy_holding, 3_000_000), ("copying", copy_releasing, 3_000_000)),
        "copy and loop": (("copying", copy_releasing, 4_000_000), ("interpreter", python_loop, 2_000_000)),
        "rgba to rgb": (("copying", rgba_to_rgb, 5_000_000), ("native", sha256, 1_000_000)),
        "sleep": (("sleeping", sleep, 5_000_000),),
        "pipe": (("pipe", pipe.write, 0),),
        "disk": (("file", to_disk, 0),),
    }
    pieces = {
        kind: tuple(
            (what, work, times_for(work, ns) if what in ("interpreter", "copying", "native") else ns)
            for what, work, ns in parts
        )
        for kind, parts in pieces.items()
    }
    if with_pool:
        pieces["pool"] = (("native_pool_with_gil", pool(), 0),)
    truth: dict[str, dict[str, list[int]]] = {kind: {} for kind in (*pieces, "gil")}

    def measure(kind: str, what: str, work: Callable[[int], None], ns: int) -> None:
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        work(ns)
        used = time.thread_time_ns() - cpu
        spent = truth[kind].setdefault(what, [0, 0])
        spent[0] += used
        spent[1] += time.perf_counter_ns() - wall - used

    launched.begin(folder)
    motrace.segment("loop")
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        with motrace.frame():
            for kind, parts in pieces.items():
                with motrace.span(kind):
                    for what, work, ns in parts:
                        measure(kind, what, work, ns)
            turn += 1
            if turn % 4 == 0:
                hog.wanted.set()
                with motrace.span("gil"):
                    measure("gil", "gil", lambda ns: hashlib.sha256(DATA).digest() and None, 0)
                hog.wanted.clear()
    launched.end(folder)
    pipe.close()
    with open(truth_path, "w") as file:
        json.dump(truth, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), len(sys.argv) > 4)
    os._exit(5)
