"""Every nanosecond of the loop thread, to exactly one cause, with bounds (docs/attribution.md).

States are exact. Blocked time B of a piece of wall time W is split by what the others' clocks allow: a role that
worked between u_lo and u_hi inside the piece worked at least max(0, u_lo + B - W) and at most min(B, u_hi) of the
blocked time. Where several worked the phase's own role comes first (``Phase.waits_for``), so causes are exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..readers.cpu import CpuLogFile
from ..thread_roles import may_hold_gil
from ..timeline.intervals import Intervals
from ..vocabulary import OWN_WAITS, EvidenceKind, phase_info
from .aggregate import UNSPLIT
from .cpu_clock_bounds import States, Usage, held_at_most, loop_states, role_busy, usage
from .interval_evidence import Evidence, narrow, on_cores, overlap, split_blocked, states_of
from .pieces import Pieces
from .split_by_bounds import GIL, OwnWaits, split_by_clocks, whole_ns
from .trace_alone import outside_calls, split_alone, waits_where_it_asks

EXACT, NO_EVIDENCE = (EvidenceKind.THREAD_CLOCK,), (EvidenceKind.NONE,)
OVERLAPS = POINT, TURNS, MOST = 0.15, 0.0, 0.3
"""How far the workers of a pipeline overlap (``union_fraction``): most likely, and the least and the most that real
renderers showed against the scheduler's events of the same run (docs/attribution.md)."""
MODELLED = "renderer"
"""The group of phases for which that was measured."""

CauseTimes = dict[str, tuple[Array, ...]]
"""By cause, what ``Shares.times`` holds."""
ShareKey = tuple[str, str, tuple[EvidenceKind, ...]]
"""State, cause, evidence."""


@dataclass
class Shares:
    """One cause in every piece, or in those of ``rows`` alone (0 in the others), int64 ns: lo <= ns <= hi.

    ``turns_ns`` and ``overlap_ns``, where ``ns`` is a model's: what it says if workers take turns, and if they
    overlap the most. Each adds up to the wall time as ``ns`` does.
    """

    state: str
    cause: str
    evidence: tuple[EvidenceKind, ...]
    ns: Array
    lo_ns: Array
    hi_ns: Array
    turns_ns: Array | None = None
    overlap_ns: Array | None = None
    rows: Array | None = None

    @classmethod
    def of_rows(cls, key: ShareKey, rows: Array, times: list[Array]) -> Shares:
        """Some pieces' shares, from ``times``."""
        state, cause, evidence = key
        ns, lo_ns, hi_ns, *model = times
        turns_ns, overlap_ns = model or (None, None)
        return cls(state, cause, evidence, ns, lo_ns, hi_ns, turns_ns, overlap_ns, rows)

    def times(self) -> tuple[Array, ...]:
        """Its columns of times, as far as it has them."""
        columns = (self.ns, self.lo_ns, self.hi_ns, self.turns_ns, self.overlap_ns)
        return tuple(column for column in columns if column is not None)


@dataclass(frozen=True)
class Blind:
    """Workers that no CPU clock shows: a GPU that draws, a GPU that computes the policy."""

    gpu: bool
    cuda: bool

    def in_group(self, group: str) -> bool:
        """Whether someone unseen may have worked while a phase waited for ``group``."""
        return {"renderer": self.gpu, "policy": self.cuda}.get(group, False)


