"""CPU clock logs (``cpu-<pid>.bin``) as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..arrays import Array
from ..record.cpulog import (
    BOUNDARY,
    BOUNDARY_WORDS,
    COUNT_SHIFT,
    CPU_VERSIONS,
    DELAYS,
    EXACT,
    FLAG_CHILD,
    FLAG_NO_RUN_DELAY,
    FULL,
    GONE,
    GONE_WORDS,
    MEMBER,
    MEMBER_WORDS,
    NAME_BYTES,
    PARTIAL,
    SLOT_MASK,
    SNAPSHOT_WORDS,
)
from ..record.gil_lock import NOT_KNOWN
from ..record.wordlog import (
    BOUNDARY_COST_NS,
    CORES,
    CREATED_NS,
    DROPPED,
    FLAGS,
    GIL_BEGIN,
    GIL_END,
    HEADER_WORDS,
    MAGIC_CPU,
    PID,
    TICK_NS,
    TID,
)
from .spans import lost_records, read_words

_LENGTHS = {BOUNDARY: BOUNDARY_WORDS, MEMBER: MEMBER_WORDS, GONE: GONE_WORDS}
_KINDS = (BOUNDARY, PARTIAL, FULL, MEMBER, GONE, DELAYS)
_LATEST = 1 << 60  # ns; 36 years after boot


@dataclass
class Member:
    """A thread of the process, or a child, and the readings of its CPU clock.

    ``begin_ns``, ``end_ns``, ``cpu_ns`` are parallel: the clock was ``cpu_ns`` at some moment
    between the two times; ``exact`` says that it did not lag then, which a thread's never does. ``delays`` is (n, 3):
    readings of a thread's run delay, when each began and ended, and its value; a wait that goes on is not in it yet.
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
    exact: Array = field(default_factory=lambda: np.empty(0, bool))
    delays: Array = field(default_factory=lambda: np.empty((0, 3), np.int64))

    def since(self, origin_ns: int) -> Member:
        """The same, its times counted from ``origin_ns``."""
        gone = self.gone_ns - origin_ns if self.gone_ns is not None else None
        begin, end, seen = self.begin_ns - origin_ns, self.end_ns - origin_ns, self.first_seen_ns - origin_ns
        delays = self.delays - [origin_ns, origin_ns, 0]
        return replace(self, first_seen_ns=seen, gone_ns=gone, begin_ns=begin, end_ns=end, delays=delays)


@dataclass
class CpuLogFile:
    """``boundaries`` is (n, 3): t_ns, cpu_ns and run_delay_ns of the loop thread, in order of time.

    ``tick_ns`` is the kernel's timer tick: by so much the clock of a child process may lag.
    ``snapshots`` is (n, 2): when each reading of the others began and ended. ``gil``: where the interpreter's lock lies
    (``record.gil_lock``).
    """

    path: Path
    pid: int
    tid: int
    created_ns: int
    dropped: int
    has_run_delay: bool
    tick_ns: int
    cores: int
    boundary_cost_ns: int
    snapshots: Array
    boundaries: Array
    members: list[Member]
    damaged: bool = False
    lost: dict[int, int] = field(default_factory=dict)
    gil: tuple[int, int] = NOT_KNOWN

    @classmethod
    def read(cls, path: Path) -> CpuLogFile:
        """Read a log, up to where it was written or cut off. Raises MotraceError."""
        words = read_words(path, MAGIC_CPU, "CPU clock log", CPU_VERSIONS)
        parsed = _parse(words[HEADER_WORDS:])
        return cls(
            path=path,
            pid=int(words[PID]),
            tid=int(words[TID]),
            created_ns=int(words[CREATED_NS]),
            dropped=int(words[DROPPED]),
            has_run_delay=not words[FLAGS] & FLAG_NO_RUN_DELAY,
            tick_ns=int(words[TICK_NS]),
            cores=max(1, int(words[CORES])),
            boundary_cost_ns=int(words[BOUNDARY_COST_NS]),
            snapshots=parsed.snapshots,
            boundaries=parsed.boundaries,
            members=list(parsed.members.values()),
            damaged=parsed.damaged,
            lost=lost_records(words),
            gil=(int(words[GIL_BEGIN]), int(words[GIL_END])),
        )

    def since(self, origin_ns: int) -> CpuLogFile:
        """The same, its times counted from ``origin_ns``."""
        return replace(
            self,
            created_ns=self.created_ns - origin_ns,
            snapshots=self.snapshots - origin_ns,
            boundaries=self.boundaries - [origin_ns, 0, 0],
            members=[member.since(origin_ns) for member in self.members],
        )


@dataclass
class _Parsed:
    """What the words of a log hold, up to where they make no sense any more."""

    boundaries: Array
    snapshots: Array
    members: dict[int, Member]
    damaged: bool = False


