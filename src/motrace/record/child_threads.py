"""Whether a child is asleep: then its CPU clock is exact, which it is not while one of its threads runs.

The kernel adds what a running thread uses to its process's clock at timer ticks and when it leaves its
core. ``/proc/PID/task/TID/syscall`` of a thread that is blocked is answered when the thread has left its core,
so a clock that is read afterwards holds all that the thread had used by then. A thread that began later had
used nothing, so threads may be asked one after the other.
"""

from __future__ import annotations

import os

from .allowance import Allowance
from .procfile import ProcFile, ThreadCount

EVERY_PER_THREAD_NS = 500_000  # asking costs 1 us a thread: at most 0.2 % of the time


class ChildThreads:
    """The threads of a child, as far as they may be looked at."""

    def __init__(self, pid: int) -> None:
        self._folder = f"/proc/{pid}/task"
        self._files: list[ProcFile] = []
        self._count = ThreadCount.open(self._folder)
        self._allowance = Allowance()

    def asleep(self, now: int) -> bool:
        """Whether none of them was running at some moment of its own since ``now``; False where that is not known."""
        if self._count is None or not self._allowance.take(now, EVERY_PER_THREAD_NS * len(self._files)):
            return False
        if self._count() != len(self._files):
            self._list()
        files = self._files
        for position, file in enumerate(files):
            text = file()
            if not text or text == b"running\n":
                files.insert(0, files.pop(position))  # the one to ask first next time
                return False
        return bool(files) and self._count() == len(files)

    def _list(self) -> None:
        self._close_files()
        try:
            self._files = [ProcFile(f"{self._folder}/{tid}/syscall") for tid in os.listdir(self._folder)]
        except OSError:  # it may not be looked at, one of them ended just now, or no file descriptor is free
            self._files = []

    def _close_files(self) -> None:
        for file in self._files:
            file.close()
        self._files = []

    def close(self) -> None:
        """Close all files."""
        self._close_files()
        if self._count is not None:
            self._count.close()
            self._count = None
