"""An observer's composition, lent to the time of the quiet runs.

A run under an observer is disturbed, so it gives no times. But who worked while the loop thread was
blocked in a phase is much the same, and better seen. So for each phase the blocked time of the quiet
runs, which their own clocks give exactly, is shared among causes as in the observer's runs: a cause
that had f of the observer's blocked time there, between f_lo and f_hi, gets f of the quiet one.
Where the quiet runs' own CPU clocks give a bound, it holds: what was lent is cut to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..vocabulary import BUCKETS, CAUSES, bucket_of

Json = dict[str, Any]
BLOCKED = "blocked"
LENT = "lent by an observer"


def by_phase(causes: list[Json], state: str) -> dict[str, dict[str, list[int]]]:
    """phase -> cause -> [ns, lo, hi], summed over kinds of evidence."""
    found: dict[str, dict[str, list[int]]] = {}
    for row in causes:
        if row["state"] == state:
            total = found.setdefault(row["phase"], {}).setdefault(row["cause"], [0, 0, 0])
            for index, key in enumerate(("ns", "lo_ns", "hi_ns")):
                total[index] += row[key]
    return found


def compose(quiet: list[Json], observed: list[Json], base_ns: int) -> list[Json]:
    """Rows of causes (as ``cause_totals`` gives them) of the quiet runs, blocked time shared as observed.

    Phases that were not observed keep what the quiet runs' own evidence says. ``base_ns`` is the
    quiet runs' time, of which shares are taken.
    """
    own, seen = by_phase(quiet, BLOCKED), by_phase(observed, BLOCKED)
    lent = {phase: causes for phase, causes in seen.items() if any(total[0] for total in causes.values())}
    rows = [row for row in quiet if row["state"] != BLOCKED or row["phase"] not in lent]
    for phase, causes in own.items():
        if phase not in lent:
            continue
        blocked = sum(total[0] for total in causes.values())
        whole = sum(total[0] for total in lent[phase].values())
        if not blocked:
            rows += [row for row in quiet if row["state"] == BLOCKED and row["phase"] == phase]
            continue
        names = sorted({*causes, *lent[phase]})
        shares = np.array([lent[phase].get(name, [0, 0, 0]) for name in names]) / whole * blocked
        bounds = np.array([causes.get(name, [0, 0, 0]) for name in names], float)
        lo, hi = np.maximum(shares[:, 1], bounds[:, 1]), np.minimum(shares[:, 2], bounds[:, 2])
        apart = lo > hi
        lo, hi = np.where(apart, bounds[:, 1], lo), np.where(apart, bounds[:, 2], hi)
        ns = _sum_to(np.clip(shares[:, 0], lo, hi), lo, hi, blocked)
        for index, name in enumerate(names):
            if hi[index] > 0 or ns[index]:
                rows.append(cause_row(phase, name, LENT, int(ns[index]), int(lo[index]), int(hi[index]), base_ns))
    return sorted(rows, key=lambda row: (-row["ns"], row["phase"], row["cause"]))


def cause_row(phase: str, cause: str, evidence: str, ns: int, lo: int, hi: int, base_ns: int) -> Json:
    """A row of causes; the bounds are made to hold ``ns``, the share is of ``base_ns``."""
    return {
        "phase": phase,
        "state": CAUSES[cause].state,
        "cause": cause,
        "bucket": bucket_of(cause, phase),
        "evidence": evidence,
        "ns": ns,
        "lo_ns": min(lo, ns),
        "hi_ns": max(hi, ns),
        "share": ns / base_ns if base_ns else 0.0,
    }


def _sum_to(values: Any, lo: Any, hi: Any, total: int) -> Any:
    """Whole numbers that add up to ``total``, near ``values`` and inside the bounds as far as these allow."""
    missing = total - values.sum()
    room = hi - values if missing > 0 else values - lo
    if room.sum() > 0:
        values = values + np.sign(missing) * room * min(1.0, abs(missing) / room.sum())
    whole = np.floor(values).astype(np.int64)
    whole[int(np.argmax(values))] += total - int(whole.sum())
    return whole


def buckets_of(causes: list[Json], base_ns: int) -> dict[str, Json]:
    """Buckets of rows of causes: ns, bounds and their shares; a bucket's bounds use the other causes' too."""
    groups: dict[tuple[str, str], list[Json]] = {}
    for row in causes:
        groups.setdefault((row["phase"], row["state"]), []).append(row)
    sums = {bucket: [0, 0, 0] for bucket in BUCKETS}
    unknown = sum(row["ns"] for row in causes if row["state"] == "unknown")
    for rows in groups.values():
        whole = sum(row["ns"] for row in rows)
        for bucket in {row["bucket"] for row in rows}:
            mine = [row for row in rows if row["bucket"] == bucket]
            others = [row for row in rows if row["bucket"] != bucket]
            sums[bucket][0] += sum(row["ns"] for row in mine)
            sums[bucket][1] += max(sum(row["lo_ns"] for row in mine), whole - sum(row["hi_ns"] for row in others))
            sums[bucket][2] += min(sum(row["hi_ns"] for row in mine), whole - sum(row["lo_ns"] for row in others))
    sums["unexplained"][1] = 0
    at_least = sum(lo for _, lo, _ in sums.values())
    for bucket, total in sums.items():
        total[2] = most(bucket, total[2], unknown, base_ns - at_least + total[1])
    return {
        bucket: {
            "ns": ns,
            "lo_ns": lo,
            "hi_ns": hi,
            "share": ns / base_ns if base_ns else 0.0,
            "lo": lo / base_ns if base_ns else 0.0,
            "hi": hi / base_ns if base_ns else 0.0,
        }
        for bucket, (ns, lo, hi) in sums.items()
    }


def most(bucket: str, hi_ns: int, unknown_ns: int, left_ns: int) -> int:
    """A bucket's upper bound: time of which nothing is known may be any bucket's, as far as the others leave it."""
    return hi_ns if bucket == "unexplained" else max(hi_ns, min(hi_ns + unknown_ns, left_ns))
