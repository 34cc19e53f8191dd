"""CPU clocks of everyone but the loop thread: the other threads of the process, and its children.

The busy ones are read each time, and so are those that worked in the last second as long as that stays
cheap (a *partial* snapshot); all of them every 20 ms (a *full* one, in which an unlisted thread has not
moved). A worker that a long frame needs for a moment is so read right before and after that moment. New
threads show in the count of threads, which is cheap to ask for each time, and as CPU time of the process
that no known thread explains; new children in the kernel's list of them, or when they are reaped.

A thread's clock is exact at any moment. The clock of a *process* is not: a thread that is running
right now counts only up to its last timer tick, which is why threads are read one by one, and why
a child's clock may lag by one tick, unless none of its threads runs (``ChildThreads``). Reading a
thread's clock brings its share of the process's up to date, so right after its threads the own
process's clock is exact too.
"""

from __future__ import annotations

import os
import threading
from time import CLOCK_THREAD_CPUTIME_ID, clock_gettime_ns, perf_counter_ns, process_time_ns

from .allowance import Allowance
from .children import Children
from .cpulog import COUNT_SHIFT, FULL, PARTIAL, CpuLog
from .procfile import ThreadCount
from .roster import ENDED_THREADS, Roster
from .run_delays import RunDelays
from .startlib import start_libraries
from .tracked_member import TrackedMember

FULL_EVERY_NS = 20_000_000
EVERY_PER_THREAD_NS = 150_000  # a reading costs 0.3 us a thread: at most 0.2 % of the time
BUSY_SHIFT = 6  # a thread is busy that used more than 1/64 of a core since the last full reading
LATELY_NS = 1_000_000_000
SCAN_EVERY_NS = 250_000_000
UNEXPLAINED_NS = 100_000  # CPU time of the process that no known thread explains


