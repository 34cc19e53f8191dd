"""Blocked time, divided into exclusive causes, with bounds that hold.

Workers are known by bounds on the time that each worked inside the blocked time (``Usage``). Where
several worked at once the phase's own role comes first; each gets what those before it left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..vocabulary import ROLE_CAUSES, ROLE_GROUPS
from .cpu_clock_bounds import Usage, union_fraction

RENDERER_ROLES = ("renderer", "task_pool")
GRAPHICS, CUDA, COPIES, COMPUTES = "graphics", "cuda", "gpu_copies", "computes"
"""Names under which a GPU's work stands beside the roles' work."""
GIL = "gil"


def split_by_clocks(
    blocked_ns: Array,
    busy: dict[str, Usage],
    group: str,
    blind: bool,
    cores: int,
    overlap: float,
    waits: OwnWaits,
    unseen: bool = False,
    likely_ns: Array | None = None,
) -> dict[str, tuple[Array, ...]]:
    """Exclusive causes of blocked time, (ns, lo_ns, hi_ns) each, for pieces that wait for ``group``.

    ``busy`` maps roles to bounds on their work inside the blocked time, ``graphics``, ``cuda`` (kernels),
    ``gpu_copies`` and ``computes`` (both) among them where a trace showed the GPU. ``overlap`` is how far workers
    overlap (``union_fraction``): it moves the estimate, not the bounds. ``blind``: someone unseen may have worked for
    ``group``. ``unseen``: nothing is known of any thread, so any may have worked at any time. ``likely_ns``: for how
    long an unseen GPU most likely drew; it moves the estimate, not the bounds.
    """
    blocked = blocked_ns.astype(float)
    split = _Split(blocked, cores, overlap)
    zero = np.zeros(len(blocked))
    anything = Usage(zero, zero, blocked, zero)
    unseen_gpu = anything if likely_ns is None else Usage(zero, np.minimum(likely_ns, blocked), blocked, zero)
    if unseen:
        busy = {**busy, **{role: anything for roles in ROLE_GROUPS.values() for role in roles}}
    if GIL in waits.seen:
        split.take(GIL, waits.seen[GIL])
    for name in (group, *(other for other in ROLE_GROUPS if other != group)):
        if name == "renderer":
            hidden = blind and name == group
            drawn = [busy[role] for role in ("raster", GRAPHICS) if role in busy]
            draws = unseen_gpu if hidden else _union(blocked, drawn, overlap)
            cpu = _union(blocked, [busy[role] for role in RENDERER_ROLES if role in busy], overlap)
            split.renderer("gpu_only" if hidden or GRAPHICS in busy else "raster", draws, cpu)
            continue
        for role in ROLE_GROUPS[name]:
            if role in busy:
                split.take(ROLE_CAUSES[role], busy[role])
        if name == "policy" and (CUDA in busy or (blind and name == group)):
            whole = COMPUTES if name == group else CUDA  # to the policy both are its own
            split.take("cuda", busy.get(whole, anything))
            if whole == CUDA and COPIES in busy:
                split.take("gpu_copies", busy[COPIES])
    for cause in sorted(waits.seen.keys() - {GIL}):
        split.take(cause, waits.seen[cause])
    split.rest(blind or unseen)
    waits.allow_for(split.causes, blocked)
    return whole_ns(split.causes, blocked_ns)


def _union(blocked: Array, parts: list[Usage], overlap: float) -> Usage:
    """Bounds on the time in which at least one of several roles worked."""
    if not parts:
        return Usage.nothing(len(blocked))
    lo = np.max([part.lo_ns for part in parts], axis=0)
    hi = np.minimum(blocked, np.sum([part.hi_ns for part in parts], axis=0))
    worked = union_fraction([_fraction(part, blocked) for part in parts], overlap)
    return Usage(lo, np.clip(blocked * worked, lo, hi), hi, np.sum([part.total_lo_ns for part in parts], axis=0))


def _fraction(used: Usage, blocked: Array) -> Array:
    return np.clip(used.est_ns / np.maximum(blocked, 1.0), 0.0, 1.0)


@dataclass(frozen=True)
class OwnWaits:
    """What the loop thread itself may have waited for, in pieces of phases that do or don't own their waits.

    ``seen``: causes with bounds on that time, where something shows it. ``hidden``: causes that nothing shows; idle
    time may be theirs. ``python_ns``: for how long at most it may have waited for the interpreter lock beside what is
    ``seen`` of that: another Python thread may have held it, whoever worked meanwhile. None where all is seen.
    """

    seen: dict[str, Usage]
    hidden: tuple[str, ...]
    python_ns: Array | None

    def allow_for(self, causes: dict[str, Usage], blocked: Array) -> None:
        """Widen the bounds of causes by what is hidden."""
        zero = np.zeros(len(blocked))
        idle = causes.get("idle")
        if self.hidden and idle is not None:
            causes["idle"] = Usage(zero, idle.est_ns, idle.hi_ns, zero)
            for cause in self.hidden:
                before = causes.get(cause, Usage.nothing(len(blocked)))
                most = np.minimum(blocked, before.hi_ns + idle.hi_ns)
                causes[cause] = Usage(before.lo_ns, before.est_ns, most, before.lo_ns)
        if self.python_ns is None:
            return
        most = np.minimum(self.python_ns, blocked)
        seen = causes.pop(GIL, Usage.nothing(len(blocked)))
        for name, used in causes.items():
            lo = np.maximum(0.0, used.lo_ns - most)
            causes[name] = Usage(lo, used.est_ns, used.hi_ns, lo)
        causes[GIL] = Usage(seen.lo_ns, seen.est_ns, np.minimum(blocked, seen.hi_ns + most), seen.lo_ns)


class _Split:
    """Hands out blocked time cause by cause; each gets what those before it left."""

    def __init__(self, blocked: Array, cores: int, overlap: float) -> None:
        self.blocked = blocked
        self._cores, self._overlap = cores, overlap
        self.causes: dict[str, Usage] = {}
        self._free = np.ones(len(blocked))  # estimated fraction that no worker has explained yet
        self._taken_lo = np.zeros(len(blocked))  # the union of what was taken is between these
        self._taken_hi = np.zeros(len(blocked))
        self._total_lo = np.zeros(len(blocked))  # CPU time that all of them used together, at least

    def _left(self, used: Usage) -> tuple[Array, Array]:
        """Bounds on the part of ``used`` that lies outside what was taken."""
        lo = np.maximum(0.0, used.lo_ns - self._taken_hi)
        hi = np.maximum(lo, np.minimum(used.hi_ns, self.blocked - self._taken_lo))
        return lo, hi

    def _new(self, fraction: Array) -> Array:
        """What of the time that nobody has explained yet is explained by someone who worked for ``fraction`` of all."""
        before = 1.0 - self._free
        self._free = 1.0 - union_fraction([before, fraction], self._overlap)
        return 1.0 - self._free - before

    def _took(self, used: Usage) -> None:
        self._total_lo = self._total_lo + used.total_lo_ns
        self._taken_lo = np.minimum(
            self.blocked, np.maximum(np.maximum(self._taken_lo, used.lo_ns), self._total_lo / self._cores)
        )
        self._taken_hi = np.minimum(self.blocked, self._taken_hi + used.hi_ns)

    def take(self, cause: str, used: Usage) -> None:
        """A role that worked: its cause gets what of it was not taken yet."""
        lo, hi = self._left(used)
        self._add(cause, lo, self.blocked * self._new(_fraction(used, self.blocked)), hi)
        self._took(used)

    def renderer(self, gpu_cause: str, gpu: Usage, cpu: Usage) -> None:
        """GPU (or rasterizer) and the renderer's threads: one alone, the other alone, both at once."""
        gpu_part, cpu_part = _fraction(gpu, self.blocked), _fraction(cpu, self.blocked)
        union = union_fraction([gpu_part, cpu_part], self._overlap)
        scale = self.blocked * self._new(union) / np.maximum(union, 1e-12)
        gpu_lo, gpu_hi = self._left(gpu)
        cpu_lo, cpu_hi = self._left(cpu)
        both_lo = np.maximum(0.0, gpu_lo + cpu_lo - (self.blocked - self._taken_lo))
        self._add("renderer_both", both_lo, scale * (gpu_part + cpu_part - union), np.minimum(gpu_hi, cpu_hi))
        self._add(gpu_cause, np.maximum(0.0, gpu_lo - cpu_hi), scale * (union - cpu_part), gpu_hi - both_lo)
        self._add("renderer_cpu_only", np.maximum(0.0, cpu_lo - gpu_hi), scale * (union - gpu_part), cpu_hi - both_lo)
        self._took(gpu)
        self._took(cpu)

    def rest(self, blind: bool) -> None:
        """What no worker explains: latency, or unexplained where a worker can't be seen."""
        lo = np.maximum(0.0, self.blocked - self._taken_hi)
        hi = self.blocked - self._taken_lo
        estimate = self.blocked * self._free
        zero = np.zeros(len(lo))
        self._add("idle", lo, zero if blind else estimate, hi)
        if blind:
            self._add("unexplained", zero, estimate, hi)

    def _add(self, cause: str, lo: Array, estimate: Array, hi: Array) -> None:
        lo, hi = np.maximum(0.0, lo), np.maximum(np.maximum(0.0, lo), hi)
        before = self.causes.get(cause)
        if before is None:
            self.causes[cause] = Usage(lo, np.clip(estimate, lo, hi), hi, lo)
        else:  # a second role with the same cause: the parts are exclusive, so they add
            estimate = before.est_ns + np.clip(estimate, lo, hi)
            self.causes[cause] = Usage(before.lo_ns + lo, estimate, before.hi_ns + hi, before.lo_ns + lo)


