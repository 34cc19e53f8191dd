"""What samples say of the loop thread, transferred to the time of the unprofiled runs.

Running time is split into interpreter, native code and copies; waiting for the interpreter lock,
for a pipe, or on purpose is separated from other blocked time. Samples give shares with an interval
(``shares.py``), the unprofiled runs' clocks give the time that is shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
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
# Of blocked time: the cause of a class, and from which causes it is taken, in this order. A thread that waits for
# the GIL, or sleeps on purpose, waits for nobody's work, whoever worked meanwhile; a full pipe or a disk does not say
# whose work it waits for, so that a worker keeps what is its own. In a phase that has an owner (the encoder's pipe, a
# loop that polls for the renderer) whatever is not the GIL is the owner's matter.
_REST = "*"
_NAMED = (
    ("gil", "gil", ("other_threads", "idle", _REST)),
    ("sleeping", "pacing", ("idle", "other_threads", _REST)),
    ("pipe", "pipe", ("idle",)),
    ("file", "io", ("idle",)),
)
_SAMPLED = frozenset(cause for _, cause, _ in _NAMED)


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
    """Blocked time of a phase moved from causes that say less to those that samples name.

    A range of which nothing was known (its point is 0) ends where the samples say, and other Python threads' CPU time
    bounds the waits for the interpreter lock. What is surely one cause's is no other's.
    """
    out = list(causes)
    mine = [row for row, one in enumerate(out) if one.phase == phase and one.state == "blocked"]
    total = sum(out[row].time.ns for row in mine)
    owned, surely, named = phase_info(phase).owns_waits, 0, set[str]()
    if not any(share.count for share in shares):
        return out
    for name, cause, donors in _NAMED:
        share = next((share for share in shares if share.name == name), None)
        if share is None or not total or (cause != "gil" and owned):
            continue
        known = sum(out[row].time.ns for row in mine if out[row].cause == cause)  # by better evidence
        wanted, least, most = (round(total * part) - known for part in (share.share, share.lo, share.hi))
        empty = [row for row in mine if out[row].cause == cause and not out[row].time.ns]
        if cause == "gil" and empty:
            cap = sum(out[row].time.hi_ns for row in empty)
            wanted, least, most = (min(part, cap) for part in (wanted, least, most))
        moved = 0
        for row in _donors(out, mine, donors):
            time = out[row].time
            part = max(0, min(time.ns, wanted - moved))
            moved += part
            time = replace(time, ns=time.ns - part, lo_ns=min(time.ns - part, max(0, time.lo_ns - max(0, most))))
            out[row] = replace(out[row], time=time, share=time.ns / wall_ns if wall_ns else 0.0)
        for row in empty:
            left = 0 if moved else max(0, min(out[row].time.hi_ns, most))
            out[row] = cause_time(phase, cause, EVIDENCE, Estimate(0, 0, left), wall_ns)
        if moved:
            bounds = _around(moved, max(0, least), min(most, total))
            out.append(cause_time(phase, cause, EVIDENCE, bounds, wall_ns))
            surely += bounds.lo_ns
            named.add(cause)
    for row in (row for row in mine if out[row].cause not in named):
        time = out[row].time
        out[row] = replace(out[row], time=time.within(time.lo_ns, min(time.hi_ns, total - surely)))
    return [one for one in out if one.time.hi_ns]


def _donors(causes: list[CauseTime], rows: list[int], names: tuple[str, ...]) -> list[int]:
    """The rows from which time is taken, in the order of ``names``; the rest the least certain first."""
    rest = [row for row in rows if causes[row].cause not in (*names, *_SAMPLED)]
    rest.sort(key=lambda row: (causes[row].time.lo_ns - causes[row].time.ns, causes[row].cause))
    named = [row for name in names for row in rows if causes[row].cause == name]
    return named + rest if _REST in names else named