def attribute(
    pieces: Pieces,
    log: CpuLogFile | None,
    roles: dict[int, str],
    born_ns: int | None,
    blind: Blind,
    evidence: Evidence | None = None,
) -> list[Shares]:
    """Split every piece among its causes; the shares of a piece add up to its wall time exactly.

    ``roles`` maps slots of the CPU log's members to roles. ``evidence`` is what intervals say, where there are some.
    """
    states = loop_states(log, pieces.start_ns, pieces.end_ns, born_ns)
    exact: tuple[EvidenceKind, ...] = EXACT
    if evidence is not None and not states.known.any():
        evidence = waits_where_it_asks(evidence)
        states, exact = states_of(evidence, pieces), evidence.kinds
    zero = np.zeros(len(pieces), np.int64)
    ran, least, meanwhile = states.running_ns, states.running_ns, dict[str, Array]()
    if exact != EXACT and evidence is not None and evidence.working is None:
        (ran, meanwhile), least = outside_calls(evidence, pieces, states), zero
    rest = states.wall_ns - states.runnable_ns - states.blocked_ns
    shares = [
        Shares("running", UNSPLIT, exact, ran, least, states.running_ns),
        Shares("runnable", "run_queue", exact, states.runnable_ns, states.runnable_ns, states.runnable_ns),
        Shares("unknown", "unexplained", NO_EVIDENCE, rest - ran - sum(meanwhile.values()), zero, rest - least),
        *(Shares("unknown", cause, exact, ns, zero, ns) for cause, ns in meanwhile.items()),
    ]
    waits_for = [(phase_info(phase).waits_for, phase_info(phase).owns_waits) for phase in pieces.phase]
    kinds = sorted(set(waits_for))
    kind_of = np.array([kinds.index(one) for one in waits_for], np.int64)
    blocked = _Blocked(pieces, log, roles, states, blind, evidence) if log is not None or evidence else None
    totals: dict[tuple[str, tuple[EvidenceKind, ...]], list[Array]] = {}
    for kind, (group, owns_waits) in enumerate(kinds):
        rows = np.flatnonzero((kind_of == kind) & (states.blocked_ns > 0))
        if len(rows) and blocked is not None:
            label, causes = blocked.split(group, owns_waits, rows)
            for cause, share in causes.items():
                target = totals.setdefault((cause, label), [np.zeros(len(pieces), np.int64) for _ in share])
                for column, values in zip(target, share):
                    column[rows] = values
    return shares + [Shares("blocked", cause, label, *columns) for (cause, label), columns in sorted(totals.items())]


def _usages(pieces: Pieces, log: CpuLogFile) -> dict[int, Usage]:
    return {
        member.slot: usage(member, pieces.start_ns, pieces.end_ns, log.cores, log.tick_ns) for member in log.members
    }


def _used(pieces: Pieces, log: CpuLogFile, roles: dict[int, str]) -> tuple[dict[str, float], int, int]:
    """CPU time of the children of each role from the first piece's start to the last one's end, at most, and these.

    A thread's clock is exact, so that it bounds each piece by itself; a child's is not.
    """
    start, end = pieces.start_ns[:1], pieces.end_ns[-1:]
    used: dict[str, float] = {}
    for member in (one for one in log.members if one.is_child):
        role = roles[member.slot]
        used[role] = used.get(role, 0.0) + float(usage(member, start, end, log.cores, log.tick_ns).hi_ns[0])
    return used, int(start[0]), int(end[0])


def _by_role(
    log: CpuLogFile, roles: dict[int, str], usages: dict[int, Usage], wall: Array, overlap: float
) -> dict[str, Usage]:
    busy: dict[str, Usage] = {}
    for role in sorted(set(roles.values())):
        members = [member for member in log.members if roles[member.slot] == role]
        most = [log.cores if member.is_child else 1 for member in members]
        busy[role] = role_busy([usages[member.slot] for member in members], most, wall, log.cores, overlap)
    return busy


