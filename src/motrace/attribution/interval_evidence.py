"""What intervals say: who worked when, and when the loop thread was off its core.

Where the intervals show every worker (the scheduler's events, or samples of thread states), blocked
time is split by exact overlap into exclusive sets: only the GPU worked, only the renderer's threads
did, both, the encoder, and so on, or idle. Where they only show waiting calls and GPU work, they
narrow the bounds that the CPU clocks give: a thread inside a waiting call does not work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from ..arrays import Array
from ..timeline.intervals import Intervals, any_of
from ..vocabulary import ROLE_CAUSES, ROLE_GROUPS, EvidenceKind
from .cpu_clock_bounds import States, Usage
from .pieces import Pieces
from .split_by_bounds import COMPUTES, COPIES, CUDA, GRAPHICS, RENDERER_ROLES

Bounds = tuple[Array, Array, Array]


class StatesFrom(Enum):
    """What shows the states of threads, by the kind of evidence that it is."""

    SCHEDULING = EvidenceKind.SCHEDULING
    SAMPLES = EvidenceKind.THREAD_SAMPLES

    def check(self, step_ns: int) -> None:
        """Raise ValueError unless samples have an interval, and events have none."""
        if (self is StatesFrom.SAMPLES) != (step_ns > 0):
            raise ValueError(f"{self.value.value} can't have a sampling interval of {step_ns} ns")


@dataclass(frozen=True)
class Evidence:
    """Intervals of one run, on the same clock as its pieces.

    ``off_core`` is when the loop thread was off its core as far as is known: all its blocked time
    lies in there, waiting for a core perhaps too. ``surely_off`` is the part of it in which the thread
    did not run, None for all of it: it works a little inside the ends of its waiting calls, and may
    have been blocked as long elsewhere, in calls too short to be recorded. ``working`` maps roles to when at least one
    thread of theirs was on a core; it is None unless every worker was seen. ``waiting`` maps CPU
    log slots to when that thread was inside a waiting call. ``graphics``, ``cuda`` (kernels) and ``copies`` are
    what the GPUs did, None where the trace doesn't show it. ``gpu_calls`` is when the loop thread waited for the GPU
    inside a call of its API, ``vulkan_calls`` the part in Vulkan's, ``often_pipes`` when it did for something that the
    call does not name. ``worked`` is when it was inside calls that don't wait; None where all time outside waiting
    calls is its own. ``gpu_waits`` is when a thread waited in Vulkan for what it had submitted, given where the trace
    doesn't show what the GPU drew: most likely it did then.
    ``alone``: no CPU clock was recorded beside it.
    ``waits`` is when the loop thread waited for something that is a cause by itself, by cause; ``hidden`` are those of
    these causes that the trace can't show. ``perhaps_gil`` is when it was in calls by which Python waits for its lock,
    and others for a condition of theirs.
    ``error_ns`` is the error of the alignment of these intervals with the pieces. ``states_from`` says
    what shows the threads' states, ``step_ns`` is the interval of its samples (0 for events).
    """

    kinds: tuple[EvidenceKind, ...]
    error_ns: int = 0
    step_ns: int = 0
    off_core: Intervals | None = None
    surely_off: Intervals | None = None
    runnable: Intervals | None = None
    working: dict[str, Intervals] | None = None
    waiting: dict[int, Intervals] = field(default_factory=dict)
    graphics: Intervals | None = None
    cuda: Intervals | None = None
    copies: Intervals | None = None
    gpu_calls: Intervals = field(default_factory=Intervals.nothing)
    vulkan_calls: Intervals = field(default_factory=Intervals.nothing)
    often_pipes: Intervals = field(default_factory=Intervals.nothing)
    worked: Intervals | None = None
    alone: bool = False
    gpu_waits: Intervals | None = None
    waits: dict[str, Intervals] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    perhaps_gil: Intervals = field(default_factory=Intervals.nothing)
    states_from: StatesFrom = StatesFrom.SCHEDULING

    def __post_init__(self) -> None:
        self.states_from.check(self.step_ns)

    @property
    def sampled(self) -> bool:
        """Whether samples show the threads' states."""
        return self.states_from is StatesFrom.SAMPLES

    @property
    def gpu_work(self) -> dict[str, Intervals]:
        """What the GPUs did, by the names of ``split_by_clocks``; copies without those that a kernel hides."""
        cuda, copies = (found or Intervals.nothing() for found in (self.cuda, self.copies))
        return {GRAPHICS: self.graphics or Intervals.nothing(), CUDA: cuda, COPIES: copies - cuda,
                COMPUTES: cuda | copies}  # fmt: skip

    @property
    def away(self) -> Intervals | None:
        """When the loop thread may have been blocked: off its core, and not known to wait for one."""
        if self.off_core is None or self.runnable is None:
            return self.off_core
        return self.off_core - self.runnable

    def off_record(self, blocked: Array, start_ns: Array, end_ns: Array) -> Array:
        """How much of the ``blocked`` time of windows lies outside ``away``, at most; float64 ns."""
        sure = self.away if self.surely_off is None else self.surely_off
        known = 0.0 if sure is None else sure.within(start_ns, end_ns)
        return np.asarray(np.maximum(0.0, blocked - known))


