"""Who is followed: threads and children, each defined in the log before anything refers to it."""

from __future__ import annotations

from array import array
from time import perf_counter_ns

from .cpulog import FLAG_CHILD, GONE, LIBRARY_BYTES, MEMBER, NAME_BYTES, CpuLog
from .tracked_member import TrackedMember
from .wordlog import encoded

ENDED_THREADS, UNSEEN_CHILDREN = -1, -2  # ids of members that stand for what was never seen alive


class Roster:
    """The members of a log."""

    def __init__(self, log: CpuLog) -> None:
        self.log = log
        self.known: set[tuple[bool, int]] = set()
        self._slots = 0

    def add(self, id: int, is_child: bool, now: int) -> TrackedMember:
        """One that was found at ``now``: at the boundary whose span made it, or inside that."""
        member = TrackedMember(self._slots, id, is_child)
        self._slots += 1
        self.known.add((is_child, id))
        # Before anything refers to it: it may end before its name can be read.
        self._define(member, now)
        return member

    def describe(self, member: TrackedMember, now: int, library: str = "", name: bytes = b"") -> None:
        """Log what a member is, if that is new; of a child ``library`` is what runs in it."""
        name = name or member.read_name()
        member.looked(now)
        if name and (name, library) != (member.name, member.library):
            member.name, member.library = name, library
            self._define(member, now)

    def _define(self, member: TrackedMember, now: int) -> None:
        library = encoded(member.library)[:LIBRARY_BYTES]
        texts = member.name.ljust(NAME_BYTES, b"\0") + library.ljust(LIBRARY_BYTES, b"\0")
        self.log.put(MEMBER, member.slot, member.id, FLAG_CHILD if member.is_child else 0, now, *array("q", texts))

    def gone(self, member: TrackedMember) -> None:
        """It ended."""
        self.known.discard((member.is_child, member.id))
        self.log.put(GONE, member.slot, perf_counter_ns())
