"""What samples say of the loop thread, lent to the time of the quiet runs.

Running time is split into interpreter, native code and copies; waiting for the interpreter lock,
for a pipe, or on purpose is told from other blocked time. Samples give shares with an interval
(``composition.py``), the quiet runs' clocks give the time that is shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from .shares import Share, blocked, running
from .transfer_causes import cause_row

Json = dict[str, Any]
Counts = Mapping[str, Mapping[str, int]]

SPLIT = "native_or_python"
EVIDENCE = "samples of stacks"
# Of blocked time: the cause of a class, and from which causes it is taken, in this order.
_NAMED = (
    ("gil", "gil", ("other_threads", "nobody")),
    ("sleeping", "pacing", ("nobody",)),
    ("pipe", "io", ("nobody",)),
)


def lend_samples(
    rows: list[Json], counts: Counts, base_ns: int, queued: Mapping[str, float] | None = None
) -> list[Json]:
    """Rows of causes with what samples add; they still add up to the same time.

    ``counts``: samples by phase and class. Phases without samples stay as they are. ``base_ns`` is
    the time of which shares are taken; ``queued``, by phase, what ``composition.running`` takes.
    """
    out: list[Json] = []
    for row in rows:
        mine = counts.get(row["phase"]) if row["cause"] == SPLIT else None
        split = running(mine, queued=(queued or {}).get(row["phase"], 0.0)) if mine else []
        if split and split[0].total:
            out += _split(row, split, base_ns)
        else:
            out.append(dict(row))  # it may be changed below, and is somebody else's
    for phase in sorted({row["phase"] for row in rows} & set(counts)):
        _name(out, phase, blocked(counts[phase]), base_ns)
    return sorted(out, key=lambda row: (-row["ns"], row["phase"], row["cause"]))


def _split(row: Json, shares: list[Share], base_ns: int) -> list[Json]:
    """A row of running time, split; the largest class takes what rounding leaves."""
    parts = [int(row["ns"] * share.share) for share in shares]
    parts[0] += row["ns"] - sum(parts)
    return [
        cause_row(
            row["phase"],
            share.name,
            EVIDENCE,
            ns,
            int(row["ns"] * share.lo),
            ceil(row["ns"] * share.hi),
            base_ns,
        )
        for share, ns in zip(shares, parts)
    ]


def _name(rows: list[Json], phase: str, shares: list[Share], base_ns: int) -> None:
    """Move blocked time from causes that say little to those that samples name, in place."""
    mine = [row for row in rows if row["phase"] == phase and row["state"] == "blocked"]
    total = sum(row["ns"] for row in mine)
    for name, cause, donors in _NAMED:
        share = next((share for share in shares if share.name == name), None)
        if share is None or not total:
            continue
        wanted = round(total * share.share)
        moved = 0
        for donor in (row for kind in donors for row in mine if row["cause"] == kind):
            part = min(donor["ns"], wanted - moved)
            moved += part
            donor["ns"] -= part
            donor["lo_ns"] = max(0, donor["lo_ns"] - round(total * share.hi))
            donor["share"] = donor["ns"] / base_ns if base_ns else 0.0
        if moved:
            lo, hi = int(total * share.lo), ceil(total * share.hi)
            rows.append(cause_row(phase, cause, EVIDENCE, moved, lo, min(hi, total), base_ns))