def on_cores(evidence: Evidence, cpu_ns: Mapping[str, float], start_ns: int, end_ns: int) -> Evidence:
    """Samples whose workers work for no longer than their clocks say: a state can't tell who runs from who is ready.

    ``cpu_ns`` is how much CPU time each role used at most in [start_ns, end_ns). Of each stay the last part is kept: a
    thread
    waits for its core first.
    """
    if not evidence.sampled or evidence.working is None or evidence.off_core is None:
        return evidence
    working = dict(evidence.working)
    for role, found in evidence.working.items():
        seen = found.clip(start_ns, end_ns)
        while_blocked = seen & evidence.off_core  # what they used, they used for what the loop thread waits for, first
        length = int((while_blocked.end_ns - while_blocked.start_ns).sum())
        if role in cpu_ns and length > cpu_ns[role]:
            dropped = (seen.end_ns - seen.start_ns) * (1 - cpu_ns[role] / length)
            working[role] = Intervals(seen.start_ns + dropped.astype(np.int64), seen.end_ns)
    return replace(evidence, working=working)


def states_of(evidence: Evidence, pieces: Pieces) -> States:
    """States of the loop thread from intervals alone, for a run whose CPU clocks were not recorded."""
    wall = pieces.end_ns - pieces.start_ns
    zero = np.zeros(len(wall), np.int64)
    if evidence.off_core is None and evidence.worked is None:
        return States(wall, zero, zero, zero, np.zeros(len(wall), bool))
    off = (evidence.off_core or Intervals.nothing()).within(pieces.start_ns, pieces.end_ns)
    waiting = zero if evidence.runnable is None else evidence.runnable.within(pieces.start_ns, pieces.end_ns)
    return States(wall, wall - off, waiting, off - waiting, np.ones(len(wall), bool))


