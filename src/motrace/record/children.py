"""The children of the process: their CPU clocks, and what runs in them.

They show in the kernel's list of the loop thread's children, when ``subprocess`` starts one in any thread
(``ChildStarts``), or else when they are reaped.
"""

from __future__ import annotations

import resource
from time import clock_gettime_ns, perf_counter_ns

from .child_starts import ChildStarts
from .child_threads import ChildThreads
from .cpulog import EXACT
from .procfile import ProcFile
from .roster import UNSEEN_CHILDREN, Roster
from .tracked_member import TrackedMember
from .wordlog import encoded

EVERY_NS = 5_000_000


class Children:
    """Follows the children, for the loop thread ``tid``."""

    def __init__(self, roster: Roster, tid: int) -> None:
        self.alive: list[TrackedMember] = []
        self._roster = roster
        self._threads: dict[int, ChildThreads] = {}
        self._reaped_ns = 0  # CPU time of children that were reaped
        self._reaped_ns = self._reaped()  # before recording began: belongs to no span
        self._last_look = 0
        # Without CONFIG_PROC_CHILDREN a child shows only when it starts, or when it is reaped.
        self._file = ProcFile.open(f"/proc/self/task/{tid}/children")
        self._listed = b""
        self._unseen = roster.add(UNSEEN_CHILDREN, True, perf_counter_ns())
        self._starts = ChildStarts(tid, self._look)

    def to_read(self, now: int) -> bool:
        """Whether there are any, after a look for new ones where that is due."""
        if self._starts.found or now - self._last_look > EVERY_NS:
            self._look(now)
        return bool(self.alive)

    def find(self, now: int, entries: list[int]) -> None:
        """Look for new ones, read all, and count those that came and went between two readings."""
        self._look(now)
        known, extra = len(self.alive), self._reaped()
        self.read(now, entries)
        if extra and len(self.alive) == known:  # else it is the known one's that has gone
            self._reaped_ns += extra
            self._unseen.cpu_ns += extra
            entries += (self._unseen.slot, self._unseen.cpu_ns)

    def read(self, now: int, entries: list[int]) -> None:
        """Read those that are known."""
        for member in tuple(self.alive):
            exact = EXACT if self._threads[member.id].asleep(now) else 0  # asked before the clock is read
            try:
                member.cpu_ns = clock_gettime_ns(member.clock)
            except OSError:  # reaped: what it used after the last reading is in the children's total
                member.cpu_ns += self._reaped(member.cpu_ns)
                self._reaped_ns += member.cpu_ns
                self.alive.remove(member)
                entries += (member.slot | EXACT, member.cpu_ns)
                self._threads.pop(member.id).close()
                self._roster.gone(member)
            else:
                entries += (member.slot | exact, member.cpu_ns)
                if now >= member.look_again_ns:
                    self._roster.describe(member, now, member.read_command())

    def _reaped(self, already_ns: int = 0) -> int:
        """CPU time of reaped children beyond what was read of them, in ns."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return max(0, int((usage.ru_utime + usage.ru_stime) * 1e9) - self._reaped_ns - already_ns)

    def _look(self, now: int) -> None:
        """Add those that the kernel lists, or that were started."""
        self._last_look = now
        listed = self._file() if self._file is not None else b""
        started = self._starts.take()
        pids = list(started)
        if listed != self._listed:
            self._listed = listed
            pids += [int(word) for word in listed.split()]
        for pid in pids:
            if (True, pid) not in self._roster.known:
                member = self._roster.add(pid, True, now)
                self.alive.append(member)
                self._threads[pid] = ChildThreads(pid)
                command = started.get(pid, "")
                name = encoded(command.split()[0])[:15] if command else b""
                self._roster.describe(member, now, command or member.read_command(), name)

    def close(self) -> None:
        """Watch no more, close all files."""
        self._starts.close()
        for file in (self._file, *self._threads.values()):
            if file is not None:
                file.close()