class Others:
    """Follows the other threads and the children of the process, for the thread that makes it."""

    def __init__(self, log: CpuLog) -> None:
        self._log = log
        self._tid = tid = threading.get_native_id()
        self._threads: list[TrackedMember] = []
        self._clocks: list[int] = []  # of self._threads, and their last values
        self._values: list[int] = []
        self._values_at_full: list[int] = []  # at the last full reading
        self._busy: list[int] = []  # indices of those that worked before the last full reading
        self._lately: list[int] = []  # of those that worked in the last second, and are not busy
        self._lately_allowance = Allowance()
        self._roster = roster = Roster(log)
        self._delays = RunDelays(log)
        self._ended_ns = 0  # CPU time of threads that ended
        self._last_scan = self._last_full = 0
        self._full_every = FULL_EVERY_NS
        self._thread_count = ThreadCount.open()
        self._counted = 0  # threads at the last full reading
        self._ended = roster.add(ENDED_THREADS, False, perf_counter_ns())
        self._children = Children(roster, tid)
        now = perf_counter_ns()
        self._scan(now)
        self._read_threads(now, [])
        self._ended_ns = max(0, self._unexplained())  # of threads that ended before recording began: belongs to no span
        self._values_at_full = self._values
        self._values = [0] * len(self._values)
        self._read_all(now)

    def read(self, now: int) -> None:
        """Read whoever may have worked since the last reading."""
        if now - self._last_full > self._full_every or self._count() != self._counted:
            self._read_all(now)
            return
        if self._busy or self._lately or self._children.to_read(now):
            self._read_busy(now)

    def close(self) -> None:
        """Read everything once more."""
        now = perf_counter_ns()
        self._scan(now, describe_all=True)
        self._read_all(now)
        self._children.close()
        self._delays.close()
        if self._thread_count is not None:
            self._thread_count.close()

    def _read_busy(self, now: int) -> None:
        entries: list[int] = []
        values = self._values
        positions = self._busy
        if self._lately and self._lately_allowance.take(now, EVERY_PER_THREAD_NS * len(self._lately)):
            positions = positions + self._lately
        try:
            for position in positions:
                values[position] = value = clock_gettime_ns(self._clocks[position])
                entries += (self._threads[position].slot, value)
        except OSError:  # one of them ended: keep what was read, and sort it out
            self._put(PARTIAL, now, entries)
            self._read_all(now)
            return
        self._children.read(now, entries)
        self._put(PARTIAL, now, entries)
        self._delays.read(now, [self._threads[position] for position in positions])

    def _put(self, kind: int, now: int, entries: list[int]) -> None:
        self._log.put(kind | len(entries) // 2 << COUNT_SHIFT, now, perf_counter_ns(), *entries)

    def _read_all(self, now: int) -> None:
        """Read everyone; look for newcomers where the process used more than its threads did."""
        entries: list[int] = []
        self._counted = self._count()
        self._read_threads(now, entries)
        rest, complete = self._unexplained(), True
        if rest > UNEXPLAINED_NS or self._may_be_news(now):
            complete = self._scan(now)
            self._read_threads(now, entries)
            rest = self._unexplained()
        if rest > UNEXPLAINED_NS and complete:  # of threads that ended, and of such as were never seen alive
            self._ended_ns += rest
            self._ended.cpu_ns += rest
            entries += (self._ended.slot, self._ended.cpu_ns)
        self._children.find(now, entries)
        self._put(FULL if complete else PARTIAL, now, entries)
        self._find_busy(now)
        self._delays.read(now, [self._threads[position] for position in (*self._busy, *self._lately)])

    def _find_busy(self, now: int) -> None:
        """After a full reading: who worked since the one before it, and lately, whatever was read in between."""
        worth, lately = (now - self._last_full) >> BUSY_SHIFT, now - LATELY_NS
        self._busy, self._lately = [], []
        for position, (member, value, last) in enumerate(zip(self._threads, self._values, self._values_at_full)):
            if value != last:
                member.worked_ns = now
            if value - last > worth:
                self._busy.append(position)
            elif member.worked_ns > lately:
                self._lately.append(position)
        self._values_at_full = self._values.copy()
        self._last_full = now

    def _read_threads(self, now: int, entries: list[int]) -> None:
        while True:
            try:
                values = list(map(clock_gettime_ns, self._clocks))
                break
            except OSError:
                self._drop_ended()
        if values != self._values:
            for position, (value, last) in enumerate(zip(values, self._values)):
                if value != last:
                    entries += (self._threads[position].slot, value)
            self._values = values

    def _unexplained(self) -> int:
        """CPU time of the process that its known threads did not use, in ns.

        Read right after the threads, because reading a thread's clock also brings its share of
        the process's clock up to date.
        """
        process_ns = process_time_ns()
        return process_ns - clock_gettime_ns(CLOCK_THREAD_CPUTIME_ID) - sum(self._values) - self._ended_ns

    def _drop_ended(self) -> None:
        """Forget threads that ended; what they used stays in the sum."""
        alive: list[tuple[TrackedMember, int, int]] = []
        for member, value, at_full in zip(self._threads, self._values, self._values_at_full):
            try:
                clock_gettime_ns(member.clock)
                alive.append((member, value, at_full))
            except OSError:
                self._ended_ns += value
                self._roster.gone(member)
                self._delays.forget(member.id)
        self._threads = [member for member, _, _ in alive]
        self._clocks = [member.clock for member, _, _ in alive]
        self._values = [value for _, value, _ in alive]
        self._values_at_full = [at_full for _, _, at_full in alive]
        self._busy, self._lately = [], []

    # -- newcomers ----------------------------------------------------------------------------

    def _may_be_news(self, now: int) -> bool:
        """Whether the number of threads changed, or a young one is to be looked at again."""
        if self._thread_count is not None and self._counted != len(self._threads) + 1:
            return True
        if now - self._last_scan < SCAN_EVERY_NS:
            return False
        self._last_scan = now
        return self._thread_count is None or any(now >= member.look_again_ns for member in self._threads)

    def _count(self) -> int:
        """How many threads the process has, 0 where that can't be asked."""
        return self._thread_count() if self._thread_count is not None else 0

    def _scan(self, now: int, describe_all: bool = False) -> bool:
        """Find new threads; False where they can't be listed, since no file descriptor is free.

        What a thread is called is looked up again a few times while it is young.
        """
        self._last_scan = now
        try:
            names = os.listdir("/proc/self/task")
        except OSError as error:
            self._log.drop(error.errno or 0)
            return False
        for name in names:
            tid = int(name)
            if tid != self._tid and (False, tid) not in self._roster.known:
                self._threads.append(self._roster.add(tid, False, now))
                self._clocks.append(self._threads[-1].clock)
                self._values.append(0)
                self._values_at_full.append(0)
        self._full_every = max(FULL_EVERY_NS, EVERY_PER_THREAD_NS * len(self._threads))
        due = [
            member for member in (*self._threads, *self._children.alive) if describe_all or now >= member.look_again_ns
        ]
        libraries = start_libraries([member.id for member in due if not member.is_child and not member.library])
        for member in due:
            self._roster.describe(member, now, libraries.get(member.id, member.library))
        return True
