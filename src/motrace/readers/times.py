"""Times of a file that can't be: how each kind is called, and which events lie far from all others."""

from __future__ import annotations

from collections import Counter
from enum import Enum

import numpy as np

from ..arrays import Array
from ..cautions import Caution, CautionCode, caution

LATEST_NS = 1 << 62
"""No time or duration is as long: 146 years."""
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
LONGEST_DAYS = 30


class TimeFault(Enum):
    """Why events are set aside."""

    MISSING = CautionCode.TIMES_MISSING
    NEGATIVE = CautionCode.DURATIONS_NEGATIVE
    ZERO = CautionCode.TIMES_ZERO
    FAR = CautionCode.TIMES_FAR_OFF


def set_aside(file: str, faults: Counter[TimeFault]) -> list[Caution]:
    """A warning for each kind."""
    return [caution(fault.value, file=file, count=faults[fault]) for fault in TimeFault if faults[fault]]


def check(start_ns: Array, end_ns: Array) -> tuple[Array, Counter[TimeFault]]:
    """Which events stay, as a mask; and how many don't, and why."""
    negative = end_ns < start_ns
    stays = ~negative
    if stays.any():
        stays[stays] = _near(start_ns[stays], end_ns[stays])
    far = ~stays & ~negative
    zero = far & (start_ns == 0)
    counts = {
        TimeFault.NEGATIVE: negative.sum(), TimeFault.ZERO: zero.sum(), TimeFault.FAR: (far & ~zero).sum()
    }  # fmt: skip
    return stays, Counter({fault: int(count) for fault, count in counts.items()})


def _near(start_ns: Array, end_ns: Array) -> Array:
    """Those that begin near to most, and end not more than a day later than the last of these begins."""
    some = start_ns != 0 if start_ns.any() else np.ones(len(start_ns), bool)
    near = near_most(start_ns, some.astype(np.int64))
    first, last = start_ns[near & some].min(), start_ns[near & some].max()
    near &= end_ns <= last + DAY_NS + 10 * (last - first)
    if first > last - first + np.max(end_ns[near] - start_ns[near], initial=0):  # 0 is not when they began
        near &= start_ns != 0
    return near


def near_most(start_ns: Array, weight: Array) -> Array:
    """Which are near to those of most weight: no gap of an hour, or of ten times their extent, is between."""
    order = np.argsort(start_ns, kind="stable")
    starts = start_ns[order]
    edges = np.concatenate(([0], np.flatnonzero(np.diff(starts) > HOUR_NS) + 1))
    sums = np.add.reduceat(weight[order], edges)
    largest = len(sums) - 1 - int(np.argmax(sums[::-1]))
    ends = np.append(edges[1:], len(starts))
    first, last = int(starts[edges[largest]]), int(starts[ends[largest] - 1])
    margin = max(HOUR_NS, 10 * (last - first))
    return (start_ns >= first - margin) & (start_ns <= last + margin)
