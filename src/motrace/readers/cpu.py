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

    @classmethod
    def read(cls, path: Path) -> CpuLogFile:
        """Read a log, up to where it was written or cut off. Raises MotraceError."""
        words = read_words(path, MAGIC_CPU, "CPU clock log")
        boundaries, members, snapshots = _records(words[HEADER_WORDS:].tolist())
        return cls(
            path=path,
            pid=int(words[PID]),
            tid=int(words[TID]),
            dropped=int(words[DROPPED]),
            has_run_delay=not words[FLAGS] & FLAG_NO_RUN_DELAY,
            tick_ns=int(words[TICK_NS]),
            cores=max(1, int(words[CORES])),
            boundary_cost_ns=int(words[BOUNDARY_COST_NS]),
            snapshots=np.array(snapshots, np.int64).reshape(-1, 2),
            boundaries=np.array(boundaries, np.int64).reshape(-1, 3),
            members=members,
        )


def _records(words: list[int]) -> tuple[list[list[int]], list[Member], list[tuple[int, int]]]:
    boundaries: list[list[int]] = []
    members: dict[int, Member] = {}
    readings: dict[int, list[tuple[int, int, int]]] = {}
    full: list[tuple[int, int]] = []
    snapshots: list[tuple[int, int]] = []
    position, end = 0, len(words)
    while position < end and words[position]:
        kind, count = words[position] & ((1 << COUNT_SHIFT) - 1), words[position] >> COUNT_SHIFT
        length = {BOUNDARY: BOUNDARY_WORDS, MEMBER: MEMBER_WORDS, GONE: GONE_WORDS}.get(
            kind, SNAPSHOT_WORDS + 2 * count
        )
        if position + length > end or kind not in (BOUNDARY, PARTIAL, FULL, MEMBER, GONE):
            break  # cut off, or torn
        body = words[position + 1 : position + length]
        if kind == BOUNDARY:
            boundaries.append(body)
        elif kind == MEMBER:
            _define(body, members)
        elif kind == GONE:
            members[body[0]].gone_ns = body[1]
        else:
            snapshots.append((body[0], body[1]))
            if kind == FULL:
                full.append((body[0], body[1]))
            for entry in range(2, len(body), 2):
                readings.setdefault(body[entry], []).append((body[0], body[1], body[entry + 1]))
        position += length
    for slot, member in members.items():
        _fill(member, readings.get(slot, []), full)
    return boundaries, list(members.values()), snapshots


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
