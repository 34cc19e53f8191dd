"""Clocks that a program reads itself, independent of motrace's recorder: its oracle. Standard library only."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from .groups import ANY, TrueGroup, TrueRun

_libc = ctypes.PyDLL(None)  # unlike os.pread it keeps the GIL
_buffer = ctypes.create_string_buffer(64)
UNINTERRUPTED_NS = 20_000
"""A reading that took longer was interrupted, and is taken again."""
TICK_NS = 10_000_000
"""By so much the clock of a thread of another process that runs right now may lag."""


class Reading(NamedTuple):
    """The loop thread's clocks, and the wall clock before and after they were read."""

    before_ns: int
    cpu_ns: int
    delay_ns: int
    after_ns: int


class Used(NamedTuple):
    """CPU time of one party, and how long it waited for a core."""

    cpu_ns: int
    delay_ns: int


class Answer(NamedTuple):
    """What a worker used, and for how long at most its asker was awake meanwhile; None: not known.

    ``gil_ns``: how long at most the asker may have waited for the interpreter's lock.
    """

    used: Used
    awake_ns: int | None
    gil_ns: int = 0


def awake(begin: tuple[Used, bool], end: tuple[Used, bool]) -> int | None:
    """How long a thread was not blocked between two readings by another; None unless it was blocked at the end."""
    (old, _), (new, blocked) = begin, end
    return new.cpu_ns - old.cpu_ns + new.delay_ns - old.delay_ns if blocked else None


def seen(pid: int, tid: int) -> tuple[Used, bool]:
    """A thread's clocks as another thread or process sees them, and whether it was blocked."""
    with open(f"/proc/{pid}/task/{tid}/stat", "rb") as file:
        blocked = file.read().rpartition(b")")[2].split()[0] in (b"S", b"D")
    with open(f"/proc/{pid}/task/{tid}/schedstat", "rb") as file:
        cpu, delay = file.read().split()[:2]
    return Used(int(cpu), int(delay)), blocked


def thread_used(tid: int) -> Used:
    """Of a thread of this process; exact also while it runs."""
    with open(f"/proc/self/task/{tid}/schedstat", "rb") as file:
        delay = int(file.read().split()[1])
    return Used(time.clock_gettime_ns((~tid << 3) | 6), delay)


def other_threads() -> dict[int, Used]:
    """Of every thread of this process but the caller and a profiler's."""
    own = threading.get_native_id()
    tids = (int(tid) for tid in os.listdir("/proc/self/task") if int(tid) != own)
    return _all((tid for tid in tids if not _profiles(tid)), thread_used)


def _profiles(tid: int) -> bool:
    """Whether a thread of this process is Nsight Systems' own."""
    try:
        with open(f"/proc/self/task/{tid}/comm", "rb") as file:
            return file.read().startswith((b"[NSys", b"*2CommsProcesso"))
    except OSError:  # it has ended
        return False


def process_threads(pid: int) -> dict[int, Used]:
    """Of every thread of another process, up to a tick old for those that run right now."""

    def used(tid: int) -> Used:
        with open(f"/proc/{pid}/task/{tid}/schedstat", "rb") as file:
            cpu, delay = file.read().split()[:2]
        return Used(int(cpu), int(delay))

    return _all(map(int, os.listdir(f"/proc/{pid}/task")), used)


def _all(tids: Iterable[int], used: Callable[[int], Used]) -> dict[int, Used]:
    found = {}
    for tid in tids:
        try:
            found[tid] = used(tid)
        except OSError:  # it has ended
            continue
    return found


def since(begin: dict[int, Used], end: dict[int, Used]) -> list[Used]:
    """What each thread used between two readings."""
    zero = Used(0, 0)
    return [Used(*(new - old for new, old in zip(used, begin.get(tid, zero)))) for tid, used in end.items()]


