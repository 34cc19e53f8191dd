"""CPU clock logs (``cpu-<pid>.bin``) as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..record.cpulog import (
    BOUNDARY,
    BOUNDARY_WORDS,
    COUNT_SHIFT,
    FLAG_CHILD,
    FLAG_NO_RUN_DELAY,
    FULL,
    GONE,
    GONE_WORDS,
    MEMBER,
    MEMBER_WORDS,
    NAME_BYTES,
    PARTIAL,
    SNAPSHOT_WORDS,
)
from ..record.wordlog import BOUNDARY_COST_NS, CORES, DROPPED, FLAGS, HEADER_WORDS, MAGIC_CPU, PID, TICK_NS, TID
from .spans import read_words

Array = np.ndarray[Any, Any]

_LENGTHS = {BOUNDARY: BOUNDARY_WORDS, MEMBER: MEMBER_WORDS, GONE: GONE_WORDS}
_KINDS = (BOUNDARY, PARTIAL, FULL, MEMBER, GONE)
_LATEST = 1 << 60  # ns; 36 years after boot


@dataclass
class Member:
    """A thread of the process, or a child, and the readings of its CPU clock.

    ``begin_ns``, ``end_ns``, ``cpu_ns`` are parallel: the clock was ``cpu_ns`` at some moment
    between the two times.
    """

    slot: int
    id: int
    is_child: bool
    first_seen_ns: int
    name: str
    library: str
    gone_ns: int | None = None
    begin_ns: Array = field(default_factory=lambda: np.empty(0, np.int64))
    end_ns: Array = field(default_factory=lambda: np.empty(0, np.int64))
    cpu_ns: Array = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass
class CpuLogFile:
    """``boundaries`` is (n, 3): t_ns, cpu_ns and run_delay_ns of the loop thread, in order of time.

    ``tick_ns`` is the kernel's timer tick: by so much the clock of a child process may lag.
    ``snapshots`` is (n, 2): when each reading of the others began and ended.
    """

    path: Path
    pid: int
    tid: int
    dropped: int
    has_run_delay: bool
    tick_ns: int
    cores: int
    boundary_cost_ns: int
    snapshots: Array
    boundaries: Array
    members: list[Member]
    damaged: bool = False

    @classmethod
    def read(cls, path: Path) -> CpuLogFile:
        """Read a log, up to where it was written or cut off. Raises MotraceError."""
        words = read_words(path, MAGIC_CPU, "CPU clock log")
        parsed = _parse(words[HEADER_WORDS:].tolist())
        return cls(
            path=path,
            pid=int(words[PID]),
            tid=int(words[TID]),
            dropped=int(words[DROPPED]),
            has_run_delay=not words[FLAGS] & FLAG_NO_RUN_DELAY,
            tick_ns=int(words[TICK_NS]),
            cores=max(1, int(words[CORES])),
            boundary_cost_ns=int(words[BOUNDARY_COST_NS]),
            snapshots=np.array(parsed.snapshots, np.int64).reshape(-1, 2),
            boundaries=np.array(parsed.boundaries, np.int64).reshape(-1, 3),
            members=list(parsed.members.values()),
            damaged=parsed.damaged,
        )


@dataclass
class _Parsed:
    """What the words of a log hold, up to where they make no sense any more."""

    boundaries: list[list[int]] = field(default_factory=list)
    snapshots: list[tuple[int, int]] = field(default_factory=list)
    full: list[tuple[int, int]] = field(default_factory=list)
    members: dict[int, Member] = field(default_factory=dict)
    readings: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    damaged: bool = False

    def take(self, kind: int, body: list[int]) -> bool:
        """Take in a record; False if it makes no sense."""
        if kind == BOUNDARY:
            last = self.boundaries[-1] if self.boundaries else [0, 0, 0]
            if any(now < before for now, before in zip(body, last)) or body[0] > _LATEST:
                return False
            self.boundaries.append(body)
        elif kind == MEMBER:
            _define(body, self.members)
        elif kind == GONE:
            if body[0] not in self.members:
                return False
            self.members[body[0]].gone_ns = body[1]
        else:
            return self._take_snapshot(kind, body)
        return True

    def _take_snapshot(self, kind: int, body: list[int]) -> bool:
        begin, end = body[0], body[1]
        entries = [(body[index], body[index + 1]) for index in range(2, len(body), 2)]
        last = self.snapshots[-1][0] if self.snapshots else 0
        if not last <= begin <= end <= _LATEST or any(
            slot not in self.members or not 0 <= cpu <= _LATEST for slot, cpu in entries
        ):
            return False
        self.snapshots.append((begin, end))
        if kind == FULL:
            self.full.append((begin, end))
        for slot, cpu in entries:
            readings = self.readings.setdefault(slot, [])
            if readings and cpu < readings[-1][2]:
                return False
            readings.append((begin, end, cpu))
        return True


def _parse(words: list[int]) -> _Parsed:
    parsed = _Parsed()
    position, end = 0, len(words)
    while position < end and words[position]:
        kind, count = words[position] & ((1 << COUNT_SHIFT) - 1), words[position] >> COUNT_SHIFT
        length = _LENGTHS.get(kind, SNAPSHOT_WORDS + 2 * count)
        if position + length > end:
            break  # cut off
        if kind not in _KINDS or count < 0 or not parsed.take(kind, words[position + 1 : position + length]):
            parsed.damaged = True
            break
        position += length
    for slot, member in parsed.members.items():
        _fill(member, parsed.readings.get(slot, []), parsed.full)
    return parsed


def _define(body: list[int], members: dict[int, Member]) -> None:
    slot, id, flags, first_seen = body[:4]
    raw = b"".join(word.to_bytes(8, "little", signed=True) for word in body[4:])
    name, library = (part.rstrip(b"\0").decode(errors="replace") for part in (raw[:NAME_BYTES], raw[NAME_BYTES:]))
    if slot in members:  # it renamed itself, or its library was found out later
        members[slot].name, members[slot].library = name, library or members[slot].library
    else:
        members[slot] = Member(slot, id, bool(flags & FLAG_CHILD), first_seen, name, library)


def _fill(member: Member, readings: list[tuple[int, int, int]], full: list[tuple[int, int]]) -> None:
    """Complete a member's readings with what full snapshots imply.

    A full snapshot that does not list a member has read it too: it had not moved. One before it
    was first seen says that it had used nothing yet (less than cpuclock.UNEXPLAINED_NS).
    """
    points = np.array(readings, np.int64).reshape(-1, 3)
    snapshots = np.array(full, np.int64).reshape(-1, 2)
    gone = member.gone_ns if member.gone_ns is not None else np.iinfo(np.int64).max
    snapshots = snapshots[(snapshots[:, 0] < gone) & ~np.isin(snapshots[:, 0], points[:, 0])]
    values = np.zeros(len(snapshots), np.int64)
    if len(points):
        last = np.searchsorted(points[:, 0], snapshots[:, 0], side="right") - 1
        values = np.where(last >= 0, points[np.maximum(last, 0), 2], 0)
    begins = np.concatenate((points[:, 0], snapshots[:, 0]))
    order = np.argsort(begins, kind="stable")
    member.begin_ns = begins[order]
    member.end_ns = np.concatenate((points[:, 1], snapshots[:, 1]))[order]
    member.cpu_ns = np.concatenate((points[:, 2], values))[order]
