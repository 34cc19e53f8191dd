"""How long the threads that work have waited for a core: the second field of their schedstat."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

from .allowance import Allowance
from .cpulog import COUNT_SHIFT, DELAYS, CpuLog
from .procfile import ProcFile
from .tracked_member import TrackedMember

EVERY_PER_THREAD_NS = 750_000  # a reading costs 1.5 us a thread: at most 0.2 % of the time
MOST_FILES = 128  # one for each thread that ever worked; of more nothing is read


class RunDelays:
    """Reads the run delays of threads of the process into its log."""

    def __init__(self, log: CpuLog) -> None:
        self._log = log
        self._files: dict[int, ProcFile] = {}
        self._allowance = Allowance()

    def read(self, now: int, threads: Sequence[TrackedMember]) -> None:
        """Those of ``threads``, if a reading is allowed now."""
        if not threads or not self._allowance.take(now, EVERY_PER_THREAD_NS * len(threads)):
            return
        entries: list[int] = []
        begin = perf_counter_ns()
        for thread in threads:
            file = self._files.get(thread.id) or self._open(thread.id)
            words = file().split(b" ", 2) if file is not None else ()
            if len(words) > 1:
                entries += (thread.slot, int(words[1]))
        if entries:
            self._log.put(DELAYS | len(entries) // 2 << COUNT_SHIFT, begin, perf_counter_ns(), *entries)

    def _open(self, tid: int) -> ProcFile | None:
        file = ProcFile.open(f"/proc/self/task/{tid}/schedstat") if len(self._files) < MOST_FILES else None
        if file is not None:
            self._files[tid] = file
        return file

    def forget(self, tid: int) -> None:
        """A thread that ended: the kernel may give its id to another."""
        file = self._files.pop(tid, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Close all files."""
        for tid in tuple(self._files):
            self.forget(tid)
