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
from ..vocabulary import EvidenceKind
from .shares import ClassShare, blocked, running
from .transfer_causes import cause_time

Counts = Mapping[str, Mapping[str, int]]
"""Samples by phase and class."""

SPLIT = "native_or_python"
EVIDENCE = (EvidenceKind.STACK_SAMPLES,)
# Of blocked time: the cause of a class, and from which causes it is taken, in this order.
_NAMED = (
    ("gil", "gil", ("other_threads", "idle")),
    ("sleeping", "pacing", ("idle",)),
    ("pipe", "pipe", ("idle",)),
)


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
    """Blocked time of a phase moved from causes that say little to those that samples name."""
    mine = [row for row, one in enumerate(causes) if one.phase == phase and one.state == "blocked"]
    total = sum(causes[row].time.ns for row in mine)
    out = list(causes)
    for name, cause, donors in _NAMED:
        share = next((share for share in shares if share.name == name), None)
        if share is None or not total:
            continue
        wanted, surely = round(total * share.share), round(total * share.hi)
        moved = 0
        for row in (row for donor in donors for row in mine if causes[row].cause == donor):
            time = out[row].time
            part = min(time.ns, wanted - moved)
            moved += part
            time = replace(time, ns=time.ns - part, lo_ns=max(0, time.lo_ns - surely))
            out[row] = replace(out[row], time=time, share=time.ns / wall_ns if wall_ns else 0.0)
        if moved:
            bounds = _around(moved, int(total * share.lo), min(ceil(total * share.hi), total))
            out.append(cause_time(phase, cause, EVIDENCE, bounds, wall_ns))
    return out
