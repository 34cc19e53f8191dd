"""A small loop with a known owner: python -m benchmarks.labelled.loop OWNER SECONDS SEED OUT TRUTH.json [--plain]

Each frame does its own work, which takes most of it, and a little of something else. TRUTH.json: ns by holder, by
clocks of its own. It records itself into OUT; with --plain it does not, and profilers may watch it.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

NOISE = np.random.default_rng(0).integers(0, 255, (24, 180, 320, 3), np.uint8)
SOURCE = np.ones(1 << 23, np.uint8)
TARGET = SOURCE.copy()
Work = Callable[[int], None]


def python_loop(ns: int) -> None:
    """The interpreter."""
    begin, total = time.thread_time_ns(), 0
    while time.thread_time_ns() - begin < ns:
        for number in range(3000):
            total += number & 7


def native(ns: int) -> None:
    """Compiled code that gives up the interpreter lock."""
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < ns:
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 4000)


def copies(ns: int) -> None:
    """Memory copies."""
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < ns:
        np.copyto(TARGET, SOURCE)


def sleep(ns: int) -> None:
    """A deliberate sleep."""
    time.sleep(ns / 1e9)


def run_delay() -> int:
    """Time that this thread was ready and waited for a core, ns."""
    with open(f"/proc/self/task/{threading.get_native_id()}/schedstat") as file:
        return int(file.read().split()[1])


class Child:
    """A process that burns CPU on request."""

    CODE = (
        "import sys, time\n"
        "for line in sys.stdin:\n"
        "    begin = time.process_time_ns()\n"
        "    while time.process_time_ns() - begin < int(line): pass\n"
        "    print(flush=True)\n"
    )

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", self.CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, ns: int) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(ns, file=self._process.stdin, flush=True)
        self._process.stdout.readline()


class Slow:
    """A pipe whose reader sleeps between reads."""

    CODE = "import os, time\nwhile os.read(0, 1 << 15): time.sleep(0.004)"

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-S", "-c", self.CODE], stdin=subprocess.PIPE, bufsize=0)

    def __call__(self, ns: int) -> None:
        assert self._process.stdin is not None
        for _ in range(max(1, ns // 4_000_000)):
            os.write(self._process.stdin.fileno(), b"x" * (1 << 15))


class Worker(threading.Thread):
    """Another thread, which does what is asked for."""

    def __init__(self, work: Work) -> None:
        super().__init__(daemon=True)
        self._work, self._ns = work, 0
        self._asked, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self.start()

    def run(self) -> None:
        """Until the program ends."""
        while True:
            self._asked.acquire()
            self._work(self._ns)
            self._done.release()

    def __call__(self, ns: int) -> None:
        self._ns = ns
        self._asked.release()
        self._done.acquire()


class Lock:
    """A thread that never gives up the interpreter lock unasked, and a loop that gives it up all the time."""

    def __init__(self) -> None:
        threading.Thread(target=self._hog, daemon=True).start()

    def _hog(self) -> None:
        while True:
            for _ in range(10_000):
                pass

    def __call__(self, ns: int) -> None:
        for _ in range(max(1, ns // 5_000_000)):
            hashlib.sha256(b"x" * 4096).digest()  # gives it up, and waits for a switch interval to have it back


def crowd(ns: int) -> None:
    """Work on a core that two others want."""
    python_loop(ns // 3)


def _crowd() -> Work:
    core = {max(os.sched_getaffinity(0))}
    code = f"import os\nos.sched_setaffinity(0, {core})\nwhile os.getppid() == {os.getpid()}: pass"
    for _ in range(2):
        subprocess.Popen([sys.executable, "-S", "-c", code])
    os.sched_setaffinity(0, core)
    return crowd


def _ffmpeg(preset: str) -> subprocess.Popen[bytes]:
    import imageio_ffmpeg

    height, width = NOISE.shape[1:3]
    words = ["-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "30",
             "-i", "-", "-c:v", "libx264", "-preset", preset, "-threads", "1", "-f", "null", "-"]  # fmt: skip
    return subprocess.Popen([imageio_ffmpeg.get_ffmpeg_exe(), *words], stdin=subprocess.PIPE, bufsize=0)


class Stream:
    """Frames into ffmpeg's pipe, faster than it encodes them."""

    def __init__(self) -> None:
        self._process = _ffmpeg("veryslow")
        self._count = 0

    def __call__(self, ns: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(NOISE[self._count % len(NOISE)].tobytes())
        self._count += 1


def per_call(ns: int) -> None:
    """ffmpeg started, fed and ended, as ``imageio.mimsave`` and ``mediapy.write_video`` do."""
    process = _ffmpeg("slow")
    process.communicate(NOISE[:6].tobytes())


class Environments:
    """Worker processes that step environments, as vector environments do."""

    def __init__(self) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(1)
        self._pool.map(native, [1])

    def __call__(self, ns: int) -> None:
        self._pool.map(native, [ns])


OWNERS: dict[str, tuple[str, str, Callable[[], Work]]] = {
    "interpreter": ("PYTHON", "handle", lambda: python_loop),
    "native": ("PYTHON", "hash", lambda: native),
    "copies": ("PYTHON", "copy", lambda: copies),
    "step": ("SIMULATION", "step", lambda: native),
    "policy": ("POLICY", "policy", lambda: native),
    "sleep": ("SLEEP", "rest", lambda: sleep),
    "usleep": ("SLEEP", "rest", lambda: lambda ns: ctypes.CDLL(None).usleep(ns // 1000) and None),
    "child": ("CHILD", "ask", Child),
    "thread": ("THREAD", "ask", lambda: Worker(native)),
    "lock": ("GIL", "hash", Lock),
    "pipe": ("IO", "send", Slow),
    "core": ("CORE", "handle", _crowd),
    "ffmpeg": ("ENCODER", "encode", Stream),
    "ffmpeg per call": ("ENCODER", "encode", lambda: per_call),
    "ffmpeg per call, own name": ("ENCODER", "save_video", lambda: per_call),
    "encoder thread": ("ENCODER", "encode", lambda: Worker(native)),
    "environments": ("SIMULATION", "step", Environments),
}
"""Who holds the time, the span in which it happens, and what makes the work."""
RUNS = frozenset(("PYTHON", "SIMULATION", "POLICY"))


class Truth:
    """Who held the time, by clocks of this program: the thread's own work, its wait for a core, the rest."""

    def __init__(self, owner: str) -> None:
        self.owner, self.ns = owner, Counter[str]()

    def take(self, holder: str, work: Work, ns: int) -> None:
        """Do a piece of work, and count."""
        wall, cpu, delay = time.perf_counter_ns(), time.thread_time_ns(), run_delay()
        work(ns)
        delay, used, wall = run_delay() - delay, time.thread_time_ns() - cpu, time.perf_counter_ns() - wall
        blocked = max(0, wall - used - delay)
        self.ns[holder if holder in RUNS else "PYTHON"] += used
        self.ns["CORE"] += delay
        if self.owner == "GIL" and holder == "SLEEP":  # whatever is longer than the sleep
            self.ns["SLEEP"] += min(ns, blocked)
            self.ns["GIL"] += max(0, blocked - ns)
        elif self.owner == "GIL" or holder not in ("PYTHON", "CORE"):
            self.ns["GIL" if self.owner == "GIL" else holder] += blocked


def own(truth: Truth, work: Work, ns: int) -> None:
    """What the loop is about."""
    truth.take(truth.owner, work, ns)


def rest(truth: Truth, ns: int) -> None:
    """A little of something else."""
    truth.take("PYTHON", python_loop, ns)
    truth.take("SLEEP", sleep, ns // 2)


def one_frame(truth: Truth, work: Work, span: Any, ns: int, little: int) -> None:
    """An iteration."""
    with span:
        own(truth, work, ns)
    rest(truth, little)


def go_first() -> None:
    """Ahead of what else the machine does, where we may: a busy machine's labels are of waiting for a core."""
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
        file.write("-15")


def play(name: str, seconds: float, seed: int, frame: Any, span: Any, begin: Callable[[], None]) -> Counter[str]:
    """The loop; ``frame`` and ``span`` record, ``begin`` is called before the first frame."""
    random = np.random.default_rng(seed)
    owner, where, make = OWNERS[name]
    work, truth = make(), Truth(owner)
    ns, little = int(random.uniform(12e6, 30e6)), int(random.uniform(0.5e6, 2e6))
    work(ns)  # once before: imports, first allocations
    begin()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with frame():
            one_frame(truth, work, span(where), ns, little)
    return truth.ns


def main(name: str, seconds: float, seed: int, out: str, truth_path: str, plain: bool) -> None:
    """Play it, recorded or plain, and write the truth."""
    go_first()
    if plain:
        nothing: Any = lambda *_: contextlib.nullcontext()
        truth = play(name, seconds, seed, nothing, nothing, lambda: None)
    else:
        import motrace
        from tests.programs import launched

        launched.begin(out)
        truth = play(name, seconds, seed, motrace.frame, motrace.span, lambda: motrace.segment("loop"))
        motrace.segment("shutdown")
        launched.end(out)
    with open(truth_path, "w") as file:
        json.dump(truth, file)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5], "--plain" in sys.argv)
    if "--plain" not in sys.argv:  # a profiler in this process writes its file at its end
        os._exit(0)
