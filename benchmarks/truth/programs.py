"""The known programs: ``python -m benchmarks.truth.programs NAME FOLDER SECONDS`` writes the truth into FOLDER.

They use motrace's spans as any program does. What they say about their time comes from their own clocks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import motrace

from .groups import ANY
from .oracle import TICK_NS, Oracle, Used, other_threads, seen, since, union
from .video import ffmpeg_pipe, ffmpeg_short
from .work import AskedChild, AskedThread, calibrated, hog, native, python_loop

FRAMES = 8
"""At least so many, however long they take."""

Frames = Generator[None, None, None]
Program = Callable[[Oracle], Frames]
"""A generator: up to its first ``yield`` it prepares; each further one ends a frame. Closed when the loop ends."""


def interpreter(oracle: Oracle) -> Frames:
    """Bytecode in the phase ``step``."""
    work = calibrated(python_loop, 12)
    while True:
        yield
        with motrace.span("step"), oracle.section("step"):
            work()


def native_code(oracle: Oracle) -> Frames:
    """Compiled code in the phase ``policy``: a hash, a compression, a sum over a large array."""
    import zlib

    import numpy as np

    values, data = np.linspace(0.0, 1.0, 200_000), bytes(range(256)) * 400
    digest = calibrated(native, 6)
    while True:
        yield
        with motrace.span("policy"), oracle.section("policy") as section:
            section.ran("native", digest, 20_000)
            section.ran("native", lambda: zlib.compress(data, 6), 20_000)
            section.ran("native", lambda: np.sin(values).sum(), 40_000)


def copies(oracle: Oracle) -> Frames:
    """RGBA pictures made RGB in four ways, a checksum, and some bytecode."""
    import zlib

    import numpy as np

    rgba = np.random.default_rng(0).integers(0, 255, (1080, 1920, 4), np.uint8)
    target = np.empty((1080, 1920, 3), np.uint8)
    rows, small = calibrated(python_loop, 2), rgba[:300].tobytes()
    while True:
        yield
        with motrace.span("rgb"), oracle.section("rgb") as section:
            section.ran("copying", lambda: np.ascontiguousarray(rgba[..., :3]), 20_000)
            section.ran("copying", lambda: np.copyto(target, rgba[..., :3]), 20_000)
            section.ran("copying", lambda: rgba[..., [0, 1, 2]], 20_000)
            section.ran("copying", target.tobytes, 20_000)
            for _ in range(4):
                section.ran("native", lambda: zlib.crc32(small), 20_000)
            rows()


def worker(oracle: Oracle) -> Frames:
    """A thread computes with the GIL released, and the loop waits for it."""
    return _asks(oracle, "prepare", own_ms=2, thread_ms=12)


def _asks(oracle: Oracle, name: str, own_ms: float, thread_ms: float) -> Frames:
    thread, own = AskedThread(calibrated(native, thread_ms)), calibrated(python_loop, own_ms)
    while True:
        yield
        with motrace.span(name), oracle.section(name):
            own()
        with motrace.span("wait for the thread"), oracle.section("wait for the thread") as section:
            section.answered("other_threads", thread.ask())


def _gil(oracle: Oracle, hogs: int) -> Frames:
    work, digest = calibrated(python_loop, 6), calibrated(native, 1)
    for _ in range(hogs):
        hog()
    while True:
        yield
        with motrace.span("step"), oracle.section("step", blocked="gil") as section:
            work()
            section.ran("native", digest, 20_000)


def gil_2(oracle: Oracle) -> Frames:
    """One other Python thread holds the GIL while the loop steps."""
    return _gil(oracle, 1)


def gil_8(oracle: Oracle) -> Frames:
    """Seven other Python threads fight for it."""
    return _gil(oracle, 7)


def encoder_thread(oracle: Oracle) -> Frames:
    """A thread with ``encode`` spans of its own, which the loop waits for."""
    thread, own = AskedThread(motrace.span("encode")(calibrated(native, 12))), calibrated(python_loop, 2)
    while True:
        yield
        with motrace.span("prepare"), oracle.section("prepare"):
            own()
        with motrace.span("hand over"), oracle.section("hand over") as section:
            section.answered("encoder", thread.ask())


def _child(oracle: Oracle, ms: float) -> Frames:
    child, own = AskedChild(), calibrated(python_loop, 2)
    try:
        while True:
            yield
            with motrace.span("prepare"), oracle.section("prepare"):
                own()
            with motrace.span("ask the child"), oracle.section("ask the child", blocked=("idle", "pipe")) as section:
                section.answered("other_processes", child.ask(ms), 200_000)
    finally:
        child.close()


def child_works(oracle: Oracle) -> Frames:
    """A child process computes, and the loop waits for its answer."""
    return _child(oracle, 12.0)


def child_sleeps(oracle: Oracle) -> Frames:
    """A child process sleeps before it answers: nobody works."""
    return _child(oracle, -12.0)


def _pool_task(ms: float) -> None:
    """In a worker: compute for so much CPU time."""
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < ms * 1e6:
        native(500)


def pool(oracle: Oracle) -> Frames:
    """Two worker processes of multiprocessing compute; the loop waits for both."""
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as workers:
        pids = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
        own = calibrated(python_loop, 2)

        def clocks() -> tuple[dict[int, Used], bool]:
            """Of the workers, and whether these are exact: those of processes that don't run."""
            all_seen = {pid: seen(pid, pid) for pid in pids}
            return {pid: used for pid, (used, _) in all_seen.items()}, all(blocked for _, blocked in all_seen.values())

        while True:
            yield
            with motrace.span("prepare"), oracle.section("prepare"):
                own()
            with motrace.span("simulate in processes"), oracle.section("simulate in processes") as section:
                threads, (begin, begin_exact) = other_threads(), clocks()
                workers.map(_pool_task, (12.0, 12.0), 1)
                end, end_exact = clocks()
                used = since(begin, end)
                slack = 50_000 if begin_exact and end_exact else TICK_NS
                least, most = union((one.cpu_ns for one in used), slack)
                section.worked("other_processes", least, most, sum(one.delay_ns for one in used))
                helpers = since(threads, other_threads())
                section.perhaps("other_threads", sum(one.cpu_ns for one in helpers))
                section.perhaps("gil", sum(one.cpu_ns + one.delay_ns for one in helpers))


