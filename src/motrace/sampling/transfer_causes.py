"""The composition that profiled runs saw, transferred to the time of the unprofiled runs.

A profiled run is disturbed, so it gives no times. But who worked while the loop thread was blocked in a phase is much
the same, and better seen. So for each phase the blocked time of the unprofiled runs, which their own clocks give
exactly, is shared among causes as in the profiled runs: a cause that had f of the blocked time there, between f_lo and
f_hi, gets f of the unprofiled one; SYSTEMATIC more or less, as one run is not the other. Where the unprofiled runs' own
CPU clocks give a bound, it holds: what was transferred is cut to it. What is cut off goes where these runs' own
evidence puts it, and widens every range of the phase: by so much at least the runs differ.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..arrays import Array
from ..dataset.estimate import Estimate
from ..dataset.times import CauseTime, by_size
from ..vocabulary import CAUSES, EvidenceKind, bucket_of, interval_kind
from .shares import SYSTEMATIC

BLOCKED = "blocked"
TRANSFERRED = (EvidenceKind.TRANSFERRED,)
NOTHING = Estimate.exactly(0)


def blocked_by_phase(causes: Iterable[CauseTime]) -> dict[str, dict[str, Estimate]]:
    """phase -> cause -> blocked time, summed over kinds of evidence."""
    sums: dict[str, dict[str, Estimate]] = {}
    for one in causes:
        if one.state == BLOCKED:
            mine = sums.setdefault(one.phase, {})
            mine[one.cause] = Estimate.total((mine.get(one.cause, NOTHING), one.time))
    return sums


def transfer_causes(
    unprofiled: Iterable[CauseTime], profiled: Iterable[CauseTime], wall_ns: int
) -> tuple[CauseTime, ...]:
    """Causes of the unprofiled runs, blocked time shared as in the profiled ones.

    Phases that the profiled runs did not see keep what the unprofiled runs' own evidence says. ``wall_ns`` is the
    unprofiled runs' time, of which shares are taken.
    """
    own, seen = blocked_by_phase(unprofiled), blocked_by_phase(profiled)
    shared = {
        phase
        for phase in own.keys() & seen.keys()
        if any(time.ns for time in seen[phase].values()) and any(time.ns for time in own[phase].values())
    }
    rows = [one for one in unprofiled if one.state != BLOCKED or one.phase not in shared]
    rows += [
        cause_time(phase, cause, TRANSFERRED, time, wall_ns)
        for phase in own
        if phase in shared
        for cause, time in _share_out(own[phase], seen[phase]).items()
    ]
    return by_size(rows)


def _share_out(own: dict[str, Estimate], seen: dict[str, Estimate]) -> dict[str, Estimate]:
    """The blocked time of ``own``, by the shares of ``seen``, inside the bounds of ``own``."""
    blocked, whole = (sum(time.ns for time in side.values()) for side in (own, seen))
    names = sorted({*own, *seen})
    shares = _columns(seen, names) / whole * blocked
    bounds = _columns(own, names).astype(float)
    cut = np.abs(np.clip(shares[:, 0], bounds[:, 1], bounds[:, 2]) - shares[:, 0]).sum()
    margin = SYSTEMATIC * blocked + cut
    lo, hi = np.maximum(shares[:, 1] - margin, bounds[:, 1]), np.minimum(shares[:, 2] + margin, bounds[:, 2])
    apart = lo > hi
    lo, hi = np.where(apart, bounds[:, 1], lo), np.where(apart, bounds[:, 2], hi)
    ns = _sum_to(_towards(bounds[:, 0], np.clip(shares[:, 0], lo, hi), lo, hi, blocked), lo, hi, blocked)
    return {
        name: Estimate(int(ns[row]), min(int(lo[row]), int(ns[row])), max(int(hi[row]), int(ns[row])))
        for row, name in enumerate(names)
        if hi[row] > 0 or ns[row]
    }


def _columns(times: dict[str, Estimate], names: list[str]) -> Array:
    found = (times.get(name, NOTHING) for name in names)
    return np.array([(time.ns, time.lo_ns, time.hi_ns) for time in found])


def cause_time(phase: str, cause: str, evidence: tuple[EvidenceKind, ...], time: Estimate, wall_ns: int) -> CauseTime:
    """Time of a cause; its share is of ``wall_ns``."""
    share = time.ns / wall_ns if wall_ns else 0.0
    return CauseTime(
        phase, CAUSES[cause].state, cause, bucket_of(cause, phase), evidence, time, share, interval_kind(evidence)
    )


def _towards(wanted: Array, values: Array, lo: Array, hi: Array, total: int) -> Array:
    """``values`` moved towards ``wanted``, inside the bounds, until they add up to ``total`` or are there."""
    missing = total - values.sum()
    ways = np.clip(np.clip(wanted, lo, hi) - values, min(0.0, missing), max(0.0, missing))
    moved: Array = values + ways * min(1.0, abs(missing) / max(1.0, abs(ways.sum())))
    return moved


def _sum_to(values: Array, lo: Array, hi: Array, total: int) -> Array:
    """Whole numbers that add up to ``total``, near ``values`` and inside the bounds as far as these allow."""
    missing = total - values.sum()
    room = hi - values if missing > 0 else values - lo
    if room.sum() > 0:
        values = values + np.sign(missing) * room * min(1.0, abs(missing) / room.sum())
    whole: Array = np.floor(values).astype(np.int64)
    whole[int(np.argmax(values))] += total - int(whole.sum())
    return whole
