"""What samples say of the loop thread, transferred to the time of the unprofiled runs.

Running time is split into interpreter, native code and copies; waiting for the interpreter lock,
for a pipe, or on purpose is separated from other blocked time. Samples give shares with an interval
(``shares.py``), the unprofiled runs' clocks give the time that is shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil

from ..dataset.estimate import Estimate
from ..dataset.times import CauseTime, by_size
from ..vocabulary import EvidenceKind, phase_info
from .shares import ClassShare, blocked, running
from .transfer_causes import cause_time

Counts = Mapping[str, Mapping[str, int]]
"""Samples by phase and class."""

SPLIT = "native_or_python"
EVIDENCE = (EvidenceKind.STACK_SAMPLES,)
Bounds = dict[str, tuple[int, int]]
"""By cause, the least and the most time."""
DONORS = {"gil": ("other_threads", "idle"), "pacing": ("idle",), "pipe": ("idle",)}
"""From which causes what samples name is taken, in this order."""
_CLASSES = {"gil": "gil", "sleeping": "pacing", "pipe": "pipe"}
"""The cause of each class of blocked time that is one."""


def transfer_samples(
    causes: Iterable[CauseTime], counts: Counts, wall_ns: int, queued: Mapping[str, float] | None = None
) -> tuple[CauseTime, ...]:
    """Causes with what samples add; they still add up to the same time.

    Phases without samples stay as they are. ``wall_ns`` is the time of which shares are taken; ``queued``, by phase,
    what ``shares.running`` takes.
    """
    out: list[CauseTime] = []
    for one in causes:
        mine = counts.get(one.phase) if one.cause == SPLIT else None
        split = running(mine, queued=(queued or {}).get(one.phase, 0.0)) if mine else []
        out += _split(one, split, wall_ns) if split and split[0].total else [one]
    for phase in sorted({one.phase for one in out} & set(counts)):
        out = _name(out, phase, blocked(counts[phase]), wall_ns)
    return by_size(out)


def _split(one: CauseTime, shares: list[ClassShare], wall_ns: int) -> list[CauseTime]:
    """Running time, split; the largest class takes what rounding leaves."""
    whole = one.time.ns
    parts = [int(whole * share.share) for share in shares]
    parts[0] += whole - sum(parts)
    return [
        cause_time(one.phase, share.name, EVIDENCE, _around(ns, int(whole * share.lo), ceil(whole * share.hi)), wall_ns)
        for share, ns in zip(shares, parts)
    ]


def _around(ns: int, lo_ns: int, hi_ns: int) -> Estimate:
    """A time, with bounds that are made to hold it."""
    return Estimate(ns, min(lo_ns, ns), max(hi_ns, ns))


def _name(causes: list[CauseTime], phase: str, shares: list[ClassShare], wall_ns: int) -> list[CauseTime]:
    """Blocked time of a phase moved from causes that say little to those that samples name.

    What is named stays inside the bounds that its cause has already; in phases that own their waits only waits for the
    interpreter lock are named. A read's or a write's stack does not say of what: it may be a file's too.
    """
    mine = [one for one in causes if one.phase == phase and one.state == "blocked"]
    total = sum(one.time.ns for one in mine)
    if not total or not any(share.count for share in shares):
        return causes
    times = dict[str, Estimate]()
    for one in mine:
        times[one.cause] = Estimate.total((times.get(one.cause, Estimate.exactly(0)), one.time))
    ns = {cause: time.ns for cause, time in times.items()}
    evidence = {one.cause: one.evidence for one in mine}
    bounds: Bounds = {cause: (time.lo_ns, time.hi_ns) for cause, time in times.items()}
    named: set[str] = set()
    for share in shares:
        cause = _CLASSES.get(share.name, "")
        if not cause or (cause != "gil" and phase_info(phase).owns_waits):
            continue
        own_lo, own_hi = bounds.get(cause, (0, 0))
        may_be_file = cause == "pipe" and bounds.get("io", (0, 0))[1] > 0
        lo, hi = max(own_lo, int(total * share.lo * (not may_be_file))), min(own_hi, ceil(total * share.hi))
        if lo > hi:  # the samples contradict what is known
            lo, hi = own_lo, own_hi
        if may_be_file:
            bounds["io"] = (bounds["io"][0], min(bounds["io"][1], max(ns["io"], hi)))
        wanted = min(max(round(total * share.share), lo), hi) - ns.get(cause, 0)
        for donor in DONORS[cause]:
            part = min(max(0, wanted), ns.get(donor, 0))
            wanted -= part
            ns[cause] = ns.get(cause, 0) + part
            if donor in ns:
                ns[donor] -= part
                bounds[donor] = (max(0, bounds[donor][0] - hi), bounds[donor][1])
        bounds[cause] = (lo, hi)
        named.add(cause)
    return [one for one in causes if one not in mine] + _rows(phase, evidence, ns, bounds, named, wall_ns)


def _rows(
    phase: str,
    evidence: dict[str, tuple[EvidenceKind, ...]],
    ns: dict[str, int],
    bounds: Bounds,
    named: set[str],
    wall: int,
) -> list[CauseTime]:
    """Causes of a phase's blocked time; what is surely named bounds all others."""
    surely, total = sum(bounds[cause][0] for cause in named), sum(ns.values())
    rows = []
    for cause, (lo, hi) in bounds.items():
        known = EVIDENCE if cause in named else evidence[cause]
        most = hi if cause in named else min(hi, total - surely)
        if most > 0 or ns.get(cause, 0):
            rows.append(cause_time(phase, cause, known, _around(ns.get(cause, 0), lo, most), wall))
    return rows
