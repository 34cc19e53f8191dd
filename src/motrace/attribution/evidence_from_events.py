"""From the events of a trace to evidence: whose intervals they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..dataset.event_store import WindowEvents
from ..timeline.intervals import Intervals, any_of
from ..vocabulary import GPU_WAITS, IDLE_WAITS, OFTEN_PIPES, WAIT_CAUSES, EvidenceKind
from .gpu import GpuOps
from .interval_evidence import Evidence, StatesFrom

CALL_EDGE_NS = 5_000
"""A waiting call's first and last so many ns may be work: going to sleep, and coming back."""


UNSEEN = 0.05
"""If the other threads' states are unknown for more than this share of the time, they are not used to split."""


@dataclass(frozen=True)
class Who:
    """Who is who in a run: ``roles`` by (pid, tid), tid 0 for every thread of a child."""

    loop: tuple[int, int]
    roles: dict[tuple[int, int], str]
    slots: dict[tuple[int, int], int]

    def role(self, pid: int, tid: int) -> str:
        """The role of a thread; ``other`` if nothing is known of it."""
        return self.roles.get((pid, tid)) or self.roles.get((pid, 0)) or ("other" if pid == self.loop[0] else "child")


@dataclass(frozen=True)
class Coverage:
    """From when to when a trace recorded (run times, ns), how well it is aligned, and what it can show.

    ``graphics`` and ``cuda``: the trace shows that kind of GPU work (it has such rows, or nothing
    of the kind can have run). ``states_from`` and ``step_ns`` are those of ``Evidence``, ``hidden`` too.
    """

    start_ns: int
    end_ns: int
    error_ns: int
    step_ns: int
    graphics: bool
    cuda: bool
    hidden: frozenset[str] = frozenset()
    states_from: StatesFrom = StatesFrom.SCHEDULING


def evidence_from(events: WindowEvents, who: Who, coverage: Coverage) -> Evidence:
    """What a window's events say of who worked when."""
    states = events.states
    working, off_core, runnable = None, None, None
    kinds: list[EvidenceKind] = []
    if states is not None:
        kinds.append(coverage.states_from.value)
        working, off_core, runnable = _from_states(events, who, coverage)
    surely_off = None
    waits = _loop_waits(events, who)
    if off_core is None and len(waits):
        off_core, surely_off = waits, _loop_waits(events, who, CALL_EDGE_NS)
        kinds.append(EvidenceKind.WAITING_CALLS)
    gpu = GpuOps(events.ops.device, events.ops.start_ns, events.ops.end_ns, events.ops.launch_ns)
    kernels = ~(events.ops.graphics | events.ops.copies)
    if len(gpu):
        kinds.append(EvidenceKind.GPU_WORK)
    return Evidence(
        kinds=tuple(kinds),
        error_ns=coverage.error_ns,
        step_ns=coverage.step_ns,
        off_core=off_core,
        surely_off=surely_off,
        runnable=runnable,
        working=working,
        waiting={} if working is not None else _waiting(events, who),
        graphics=any_of(gpu.rows(events.ops.graphics).busy().values()) if coverage.graphics else None,
        cuda=any_of(gpu.rows(kernels).busy().values()) if coverage.cuda else None,
        copies=any_of(gpu.rows(events.ops.copies).busy().values()) if coverage.cuda else None,
        gpu_calls=_waits_of(events, who, events.calls.gpu & np.isin(events.calls.waits_on, list(GPU_WAITS))),
        vulkan_calls=_waits_of(events, who, events.calls.vulkan & np.isin(events.calls.waits_on, list(GPU_WAITS))),
        often_pipes=_waits_of(events, who, ~events.calls.gpu & np.isin(events.calls.waits_on, list(OFTEN_PIPES))),
        worked=None if events.worked is None else Intervals.union(*events.worked),
        waits=_own_waits(events, who),
        hidden=coverage.hidden,
        perhaps_gil=_loop_waits(events, who, on=np.array(["condition"])),
        gpu_waits=None if coverage.graphics else _gpu_waits(events),
        states_from=coverage.states_from,
    )


