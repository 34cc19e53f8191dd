"""Roles by phase: where a thread or child was first seen, and in which phases a child works."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..readers.cpu import CpuLogFile, Member
from ..record.roster import UNSEEN_CHILDREN
from ..thread_roles import is_worker, role_of, simulates
from .cpu_clock_bounds import usage
from .pieces import Pieces


def role_by_phases(member: Member, log: CpuLogFile, pieces: Pieces) -> str:
    """The role of a member by name, library or command, the phase it was first seen in, and those a child works in."""
    index = int(np.searchsorted(pieces.start_ns, member.first_seen_ns - 1, side="right")) - 1
    origin = pieces.phase[index] if 0 <= index < len(pieces) else None
    role = role_of(member.name, member.library, origin, member.is_child)
    if role != "child" or member.id <= 0:
        return role
    used = usage(member, pieces.start_ns, pieces.end_ns, log.cores, log.tick_ns).est_ns
    wall = pieces.end_ns - pieces.start_ns
    rows = pieces.frame >= 0
    rows = rows if rows.any() else ~rows
    inside = np.array([simulates(phase) for phase in pieces.phase])
    worked = [(float(used[some].sum()), int(wall[some].sum())) for some in (rows & inside, rows & ~inside)]
    return "sim_pool" if is_worker(member.library or member.name, worked[0], worked[1]) else role


def unseen_apart(log: CpuLogFile, pieces: Pieces) -> CpuLogFile:
    """The log with children seen only when they had ended as members of their own, by the phase they ran in.

    That is the phase that took most of the time between two readings.
    """
    members: list[Member] = []
    for member in log.members:
        members += [member] if member.id != UNSEEN_CHILDREN else _apart(member, log, pieces)
    return replace(log, members=members)


def _apart(member: Member, log: CpuLogFile, pieces: Pieces) -> list[Member]:
    used = np.diff(member.cpu_ns, prepend=0)
    phases = np.array([""] * len(used), object)
    for reading in np.flatnonzero(used).tolist():
        since = member.end_ns[reading - 1] if reading else member.begin_ns[0]
        overlap = np.minimum(pieces.end_ns, member.begin_ns[reading]) - np.maximum(pieces.start_ns, since)
        phases[reading] = pieces.phase[int(np.argmax(overlap))]
    roles = [role_of("", "", phase, True) for phase in phases.tolist()]
    slots = max(one.slot for one in log.members) + 1
    parts = []
    for number, role in enumerate(sorted(set(roles))):
        mine = np.array([one == role for one in roles])
        first = int(np.flatnonzero(mine & (used > 0))[0]) if (mine & (used > 0)).any() else 0
        parts.append(
            replace(
                member,
                slot=slots + number if number else member.slot,
                id=member.id - number,
                first_seen_ns=int(member.begin_ns[first]),
                cpu_ns=np.cumsum(np.where(mine, used, 0)),
            )
        )
    return parts or [member]