def union(parts: Iterable[int], slack_ns: int = 0) -> tuple[int, int]:
    """Least and most time in which any of some workers worked, from what each of them used."""
    used = list(parts)
    if not used:
        return 0, 0
    return max(0, *used, sum(used) // (os.cpu_count() or 1)) - slack_ns, sum(used) + slack_ns * len(used)


class Section:
    """A stretch of the loop thread in one phase: what it ran, and what it waited for."""

    def __init__(self, oracle: Oracle, phase: str, running: str, blocked: str | tuple[str, ...]) -> None:
        self._oracle, self._phase, self._running = oracle, phase, running
        self._blocked = (blocked,) if isinstance(blocked, str) else blocked
        self._ran: dict[str, tuple[int, int]] = {}
        self._worked: tuple[str, int, int] | None = None
        self._awake_ns: int | None = None
        self._perhaps: dict[str, int] = {}

    def __enter__(self) -> Section:
        self._begin = self._oracle.reading()
        return self

    def ran(self, cause: str, work: Callable[[], object], error_ns: int = 3_000) -> None:
        """Do some work whose running time has a cause of its own."""
        begin = time.thread_time_ns()
        work()
        ns = time.thread_time_ns() - begin
        lo, hi = self._ran.get(cause, (0, 0))
        self._ran[cause] = (lo + max(0, ns - error_ns), hi + ns)

    def answered(self, cause: str, answer: Answer, slack_ns: int = 100_000) -> None:
        """One worker worked meanwhile."""
        self.worked(cause, *union([answer.used.cpu_ns], slack_ns), answer.used.delay_ns)
        self._awake_ns = answer.awake_ns
        self.perhaps("gil", answer.gil_ns)

    def worked(self, cause: str, least_ns: int, most_ns: int, wanted_ns: int = 0) -> None:
        """Others worked meanwhile, for so long at least and at most; and waited for a core."""
        self._worked = (cause, least_ns, most_ns)
        self._oracle.wanted_ns += wanted_ns

    def perhaps(self, cause: str, most_ns: int) -> None:
        """Something else that it may have waited for, so long at most."""
        self._perhaps[cause] = most_ns

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        begin, end = self._begin, self._oracle.reading()
        wall = end.after_ns - begin.before_ns
        doubt = begin.after_ns - begin.before_ns + end.after_ns - end.before_ns
        ran, queued = end.cpu_ns - begin.cpu_ns, end.delay_ns - begin.delay_ns
        blocked = max(0, wall - ran - queued)
        running = self._oracle.group(self._phase, "running", ran, doubt)
        for cause, (lo, hi) in self._ran.items():
            running.add(cause, lo, hi)
        left = ran - sum(hi for _, hi in self._ran.values())
        running.add(self._running, left, ran - sum(lo for lo, _ in self._ran.values()) + doubt)
        self._oracle.group(self._phase, "runnable", queued, doubt).add("run_queue", queued, queued + doubt)
        group = self._oracle.group(self._phase, "blocked", blocked, doubt)
        least, most = 0, 0
        if self._worked is not None:
            cause, least, most = self._worked
            elsewhere = min(wall - blocked, wall if self._awake_ns is None else self._awake_ns)
            least, most = max(0, least - elsewhere - doubt), min(blocked, most)
            group.add(cause, min(least, most), most)
        for cause, ns in self._perhaps.items():
            group.add(cause, 0, min(ns, blocked))
        rest = blocked - most - doubt - sum(self._perhaps.values())
        for cause in self._blocked:
            group.add(cause, rest if len(self._blocked) == 1 else 0, blocked - least)


class Oracle:
    """The truth of one program; made on its loop thread, which begins and ends its loop."""

    def __init__(self, program: str) -> None:
        self.program, self.frames, self.wanted_ns = program, 0, 0
        self._groups: dict[tuple[str, str], TrueGroup] = {}
        self._schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._begin, self._threads = self.reading(), other_threads()
        self.at_end: Callable[[], None] = lambda: None

    def reading(self) -> Reading:
        """The calling thread's clocks, now."""
        for _ in range(20):
            before = time.monotonic_ns()
            cpu = time.thread_time_ns()
            size = _libc.pread(self._schedstat, _buffer, 63, ctypes.c_long(0))
            after = time.monotonic_ns()
            if after - before < UNINTERRUPTED_NS:
                break
        return Reading(before, cpu, int(_buffer.raw[:size].split()[1]), after)

    def group(self, phase: str, state: str, ns: int, error_ns: int) -> TrueGroup:
        """The group of a phase and a state, with so much more time."""
        group = self._groups.setdefault((phase, state), TrueGroup(phase, state))
        group.ns, group.error_ns = group.ns + ns, group.error_ns + error_ns
        return group

    def section(self, phase: str, running: str = "interpreter", blocked: str | tuple[str, ...] = "idle") -> Section:
        """A stretch in a phase; ``running`` and ``blocked`` are the causes of what nothing else is said of.

        Several for ``blocked``: by the vocabulary it may be called either.
        """
        return Section(self, phase, running, blocked)

    def begin(self) -> None:
        """The loop begins."""
        self._threads = other_threads()
        self._begin = self.reading()

    def worked_in_all(self, phase: str, cause: str, used: list[Used], slack_ns: int) -> None:
        """Of all blocked time of a phase: others worked; said once, at the loop's end."""
        group = self._groups[phase, "blocked"]
        least, most = union((one.cpu_ns for one in used), slack_ns)
        elsewhere = time.monotonic_ns() - self._begin.before_ns - group.ns
        most = min(group.ns, most)
        least = min(most, max(0, least - elsewhere - group.error_ns))
        group.causes = {cause: (least, most), "idle": (group.ns - most, group.ns - least)}
        self.wanted_ns += sum(one.delay_ns for one in used)

    def _beside(self) -> None:
        """What any thread did while the loop slept or waited for the disk counts as that thread's, if for anything."""
        busy_ns = sum(used.cpu_ns for used in since(self._threads, other_threads()))
        for group in self._groups.values():
            for cause in {"pacing", "io"} & set(group.causes):
                lo, hi = group.causes[cause]
                group.causes[cause] = (max(0, lo - busy_ns), hi)
                group.add("other_threads", 0, min(busy_ns, group.ns))

    def end(self, folder: Path, blocked: str = ANY) -> None:
        """The loop ended: write the truth. What no section measured may be anything; ``blocked`` names its waits."""
        end, begin = self.reading(), self._begin
        self.at_end()
        self._beside()
        wall = end.after_ns - begin.before_ns
        ran, queued = end.cpu_ns - begin.cpu_ns, end.delay_ns - begin.delay_ns
        whole = {"running": ran, "runnable": queued, "blocked": wall - ran - queued}
        causes = {"running": ANY, "runnable": "run_queue", "blocked": blocked}
        for state, ns in whole.items():
            rest = max(0, ns - sum(group.ns for group in self._groups.values() if group.state == state))
            self.group("glue", state, rest, 0).add(causes[state], 0 if causes[state] == ANY else rest, rest)
        TrueRun(self.program, os.getpid(), wall, self.frames, self.wanted_ns, list(self._groups.values())).write(folder)
