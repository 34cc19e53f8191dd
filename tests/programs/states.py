"""A program of known thread states: python states.py FOLDER SECONDS [THREADS] [FORK]

Records motrace spans with CPU clocks. Its phases of some milliseconds do one thing each; each waits
on something else. THREADS idle threads are there besides; threads and children come and go.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time

import launched

import motrace


def burn(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def brief() -> None:
    time.sleep(0.1)
    burn(0.001)


def main(folder: str, seconds: float, threads: int, fork: bool) -> None:
    reader, writer = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys, time\nwhile sys.stdin.readline(): time.sleep(.005); print(flush=True)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    lock = threading.Lock()
    lock.acquire()
    for _ in range(threads):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()

    def answer() -> None:
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()

    launched.begin(folder)
    motrace.segment("loop")
    print("ready", flush=True)
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        turn += 1
        with motrace.frame():
            with motrace.span("python loop"):
                burn(0.006)
            with motrace.span("sleep"):
                time.sleep(0.004)
            with motrace.span("pipe"):
                answer()
            with motrace.span("poll"):
                select.select([reader], [], [], 0.003)
            with motrace.span("lock"):
                lock.acquire(timeout=0.003)
            if turn % 10 == 0:
                threading.Thread(target=brief).start()
            if fork and turn % 20 == 0:
                words = [sys.executable, "-S", "-c", "import time; time.sleep(0.1)"]
                os.waitpid(os.posix_spawn(sys.executable, words, os.environ), 0)
    launched.end(folder)
    child.stdin.close()
    child.wait()
    os.close(writer)


if __name__ == "__main__":
    extra = sys.argv[3:]
    main(sys.argv[1], float(sys.argv[2]), int(extra[0]) if extra else 0, len(extra) > 1)
    sys.stdout.flush()
    os._exit(3)