@dataclass
class _Readings:
    """Snapshots: where their records are, begins, ends; and the entries of all: whose snapshot, slot, value, exact."""

    record: Array
    begin: Array
    end: Array
    owner: Array
    slot: Array
    cpu: Array
    exact: Array

    @classmethod
    def of(cls, words: Array, at: Array, record: Array, counts: Array) -> _Readings:
        """From the snapshots that begin at words ``at`` and list ``counts`` members each."""
        owner = np.repeat(np.arange(len(at)), counts)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        place = at[owner] + SNAPSHOT_WORDS + 2 * nth
        slot, exact = words[place] & SLOT_MASK, words[place] & EXACT
        return cls(record, words[at + 1], words[at + 2], owner, slot, words[place + 1], exact)

    def wrong(self, defined: dict[int, int]) -> Array:
        """Records that make no sense; ``defined`` is the record that defined each slot first."""
        before = np.concatenate(([0], self.begin[:-1]))
        bad = self.record[(self.begin < before) | (self.end < self.begin) | (self.end > _LATEST)]
        known = np.array([[slot, record] for slot, record in sorted(defined.items())], np.int64).reshape(-1, 2)
        if not len(known):
            return np.concatenate((bad, self.record[self.owner]))
        place = np.minimum(np.searchsorted(known[:, 0], self.slot), len(known) - 1)
        misfit = (known[place, 0] != self.slot) | (known[place, 1] > self.record[self.owner])
        misfit |= (self.cpu < 0) | (self.cpu > _LATEST)
        order = np.argsort(self.slot, kind="stable")
        back = (np.diff(self.slot[order]) == 0) & (np.diff(self.cpu[order]) < 0)
        misfit[order[1:][back]] = True
        return np.concatenate((bad, self.record[self.owner[misfit]]))


def _records(words: Array) -> tuple[Array, bool]:
    """Where each record begins, its kind, how many entries it has (n, 3); and whether an unknown kind ended them."""
    found: list[tuple[int, int, int]] = []
    position, end = 0, len(words)
    heads = words.data  # its items are Python integers, made one by one
    while position < end:
        head = heads[position]
        kind, count = head & ((1 << COUNT_SHIFT) - 1), head >> COUNT_SHIFT
        if not head:
            break
        length = _LENGTHS.get(kind, SNAPSHOT_WORDS + 2 * count)
        if position + length > end:
            break  # cut off
        if kind not in _KINDS or count < 0:
            return np.array(found, np.int64).reshape(-1, 3), True
        found.append((position, kind, count))
        position += length
    return np.array(found, np.int64).reshape(-1, 3), False


def _parse(words: Array) -> _Parsed:
    records, damaged = _records(words)
    at, kind, count = records.T
    members_at, gone_at, boundaries_at = (np.flatnonzero(kind == which) for which in (MEMBER, GONE, BOUNDARY))
    boundaries = words[at[boundaries_at][:, None] + np.arange(1, BOUNDARY_WORDS)]
    defined: dict[int, int] = {}
    for record in members_at.tolist():
        defined.setdefault(int(words[at[record] + 1]), record)
    snapshots_at = np.flatnonzero((kind == PARTIAL) | (kind == FULL))
    delays_at = np.flatnonzero(kind == DELAYS)
    readings, delays = (_Readings.of(words, at[rows], rows, count[rows]) for rows in (snapshots_at, delays_at))
    before = np.concatenate((np.zeros((1, 3), np.int64), boundaries[:-1]))
    wrong = [
        boundaries_at[((boundaries < before[: len(boundaries)]).any(axis=1)) | (boundaries[:, 0] > _LATEST)],
        [record for record in gone_at.tolist() if defined.get(int(words[at[record] + 1]), record) >= record],
        readings.wrong(defined),
        delays.wrong(defined),
    ]
    stop = int(min((rows[0] if len(rows) == 1 else np.min(rows) for rows in wrong if len(rows)), default=len(at)))
    members: dict[int, Member] = {}
    for record in sorted([*members_at.tolist(), *gone_at.tolist()]):
        body = words[at[record] + 1 : at[record] + _LENGTHS[int(kind[record])]].tolist()
        if record < stop and kind[record] == MEMBER:
            _define(body, members)
        elif record < stop:
            members[body[0]].gone_ns = body[1]
    good = snapshots_at < stop
    times = np.column_stack((readings.begin, readings.end))
    for slot, member in members.items():
        mine = np.flatnonzero((readings.slot == slot) & good[readings.owner])
        points = np.column_stack((times[readings.owner[mine]], readings.cpu[mine], readings.exact[mine]))
        _fill(member, points, times[good & (kind[snapshots_at] == FULL)])
        mine = np.flatnonzero((delays.slot == slot) & (delays_at < stop)[delays.owner])
        owner = delays.owner[mine]
        member.delays = np.column_stack((delays.begin[owner], delays.end[owner], delays.cpu[mine]))
    return _Parsed(boundaries[boundaries_at < stop], times[good], members, damaged or stop < len(at))


def _define(body: list[int], members: dict[int, Member]) -> None:
    slot, id, flags, first_seen = body[:4]
    raw = b"".join(word.to_bytes(8, "little", signed=True) for word in body[4:])
    name, library = (part.rstrip(b"\0").decode(errors="replace") for part in (raw[:NAME_BYTES], raw[NAME_BYTES:]))
    if slot in members:  # it renamed itself, or its library was found out later
        members[slot].name, members[slot].library = name, library or members[slot].library
    else:
        members[slot] = Member(slot, id, bool(flags & FLAG_CHILD), first_seen, name, library)


def _fill(member: Member, points: Array, snapshots: Array) -> None:
    """Complete a member's readings (begin, end, value, exact) with what full ``snapshots`` (begin, end) imply.

    A full snapshot that does not list a member has read it too: it had not moved. One before it
    was first seen says that it had used nothing yet (less than cpuclock.UNEXPLAINED_NS).
    """
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
    member.exact = np.concatenate((points[:, 3] != 0, np.zeros(len(values), bool)))[order] | (not member.is_child)