def _from_states(
    events: WindowEvents, who: Who, coverage: Coverage
) -> tuple[dict[str, Intervals] | None, Intervals | None, Intervals | None]:
    """When each role's threads were on a core (None: not all were seen), and when the loop thread was not."""
    states = events.states
    assert states is not None, "the caller has looked"
    by_role: dict[str, list[Intervals]] = {}
    off_core, runnable = None, None
    unseen_ns = 0
    for pid, tid, rows in _threads(states.pid, states.tid):
        if coverage.states_from is StatesFrom.SAMPLES and (pid, tid) != who.loop:
            lived_ns = int(states.end_ns[rows].max() - states.start_ns[rows].min())
            unseen_ns += lived_ns - int((states.end_ns[rows] - states.start_ns[rows]).sum())
        on_core = rows[states.running[rows]]
        found = Intervals.union(states.start_ns[on_core], states.end_ns[on_core])
        if (pid, tid) != who.loop:
            by_role.setdefault(who.role(pid, tid), []).append(found)
            continue
        away = rows[~states.running[rows]]
        if len(away):  # the source says what the thread did off its core
            known = rows[states.blocked[rows]]
            off_core = Intervals.union(states.start_ns[known], states.end_ns[known])
            others = away[~states.blocked[away]]
            runnable = Intervals.union(states.start_ns[others], states.end_ns[others])
            off_core = off_core | runnable
        else:
            off_core = found.gaps(coverage.start_ns, coverage.end_ns)
    window_ns = int(states.end_ns.max() - states.start_ns.min()) if len(states.tid) else 0
    if unseen_ns > UNSEEN * window_ns:  # samples too far apart: who was not seen may have worked
        return None, off_core, runnable
    return {role: any_of(parts) for role, parts in by_role.items()}, off_core, runnable


def _threads(pid: Array, tid: Array) -> list[tuple[int, int, Array]]:
    """(pid, tid, rows) of each thread."""
    if not len(pid):
        return []
    order = np.lexsort((tid, pid))
    edges = np.flatnonzero((np.diff(pid[order]) != 0) | (np.diff(tid[order]) != 0)) + 1
    return [(int(pid[rows[0]]), int(tid[rows[0]]), rows) for rows in np.split(order, edges)]


def _loop_waits(events: WindowEvents, who: Who, edge_ns: int = 0, on: Array | None = None) -> Intervals:
    """The loop thread's waiting calls (``on``: for one of these), without the first and last ``edge_ns`` of each."""
    calls = events.calls
    mine = (calls.pid == who.loop[0]) & (calls.tid == who.loop[1])
    if on is not None:
        mine &= np.isin(calls.waits_on, on)
    return Intervals.union(calls.start_ns[mine] + edge_ns, calls.end_ns[mine] - edge_ns)


def _waits_of(events: WindowEvents, who: Who, chosen: Array) -> Intervals:
    """When the loop thread was inside those calls."""
    calls = events.calls
    mine = chosen & (calls.pid == who.loop[0]) & (calls.tid == who.loop[1])
    return Intervals.union(calls.start_ns[mine], calls.end_ns[mine])


def _waiting(events: WindowEvents, who: Who) -> dict[int, Intervals]:
    """When each thread of the CPU log was idle inside a call, by its slot."""
    calls = events.calls
    idle = np.flatnonzero(np.isin(calls.waits_on, list(IDLE_WAITS)))
    waiting: dict[int, Intervals] = {}
    for pid, tid, rows in _threads(calls.pid[idle], calls.tid[idle]):
        slot = who.slots.get((pid, tid))
        if slot is not None:
            chosen = idle[rows]
            waiting[slot] = Intervals.union(calls.start_ns[chosen] + CALL_EDGE_NS, calls.end_ns[chosen] - CALL_EDGE_NS)
    return waiting


def _own_waits(events: WindowEvents, who: Who) -> dict[str, Intervals]:
    """When the loop thread waited for what is a cause by itself, by that cause: by its states, or else its calls."""
    waits: dict[str, list[Intervals]] = {}
    for source in (events.states, events.calls):
        if source is None:
            continue
        mine = (source.pid == who.loop[0]) & (source.tid == who.loop[1])
        for word, cause in WAIT_CAUSES.items():
            rows = np.flatnonzero(mine & (source.waits_on == word))
            if len(rows):
                waits.setdefault(cause, []).append(Intervals.union(source.start_ns[rows], source.end_ns[rows]))
    return {cause: any_of(parts) for cause, parts in waits.items()}


def _gpu_waits(events: WindowEvents) -> Intervals | None:
    """When any thread waited in Vulkan for what it had submitted; None where none did."""
    calls = events.calls
    chosen = calls.vulkan & np.isin(calls.waits_on, list(GPU_WAITS))
    return Intervals.union(calls.start_ns[chosen], calls.end_ns[chosen]) if chosen.any() else None