def exclusive_sets(
    evidence: Evidence, group: str, start_ns: int, end_ns: int, owns_waits: bool = False
) -> dict[str, Intervals]:
    """All moments of [start_ns, end_ns), by who worked in them, for a phase that waits for ``group``.

    A wait for the interpreter lock comes first. Where several worked at once the phase's own group does, then the
    others in the order of ``ROLE_GROUPS``, then what the loop thread itself waited for, unless the phase
    ``owns_waits``; so the sets are exclusive, and together they are the whole.
    """
    working = {role: found.clip(start_ns, end_ns) for role, found in (evidence.working or {}).items()}
    graphics = (evidence.graphics or Intervals.nothing()).clip(start_ns, end_ns)
    cuda = (evidence.cuda or Intervals.nothing()).clip(start_ns, end_ns)
    copies = (evidence.copies or Intervals.nothing()).clip(start_ns, end_ns)
    own = not evidence.alone or group in ("policy", "renderer")
    asked = Intervals.nothing() if own else evidence.gpu_calls.clip(start_ns, end_ns)
    left = Intervals.nothing().gaps(start_ns, end_ns)
    sets: dict[str, Intervals] = {}

    def take(cause: str, who: Intervals) -> None:
        nonlocal left
        sets[cause] = sets.get(cause, Intervals.nothing()) | (who & left)
        left = left - who

    waits = {cause: found.clip(start_ns, end_ns) for cause, found in evidence.waits.items()}
    take("gil", waits.pop("gil", Intervals.nothing()))
    drawn = evidence.vulkan_calls.clip(start_ns, end_ns) & asked
    take("cuda", cuda & (asked - drawn))
    take("gpu_copies", copies & (asked - drawn))
    take("gpu_only", graphics & drawn)
    asked = asked & left
    left = left - asked  # no other worker's time: the thread says what it waits for
    for name in (group, *(other for other in ROLE_GROUPS if other != group)):
        if name == "renderer":
            raster = working.get("raster", Intervals.nothing())
            cpu = any_of(working.get(role, Intervals.nothing()) for role in RENDERER_ROLES)
            draws = graphics | raster
            take("renderer_both", draws & cpu)
            take("gpu_only", graphics)
            take("raster", raster)
            take("renderer_cpu_only", cpu)
            continue
        for role in ROLE_GROUPS[name]:
            if role in working:
                take(ROLE_CAUSES[role], working[role])
        if name == "policy":
            take("cuda", cuda | copies if name == group else cuda)
            take("gpu_copies", copies)
    for cause, found in sorted(waits.items() if not owns_waits else ()):
        take(cause, found)
    sets["unexplained"] = asked
    sets["idle"] = left
    return {cause: found for cause, found in sets.items() if len(found) or cause == "idle"}


def split_blocked(
    evidence: Evidence, pieces: Pieces, states: States, group: str, owns_waits: bool, rows: Array
) -> dict[str, Bounds]:
    """(ns, lo_ns, hi_ns) of each exclusive cause of blocked time, float64, in the pieces ``rows``.

    All of the blocked time B lies in the off-core time O, as far as O reaches; the rest of O was
    spent waiting for a core, or running. So of a set that covers ``a`` of O and leaves ``n`` of it,
    at least B - n was blocked and at most ``a``; where O is less than B, the difference was spent
    off the record, anywhere in the rest of the piece. The ends of a piece are known to
    ``error_ns``: what makes a bound wider is measured around them, the rest inside them.
    """
    start, end = pieces.start_ns[rows], pieces.end_ns[rows]
    blocked, error = states.blocked_ns[rows].astype(float), evidence.error_ns
    inner_start, around_start, around_end = np.minimum(start + error, end), start - error, end + error
    inner_end = np.maximum(end - error, inner_start)
    first, last = int(pieces.start_ns[0]) - error, int(pieces.end_ns[-1]) + error
    off = (evidence.away or Intervals.nothing()).clip(first, last)
    total = off.within(start, end).astype(float)
    missing = np.maximum(0.0, blocked - total)
    most_missing = evidence.off_record(blocked, inner_start, inner_end)
    outside = np.maximum(1.0, (end - start) - total)
    out: dict[str, Bounds] = {}
    for cause, found in exclusive_sets(evidence, group, first, last, owns_waits).items():
        on_record = found & off
        inside, elsewhere = on_record.within(start, end), (found - off).within(start, end)
        spread = inside * blocked / np.maximum(total, 1.0)
        estimate = np.where(total > blocked, spread, inside + missing * elsewhere / outside)
        if evidence.sampled and total.any():  # what samples missed is like what they saw, here or in all pieces
            estimate = np.where(total > 0, spread, blocked * inside.sum() / total.sum())
        others = (off - found).within(around_start, around_end)
        lo = np.maximum(0.0, blocked - others - most_missing)
        off_record = np.minimum((found - off).within(around_start, around_end), most_missing)
        hi = np.minimum(blocked, on_record.within(around_start, around_end) + off_record)
        if evidence.sampled:
            lo, hi = _sampled(estimate, blocked, evidence.step_ns)
        out[cause] = (np.clip(estimate, lo, np.maximum(lo, hi)), lo, np.maximum(lo, hi))
    return out


