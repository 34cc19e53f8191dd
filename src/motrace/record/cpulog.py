"""The log of CPU clock readings of one process (``cpu-<pid>.bin``), and what its records mean.

Records are int64 words; the first word, written last, is kind + (number of entries << COUNT_SHIFT):

    BOUNDARY       t_ns, cpu_ns, run_delay_ns              clocks of the loop thread where a span begins or ends
    PARTIAL, FULL  begin_ns, end_ns, (slot, cpu_ns)...     a reading of others; FULL: who is not listed has not moved
                   slot may be EXACT + slot: a child whose threads were all asleep, so that its clock did not lag
    MEMBER         slot, id, flags, first_seen_ns, name (2 words), library (4 words; of a child, what runs in it)
    GONE           slot, t_ns
    DELAYS         begin_ns, end_ns, (slot, run_delay_ns)...  how long threads have waited for a core (a wait that
                   goes on is not counted yet)
"""

from __future__ import annotations

import os
import threading
from array import array
from time import clock_getres

from .wordlog import CORES, FORMAT, MAGIC_CPU, TICK_NS, WordLog, unique_path

BOUNDARY, PARTIAL, FULL, MEMBER, GONE, DELAYS = 1, 2, 3, 4, 5, 6
BOUNDARY_WORDS, SNAPSHOT_WORDS, MEMBER_WORDS, GONE_WORDS = 4, 3, 11, 3
NAME_BYTES, LIBRARY_BYTES = 16, 32
COUNT_SHIFT = 8
EXACT, SLOT_MASK = 1 << 32, (1 << 32) - 1

FLAG_CHILD = 1  # of a member: a child process, not a thread
FLAG_NO_RUN_DELAY = 1  # of the header: this kernel has no schedstat

CPU_VERSIONS = (1, 2, 3)
"""Formats of this log, the last of which is written: 2 may have EXACT, 3 DELAYS."""

_CLOCK_MONOTONIC_COARSE = 6  # its resolution is the timer tick


class CpuLog(WordLog):
    """The log of CPU clock readings of one process."""

    __slots__ = ()

    def __init__(self, directory: str) -> None:
        """Create it. Raises OSError."""
        pid = os.getpid()
        super().__init__(unique_path(directory, f"cpu-{pid}"), MAGIC_CPU, pid, threading.get_native_id(), "cpu clocks")
        self.require_file()
        self.words[FORMAT] = CPU_VERSIONS[-1]
        self.words[TICK_NS] = int(clock_getres(_CLOCK_MONOTONIC_COARSE) * 1e9)
        self.words[CORES] = os.cpu_count() or 1

    def put(self, head: int, *words: int) -> None:
        """Append a record; its first word is stored last, so that a torn record is not read."""
        if self.room(1 + len(words)):
            index = self.pos
            self.words[index + 1 : index + 1 + len(words)] = array("q", words)
            self.words[index] = head
            self.pos = index + 1 + len(words)

    def put_boundary(self, t: int, cpu: int, delay: int) -> None:
        """Append a boundary: ``put`` without its generality, because it happens so often."""
        index = self.pos
        words = self.words
        try:
            words[index + 3] = delay
        except IndexError:
            self.put(BOUNDARY, t, cpu, delay)
            return
        words[index + 2] = cpu
        words[index + 1] = t
        words[index] = BOUNDARY
        self.pos = index + 4