class _Blocked:
    """Splits the blocked time of pieces, with the best evidence there is."""

    def __init__(
        self,
        pieces: Pieces,
        log: CpuLogFile | None,
        roles: dict[int, str],
        states: States,
        blind: Blind,
        evidence: Evidence | None,
    ) -> None:
        self.ready = None if evidence is None else evidence.working  # who ran, and by samples who was ready to
        if evidence is not None and log is not None:
            evidence = on_cores(evidence, *_used(pieces, log, roles))
        self.pieces, self.states, self.blind, self.evidence = pieces, states, blind, evidence
        self.cores = log.cores if log is not None else 1
        self.has_clocks = log is not None
        self.during = {overlap: {} if log is None else self._during(log, roles, overlap) for overlap in OVERLAPS}
        self.python_ns = np.zeros(len(pieces)) if log is None else self._python(log, roles)
        self.likely_ns = np.zeros(len(pieces))  # blocked time in which an unseen GPU most likely drew
        if evidence is not None and evidence.gpu_waits is not None:
            self.likely_ns = overlap(evidence, evidence.gpu_waits, pieces, states).est_ns
        if evidence is not None:
            for name, found in evidence.gpu_work.items():
                if len(found):
                    seen = overlap(evidence, found, pieces, states)
                    for during in self.during.values():
                        during[name] = seen

    def _python(self, log: CpuLogFile, roles: dict[int, str]) -> Array:
        """For how long, at most, other threads of Python had the lock inside the blocked time of each piece."""
        most = np.zeros(len(self.pieces))
        for member in log.members:
            if not member.is_child and may_hold_gil(roles[member.slot], member.library):
                ends = self.pieces.start_ns, self.pieces.end_ns
                most += held_at_most(member, usage(member, *ends, log.cores, log.tick_ns), *ends)
        return np.asarray(np.minimum(most, self.states.blocked_ns))

    def _during(self, log: CpuLogFile, roles: dict[int, str], overlap: float) -> dict[str, Usage]:
        """Bounds on each role's work inside the blocked time of each piece."""
        wall, blocked = self.states.wall_ns.astype(float), self.states.blocked_ns.astype(float)
        usages = _usages(self.pieces, log)
        during = {
            role: _inside(used, blocked, wall, self.cores)
            for role, used in _by_role(log, roles, usages, self.states.wall_ns, overlap).items()
        }
        if self.evidence is None or not self.evidence.waiting:
            return during
        most = {member.slot: log.cores if member.is_child else 1 for member in log.members}
        narrowed = {slot: _cpu_inside(used, blocked, wall, most[slot]) for slot, used in usages.items()}
        for slot, waiting in self.evidence.waiting.items():
            narrowed[slot] = narrow(self.evidence, waiting, usages[slot], narrowed[slot], self.pieces, self.states)
        calls = _by_role(log, roles, narrowed, self.states.blocked_ns, overlap)
        return {role: _both(used, calls[role]) for role, used in during.items()}

    def split(self, group: str, owns_waits: bool, rows: Array) -> tuple[tuple[EvidenceKind, ...], CauseTimes]:
        """The kinds of evidence, and each cause's columns (``Shares.times``) in the pieces ``rows``."""
        evidence, blocked = self.evidence, self.states.blocked_ns[rows]
        blind, likely = self.blind.in_group(group), self.likely_ns[rows]
        unseen = evidence is not None and not self.has_clocks
        waits = self._own_waits(rows, owns_waits, evidence)
        if evidence is not None and unseen and not blind and evidence.working is None:
            return evidence.kinds, split_alone(evidence, self.pieces, self.states, owns_waits, rows)

        def by_clocks(overlap: float) -> dict[str, tuple[Array, ...]]:
            mine = {role: used.rows(rows) for role, used in self.during[overlap].items()}
            return split_by_clocks(blocked, mine, group, blind, self.cores, overlap, waits, unseen, likely)

        if evidence is None or evidence.working is None or blind:
            kinds = evidence.kinds if evidence is not None else ()
            if blind and group == "renderer" and likely.any():
                kinds += (EvidenceKind.GPU_WAITS,)
            if unseen or blind or group != MODELLED:
                return kinds if unseen else (EvidenceKind.CPU_COUNTERS, *kinds), by_clocks(POINT)
            point, turns, most = (by_clocks(overlap) for overlap in OVERLAPS)
            return (EvidenceKind.CPU_COUNTERS, *kinds, EvidenceKind.TURN_TAKING), {
                cause: (*found, turns[cause][0], most[cause][0]) for cause, found in point.items()
            }
        causes = {
            cause: Usage(lo, ns, hi, lo)
            for cause, (ns, lo, hi) in split_blocked(
                evidence, self.pieces, self.states, group, owns_waits, rows
            ).items()
        }
        waits.allow_for(causes, blocked)
        if self.has_clocks:  # whatever intervals say, the clocks' bounds hold
            waits = self._own_waits(rows, owns_waits, None if evidence.sampled else evidence)
            bounds = by_clocks(POINT)
            for cause, (_, lo, hi) in bounds.items():
                found = causes.get(cause, Usage.nothing(len(rows)))
                causes[cause] = _both(found, Usage(lo.astype(float), found.est_ns, hi.astype(float), lo.astype(float)))
            if evidence.sampled:  # what the clocks don't allow a worker to have worked, it waited for a core
                idle, known = causes["idle"], np.sum([used.est_ns for used in causes.values()], axis=0)
                point = np.minimum(idle.est_ns + np.maximum(0.0, blocked - known), bounds["idle"][2])
                causes["idle"] = Usage(idle.lo_ns, point, np.maximum(idle.hi_ns, point), idle.lo_ns)
        return evidence.kinds, whole_ns(causes, blocked)

    def _own_waits(self, rows: Array, owned: bool, evidence: Evidence | None) -> OwnWaits:
        """What the loop thread may have waited for by itself, in the pieces ``rows`` of phases that own that or not."""
        others = frozenset() if owned else OWN_WAITS - {GIL}
        if evidence is None:
            return OwnWaits({}, tuple(sorted(others)), self.python_ns[rows])
        some, states = self.pieces.rows(rows), self.states.rows(rows)
        python = None
        if GIL in evidence.hidden and (self.has_clocks or evidence.working is not None):
            python = self.python_ns[rows] if self.has_clocks else states.blocked_ns.astype(float)
            if self.ready is not None:  # a thread that holds the lock may wait for a core itself
                ready = overlap(evidence, self.ready.get("other", Intervals.nothing()), some, states).hi_ns
                seen = np.maximum(ready + evidence.step_ns, python)
                python = seen if evidence.sampled else np.minimum(python, ready)
        elif len(evidence.perhaps_gil):
            most = self.python_ns[rows] if self.has_clocks else states.blocked_ns
            python = np.minimum(most, overlap(evidence, evidence.perhaps_gil, some, states).hi_ns)
        shown = {
            cause: overlap(evidence, found, some, states)
            for cause, found in evidence.waits.items()
            if cause == GIL or cause in others
        }
        return OwnWaits(shown, tuple(sorted(others & evidence.hidden)), python)