def _sampled(estimate: Array, blocked: Array, step_ns: int) -> tuple[Array, Array]:
    """Bounds at 95 % of a share that samples show: Wilson's interval (1927), at one sample per step."""
    count = np.maximum(1.0, blocked / step_ns)
    share, z2 = np.clip(estimate / np.maximum(blocked, 1.0), 0.0, 1.0), 1.96**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = 1.96 * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return np.maximum(0.0, (middle - half) * blocked), np.minimum(blocked, (middle + half) * blocked)


def overlap(evidence: Evidence, found: Intervals, pieces: Pieces, states: States) -> Usage:
    """Work of which the intervals are known, inside the blocked time of each piece."""
    start, end, error = pieces.start_ns, pieces.end_ns, evidence.error_ns
    wall, blocked = states.wall_ns.astype(float), states.blocked_ns.astype(float)
    inner_start = np.minimum(start + error, end)
    least = found.within(inner_start, np.maximum(end - error, inner_start)).astype(float)
    most = np.minimum(found.within(start - error, end + error), wall)
    lo, hi = np.maximum(0.0, least + blocked - wall), np.minimum(blocked, most)
    estimate = found.within(start, end) * blocked / np.maximum(wall, 1.0)
    off = evidence.away
    if off is not None:
        on_record = found & off
        total = off.within(start, end).astype(float)
        missing = evidence.off_record(blocked, inner_start, np.maximum(end - error, inner_start))
        others = (off - found).within(start - error, end + error)
        lo = np.maximum(lo, blocked - others - missing)
        hi = np.minimum(hi, on_record.within(start - error, end + error) + missing)
        covered = on_record.within(start, end).astype(float)
        known = np.minimum(1.0, blocked / np.maximum(total, 1.0))
        estimate = covered * known + estimate * np.clip(1.0 - total / np.maximum(blocked, 1.0), 0.0, 1.0)
    hi = np.maximum(hi, 0.0)
    lo = np.minimum(lo, hi)
    return Usage(lo, np.clip(estimate, lo, hi), hi, np.zeros(len(wall)))


def narrow(evidence: Evidence, waiting: Intervals, used: Usage, inside: Usage, pieces: Pieces, states: States) -> Usage:
    """Bounds on a thread's work inside blocked time, given that it did no work while it was ``waiting``.

    ``used`` is its CPU time in each piece, ``inside`` what its clock alone says of the blocked part.
    At most, it worked wherever the loop thread was off its core and it was not waiting; at least,
    what does not fit into the rest of the piece.
    """
    off = evidence.away
    if off is None:
        return inside
    start, end, error = pieces.start_ns, pieces.end_ns, evidence.error_ns
    wall, blocked = states.wall_ns.astype(float), states.blocked_ns.astype(float)
    inner_start = np.minimum(start + error, end)
    inner_end = np.maximum(end - error, inner_start)
    missing = evidence.off_record(blocked, inner_start, inner_end)
    free = (off - waiting).within(start - error, end + error)
    most = np.minimum(inside.hi_ns, free + missing)
    busy_on_core = wall - off.within(inner_start, inner_end)  # loop thread on its core, at most
    waiting_then = (waiting - off).within(inner_start, inner_end)
    surplus = np.maximum(0.0, off.within(start - error, end + error) - blocked + missing)
    least = np.maximum(inside.lo_ns, used.lo_ns - (busy_on_core - waiting_then) - surplus)
    most = np.maximum(most, 0.0)
    least = np.clip(least, 0.0, most)
    return Usage(least, np.clip(inside.est_ns, least, most), most, inside.total_lo_ns)