def _sleep(oracle: Oracle, phase: str) -> Frames:
    own = calibrated(python_loop, 2)
    while True:
        yield
        with motrace.span("prepare"), oracle.section("prepare"):
            own()
        with motrace.span(phase), oracle.section(phase, blocked="pacing"):
            time.sleep(0.012)


def sleep(oracle: Oracle) -> Frames:
    """The loop paces itself by a sleep in a span of its own."""
    return _sleep(oracle, "pace")


def sleep_in_step(oracle: Oracle) -> Frames:
    """The loop sleeps inside ``step``, as an environment in real time does."""
    return _sleep(oracle, "step")


def disk(oracle: Oracle) -> Frames:
    """The loop writes pictures and waits until the disk has them."""
    data, path = os.urandom(4 << 20), f"scratch-{os.getpid()}"
    file, own = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC), calibrated(python_loop, 2)
    try:
        while True:
            yield
            with motrace.span("prepare"), oracle.section("prepare"):
                own()
            with motrace.span("save"), oracle.section("save", "native", "io"):
                os.pwrite(file, data, 0)
                os.fsync(file)
    finally:
        os.close(file)
        os.unlink(path)


def crowded(oracle: Oracle) -> Frames:
    """The loop computes and waits for a thread, while other processes want every core."""
    return _asks(oracle, "step", own_ms=8, thread_ms=4)


PROGRAMS: dict[str, Program] = {
    "interpreter": interpreter, "native": native_code, "copies": copies, "worker": worker, "gil_2": gil_2,
    "gil_8": gil_8, "encoder_thread": encoder_thread, "ffmpeg_pipe": ffmpeg_pipe, "ffmpeg_short": ffmpeg_short,
    "child_works": child_works, "child_sleeps": child_sleeps, "pool": pool, "sleep": sleep,
    "sleep_in_step": sleep_in_step, "disk": disk, "crowded": crowded,
}  # fmt: skip


def prepare(program: Frames) -> None:
    """Up to its first frame: after this, the recording's loop begins."""
    next(program)


def finish(oracle: Oracle, folder: Path) -> None:
    """Where the recording's loop ends. Outside any section the loop waits for the GIL, if for anything."""
    oracle.end(folder, "gil" if oracle.program.startswith("gil") else ANY)


def main(name: str, folder: Path, seconds: float) -> None:
    """Run a program for so long and write what its time was."""
    oracle = Oracle(name)
    program = PROGRAMS[name](oracle)
    os.chdir(folder)
    prepare(program)
    oracle.begin()
    end = time.monotonic() + seconds
    while time.monotonic() < end or oracle.frames < FRAMES:
        with motrace.frame():
            next(program)
        oracle.frames += 1
    finish(oracle, folder)
    program.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).absolute(), float(sys.argv[3]))
