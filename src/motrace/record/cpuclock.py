"""The CPU clocks of the loop thread, read where its spans begin and end.

At each boundary this reads the thread's own CPU clock and, where wall time has run ahead of it, its
run delay (how long it waited for a core); after a span that lasted, it lets ``Others`` read the
other threads and the children.

Reading order keeps the sums honest (docs/attribution.md): clock, cpu, delay where a leaf begins
and delay, cpu, clock where it ends, so that running + run queue never exceeds the wall time.
"""

from __future__ import annotations

import errno
import threading
from contextlib import suppress
from time import CLOCK_THREAD_CPUTIME_ID, clock_gettime_ns, perf_counter_ns

from . import gil_lock
from .cpulog import FLAG_NO_RUN_DELAY, CpuLog
from .other_threads import Others
from .procfile import ProcFile
from .wordlog import BOUNDARY_COST_NS, FLAGS, GIL_BEGIN, GIL_END

STATE_SLACK_NS = 2_000  # wall - cpu below this needs no run-delay reading: it is the bound itself
GAP_NS = 20_000  # shorter intervals do not read the others
TORN_NS = 25_000  # a reading that took longer was interrupted: read again
ATTEMPTS = 3
CALIBRATION = 50  # pairs of boundaries by which their cost is measured at the end


class CpuClock:
    """Reads the CPU clocks for the thread that makes it: the loop thread."""

    def __init__(self, directory: str) -> None:
        """Begin to read into a log in ``directory``. Raises OSError where that can't be made."""
        self.log = CpuLog(directory)
        self.log.words[GIL_BEGIN], self.log.words[GIL_END] = gil_lock.find()
        self._last_t = self._last_cpu = self._last_delay = 0
        self._schedstat = ProcFile.open(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        if self._schedstat is None:
            self.log.words[FLAGS] |= FLAG_NO_RUN_DELAY
        self._others: Others | None = Others(self.log)
        self._last_read = perf_counter_ns()
        self.begin()

    def begin(self) -> int:
        """Read the clocks where a span begins; returns its start_ns."""
        t = perf_counter_ns()
        if t - self._last_read > GAP_NS:
            self._read_others(t)
            self._last_read = perf_counter_ns()
            t = perf_counter_ns()
        cpu = clock_gettime_ns(CLOCK_THREAD_CPUTIME_ID)
        delay = self._last_delay
        if (t - self._last_t) - (cpu - self._last_cpu) > STATE_SLACK_NS:
            for _ in range(ATTEMPTS):
                t = perf_counter_ns()
                cpu = clock_gettime_ns(CLOCK_THREAD_CPUTIME_ID)
                delay = self._delay()
                if perf_counter_ns() - t < TORN_NS:
                    break
        self._last_t, self._last_cpu, self._last_delay = t, cpu, delay
        self.log.put_boundary(t, cpu, delay)
        return t

    def end(self) -> int:
        """Read the clocks where a span ends; returns its end_ns."""
        cpu = clock_gettime_ns(CLOCK_THREAD_CPUTIME_ID)
        t = perf_counter_ns()
        delay = self._last_delay
        if (t - self._last_t) - (cpu - self._last_cpu) > STATE_SLACK_NS:
            for _ in range(ATTEMPTS):
                before = perf_counter_ns()
                delay = self._delay()
                cpu = clock_gettime_ns(CLOCK_THREAD_CPUTIME_ID)
                t = perf_counter_ns()
                if t - before < TORN_NS:
                    break
        self._last_t, self._last_cpu, self._last_delay = t, cpu, delay
        self.log.put_boundary(t, cpu, delay)
        if t - self._last_read > GAP_NS:
            self._read_others(t)
            self._last_read = perf_counter_ns()
        return t

    def _read_others(self, t: int) -> None:
        """Let the others be read; never again once that failed, for half a reading would say what is not so."""
        if self._others is None:
            return
        try:
            self._others.read(t)
        except Exception as error:  # noqa: BLE001  (a measurement must not break what it measures)
            self._others = None
            self.log.drop(getattr(error, "errno", None) or errno.EIO)

    def _delay(self) -> int:
        """Time that the loop thread has waited for a core: schedstat's second field, in ns."""
        if self._schedstat is None:
            return 0
        try:
            return int(self._schedstat().split(b" ", 2)[1])
        except (IndexError, ValueError):  # the program closed the file
            self._schedstat = None
            self.log.words[FLAGS] |= FLAG_NO_RUN_DELAY
            self.log.drop(errno.EBADF)
            return self._last_delay

    def close(self) -> None:
        """Measure what a boundary costs, read everything once more, give back the unused end of the log."""
        begin = perf_counter_ns()
        for _ in range(CALIBRATION):
            self.begin()
            self.end()
        self.log.words[BOUNDARY_COST_NS] = (perf_counter_ns() - begin) // (2 * CALIBRATION)
        with suppress(OSError):  # the program may have closed their files
            if self._others is not None:
                self._others.close()
            if self._schedstat is not None:
                self._schedstat.close()
        self.log.trim()
