"""Pieces of work of known kinds, and parties that do them: threads and child processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .oracle import Answer, Used, awake, seen, thread_used


def python_loop(times: int) -> None:
    """Bytecode and nothing else."""
    total = 0
    for number in range(times):
        total += number & 7


def native(times: int) -> None:
    """One long call of compiled code, which gives up the GIL."""
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", times)


def calibrated(work: Callable[[int], None], ms: float) -> Callable[[], None]:
    """The work, as much of it as takes about so much CPU time here."""
    times = 64
    while True:
        begin = time.thread_time_ns()
        work(times)
        used = time.thread_time_ns() - begin
        if used > 5_000_000:
            many = max(1, round(times * ms * 1e6 / used))
            return lambda: work(many)
        times *= 2


ASKING_NS = 30_000
"""How long a thread that asks another may wait for the GIL before that one has begun."""


class AskedThread(threading.Thread):
    """A thread that works when it is asked to, and is waited for."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._asked, self._answered = threading.Semaphore(0), threading.Semaphore(0)
        self._asker = threading.get_native_id()
        self._awake_ns: int | None = None
        self._answered_ns, self._asker_end = 0, (Used(0, 0), False)
        self.start()

    def run(self) -> None:
        """Wait, work, answer."""
        while True:
            self._asked.acquire()
            begin = seen(os.getpid(), self._asker)
            self._work()
            self._asker_end = seen(os.getpid(), self._asker)
            self._awake_ns = awake(begin, self._asker_end)
            self._answered_ns = time.monotonic_ns()
            self._answered.release()

    def used(self) -> Used:
        """Its CPU time and run delay so far, read by whoever calls."""
        assert self.native_id is not None
        return thread_used(self.native_id)

    def ask(self) -> Answer:
        """Have it work; what came of it."""
        begin = self.used()
        self._asked.release()
        self._answered.acquire()
        end = self.used()
        used = Used(end.cpu_ns - begin.cpu_ns, end.delay_ns - begin.delay_ns)
        (old, blocked), own = self._asker_end, thread_used(self._asker)
        awake_ns = own.cpu_ns - old.cpu_ns + own.delay_ns - old.delay_ns if blocked else 0
        late_ns = time.monotonic_ns() - self._answered_ns - awake_ns
        return Answer(used, self._awake_ns, max(0, late_ns) + ASKING_NS)


CHILD = """
import os, sys, time
from benchmarks.truth.oracle import awake, seen
said = time.thread_time_ns()
for line in sys.stdin:
    begin, asker, work = seen(os.getpid(), os.getpid())[0], seen(os.getppid(), os.getppid()), float(line)
    cpu = time.thread_time_ns()
    if work < 0:
        time.sleep(-work / 1e3)
    while time.thread_time_ns() - cpu < work * 1e6:
        for _ in range(500):
            pass
    awake_ns, end = awake(asker, seen(os.getppid(), os.getppid())), seen(os.getpid(), os.getpid())[0]
    before, said = said, time.thread_time_ns()
    print(said - before, end.delay_ns - begin.delay_ns, -1 if awake_ns is None else awake_ns, flush=True)
"""
ROOT = Path(__file__).resolve().parents[2]


class AskedChild:
    """A child process that works (or sleeps) when asked to, and says itself what it used since its last answer."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def ask(self, ms: float) -> Answer:
        """Have it work for so long; negative: sleep."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{ms}\n")
        self._process.stdin.flush()
        cpu, delay, awake_ns = map(int, self._process.stdout.readline().split())
        return Answer(Used(cpu, delay), None if awake_ns < 0 else awake_ns)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()


def hog() -> None:
    """A thread that holds the GIL as often as it gets it."""

    def run() -> None:
        while True:
            python_loop(5000)

    threading.Thread(target=run, daemon=True).start()
