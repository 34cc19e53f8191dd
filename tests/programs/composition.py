"""A program of known composition: python composition.py FOLDER TRUTH.json [REPEATS]

Each phase does one thing, and measures it with clocks of its own (not the recorder's): wall time,
the loop thread's CPU time, and the CPU time of whoever worked in its place.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import threading
import time

import launched

import motrace

CHILD = """
import sys, time
while True:
    line = sys.stdin.readline()
    if not line:
        break
    begin = time.process_time_ns()
    while time.process_time_ns() - begin < int(line):
        pass
    print(time.process_time_ns() - begin, flush=True)
"""


def burn_python(ns: int) -> None:
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < ns:
        for _ in range(200):
            pass


def burn_native(ns: int) -> int:
    """CPU time of native code that gives up the GIL (OpenSSL's PBKDF2)."""
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < ns:
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 3000)
    return time.thread_time_ns() - begin


class Worker(threading.Thread):
    """Burns CPU in native code when asked."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.asked, self.answered = threading.Semaphore(0), threading.Semaphore(0)
        self.ns = self.used_ns = 0

    def run(self) -> None:
        while True:
            self.asked.acquire()
            self.used_ns = burn_native(self.ns)
            self.answered.release()


def main(folder: str, truth_path: str, repeats: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    worker = Worker()
    worker.start()
    # Once before recording: imports, first allocations.
    burn_native(1_000_000)
    child.stdin.write("1000000\n")
    child.stdin.flush()
    child.stdout.readline()
    truth: list[dict[str, int | str]] = []

    def measure(phase: str, work) -> None:
        with motrace.span(phase):
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            other = work() or 0
            cpu, wall = time.thread_time_ns() - cpu, time.perf_counter_ns() - wall
        truth.append({"phase": phase, "wall_ns": wall, "cpu_ns": cpu, "other_ns": other})

    def other_thread() -> int:
        worker.ns = 40_000_000
        worker.asked.release()
        worker.answered.acquire()
        return worker.used_ns

    def child_works() -> int:
        child.stdin.write("50000000\n")
        child.stdin.flush()
        return int(child.stdout.readline())

    launched.begin(folder)
    motrace.segment("loop")
    for _ in range(repeats):
        with motrace.frame():
            measure("python loop", lambda: burn_python(30_000_000))
            measure("sleep", lambda: time.sleep(0.03))
            measure("native", lambda: burn_native(20_000_000) and 0)
            measure("other thread", other_thread)
            measure("child", child_works)
            measure("nanosleep in C", lambda: ctypes.CDLL(None).usleep(20_000) and 0)
    motrace.segment("shutdown")
    launched.end(folder)
    child.stdin.close()
    child.wait()
    with open(truth_path, "w") as file:
        json.dump(truth, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    os._exit(0)
