"""A run with a trace: its pieces attributed window by window, so that memory does not grow with the trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from ..arrays import Array
from ..dataset.event_store import EventStore, load_window
from ..dataset.in_order import in_order
from ..dataset.profiles import UserProfile
from ..readers.cpu import CpuLogFile
from ..thread_roles import role_of
from ..timeline.clocks import ClockFit
from ..vocabulary import OWN_WAITS, ClockMethod, Tool
from .attribute import Blind, ShareKey, Shares, attribute
from .evidence_from_events import Coverage, Who, evidence_from
from .interval_evidence import Evidence, StatesFrom
from .pieces import Pieces

WINDOW_ROWS = 2_000_000
"""About so many events are in a window; a few windows are held in memory at once."""


@dataclass(frozen=True)
class LoopStacks:
    """Samples of the loop thread's stacks: when (run time, ns) and which, and the stacks."""

    t_ns: Array
    stack_id: Array
    stacks: pa.Table


@dataclass(frozen=True)
class Trace:
    """What profilers and samplers (``tools``) recorded of a run, converted to tables on the run's clock.

    ``covered_ns`` is from when to when all of them recorded; ``clocks`` maps sources to their
    alignment; ``names`` are those of threads; ``state_source``, ``states_from`` and ``step_ns`` say whose thread
    states are used, what they are, and how far apart samples are (0 for the scheduler's events). ``hidden`` are
    causes that it can't show. ``profiles`` is what the user's own profiles of it tell. ``pids`` are the processes whose
    GPU work can explain its waits: a trace of several ranks holds others' too; None where all of it is the run's.
    """

    store: EventStore
    covered_ns: tuple[int, int]
    clocks: dict[str, ClockFit]
    tools: frozenset[Tool] = frozenset()
    names: dict[tuple[int, int], str] = field(default_factory=dict)
    gpu_kinds: frozenset[str] = frozenset()
    state_source: str | None = None
    states_from: StatesFrom = StatesFrom.SCHEDULING
    step_ns: int = 0
    hidden: frozenset[str] = OWN_WAITS
    stacks: LoopStacks | None = None
    profiles: tuple[UserProfile, ...] = ()
    pids: frozenset[int] | None = None

    @property
    def error_ns(self) -> int:
        """Error of the worst aligned source, ns; samples, whose bounds are statistical, aside."""
        return max((fit.error_ns for fit in self.clocks.values() if fit.method is not ClockMethod.SAMPLED), default=0)

    def coverage(self) -> Coverage:
        """What the evidence builder needs to know of it."""
        kinds = self.gpu_kinds
        return Coverage(
            *self.covered_ns,
            self.error_ns,
            self.step_ns,
            "graphics" in kinds,
            bool(kinds),
            self.hidden,
            self.states_from,
        )

    @cached_property
    def has_os_calls(self) -> bool:
        """Whether it shows waits in the OS, so that a thread outside of them ran."""
        return "osrt" in self.store.words("api_calls", "api")

    @property
    def has_intervals(self) -> bool:
        """Whether it shows when any thread worked or waited."""
        return any(self.store.rows(table) for table in ("thread_states", "api_calls", "gpu_ops"))

    def evidence(self, who: Who, start_ns: int, end_ns: int) -> Evidence:
        """What its events say of [start_ns, end_ns)."""
        error = self.error_ns
        worked_by = who.loop if self.state_source is None and not self.has_os_calls else None
        window = start_ns - error, end_ns + error
        events = load_window(self.store, window, self.state_source, self.pids, worked_by)
        return evidence_from(events, who, self.coverage())

    def windows(self, start_ns: Array, end_ns: Array) -> Iterator[Array]:
        """Indices of consecutive things that lie inside what it covered, a window of events at a time."""
        if not self.has_intervals:
            return
        inside = np.flatnonzero((start_ns >= self.covered_ns[0]) & (end_ns <= self.covered_ns[1]))
        if not len(inside):
            return
        counts = self.store.counts()
        rows = sum(counts.get(table, 0) for table in ("api_calls", "gpu_ops", "thread_states"))
        parts = max(1, min(len(inside), -(-rows // WINDOW_ROWS)))
        edges = np.linspace(start_ns[inside[0]], end_ns[inside[-1]], parts + 1)[1:-1]
        yield from (part for part in np.split(inside, np.searchsorted(start_ns[inside], edges)) if len(part))


def who_is_who(
    loop: tuple[int, int], log: CpuLogFile | None, roles: dict[int, str], names: dict[tuple[int, int], str]
) -> Who:
    """Roles of all threads: by the CPU log where it saw them, else by their names."""
    by_thread = {
        (pid, tid): role_of(name, "", None, pid != loop[0]) for (pid, tid), name in names.items() if (pid, tid) != loop
    }
    slots: dict[tuple[int, int], int] = {}
    for member in log.members if log is not None else []:
        key = (member.id, 0) if member.is_child else (loop[0], member.id)
        by_thread[key] = roles[member.slot]
        slots[key] = member.slot
        if member.is_child:  # what it is decides for all its threads, whatever they are called
            by_thread.update({other: roles[member.slot] for other in by_thread if other[0] == member.id})
    by_thread[loop] = "loop"
    return Who(loop, by_thread, slots)


def attribute_with_trace(
    pieces: Pieces,
    log: CpuLogFile | None,
    roles: dict[int, str],
    born_ns: int | None,
    blind: Blind,
    trace: Trace,
    who: Who,
) -> list[Shares]:
    """As ``attribute``; pieces that the trace did not cover rest on CPU clocks alone, if there are any."""
    parts: dict[ShareKey, list[Array]] = {}
    covered = np.zeros(len(pieces), bool)

    def in_window(rows: Array) -> tuple[Array, list[Shares]]:
        some = pieces.rows(rows)
        evidence = trace.evidence(who, int(some.start_ns[0]), int(some.end_ns[-1]))
        return rows, attribute(some, log, roles, born_ns, blind, evidence)

    for future in in_order(in_window, trace.windows(pieces.start_ns, pieces.end_ns), ahead=1):
        rows, shares = future.result()
        covered[rows] = True
        _add(parts, rows, shares)
    rest = np.flatnonzero(~covered)
    if len(rest):
        _add(parts, rest, attribute(pieces.rows(rest), log, roles, born_ns, blind))
    out = []
    for key in list(parts):
        which, *columns = np.concatenate(parts.pop(key), axis=1)
        out.append(Shares.of_rows(key, which, columns))
    return out


def _add(parts: dict[ShareKey, list[Array]], rows: Array, shares: list[Shares]) -> None:
    """Keep the shares of some pieces: a row each for which pieces have any, and for their times."""
    for share in shares:
        some = np.flatnonzero(share.hi_ns)  # most pieces have few of the causes
        kept = np.vstack((rows[some], *(times[some] for times in share.times())))
        parts.setdefault((share.state, share.cause, share.evidence), []).append(kept)