def whole_ns(causes: dict[str, Usage], blocked_ns: Array) -> dict[str, tuple[Array, ...]]:
    """Whole nanoseconds that add up to the blocked time: estimates moved inside their bounds."""
    names = list(causes)
    lo = np.array([np.floor(causes[name].lo_ns) for name in names])
    hi = np.array([np.minimum(np.ceil(causes[name].hi_ns), blocked_ns) for name in names])
    lo = np.minimum(lo, hi)
    est = np.clip(np.array([causes[name].est_ns for name in names]), lo, hi)
    if "unexplained" in names:  # what clipping left over is not evidence for another cause
        row = names.index("unexplained")
        est[row] = np.clip(est[row] + blocked_ns - est.sum(axis=0), est[row], hi[row])
    guessed = est.any(axis=1, keepdims=True)  # what has no estimate anywhere takes time only if nothing else can
    est = _fit(_fit(est, lo, np.where(guessed, hi, est), blocked_ns), lo, hi, blocked_ns)
    ns = np.floor(est).astype(np.int64)
    left = blocked_ns - ns.sum(axis=0)
    columns = np.arange(ns.shape[1])
    most_room = np.argmax(np.where(guessed, hi - ns, -1), axis=0) if guessed.any() else np.argmax(hi - ns, axis=0)
    ns[most_room, columns] += left
    return {
        name: (ns[row], np.minimum(lo[row].astype(np.int64), ns[row]), np.maximum(hi[row].astype(np.int64), ns[row]))
        for row, name in enumerate(names)
    }


def _fit(est: Array, lo: Array, hi: Array, total: Array) -> Array:
    """Move estimates inside their bounds, in proportion to their room, until they add up to ``total``."""
    missing = total - est.sum(axis=0)
    up, down = hi - est, est - lo
    room_up, room_down = up.sum(axis=0), down.sum(axis=0)
    grow = np.where(missing > 0, np.minimum(1.0, missing / np.maximum(room_up, 1e-9)), 0.0)
    shrink = np.where(missing < 0, np.minimum(1.0, -missing / np.maximum(room_down, 1e-9)), 0.0)
    return np.asarray(est + grow * up - shrink * down)