def _inside(used: Usage, blocked: Array, wall: Array, cores: int) -> Usage:
    """Work inside the blocked part of a piece, from work inside the piece."""
    lo = np.maximum(0.0, used.lo_ns + blocked - wall)
    hi = np.minimum(blocked, used.hi_ns)
    est = used.est_ns * blocked / np.maximum(wall, 1.0)
    total_lo = np.maximum(0.0, used.total_lo_ns - cores * (wall - blocked))
    return Usage(lo, np.clip(est, lo, hi), hi, total_lo)


def _cpu_inside(used: Usage, blocked: Array, wall: Array, cores: int) -> Usage:
    """CPU time inside the blocked part of a piece, of a member that uses up to ``cores`` at once."""
    lo = np.maximum(0.0, used.lo_ns - cores * (wall - blocked))
    hi = np.minimum(cores * blocked, used.hi_ns)
    est = used.est_ns * blocked / np.maximum(wall, 1.0)
    return Usage(lo, np.clip(est, lo, np.maximum(lo, hi)), np.maximum(lo, hi), lo)


def _both(one: Usage, other: Usage) -> Usage:
    """Bounds that both allow; where they contradict each other, those of ``other``."""
    lo, hi = np.maximum(one.lo_ns, other.lo_ns), np.minimum(one.hi_ns, other.hi_ns)
    lo, hi = np.where(lo > hi, other.lo_ns, lo), np.where(lo > hi, other.hi_ns, hi)
    return Usage(lo, np.clip(one.est_ns, lo, hi), hi, np.maximum(one.total_lo_ns, other.total_lo_ns))
