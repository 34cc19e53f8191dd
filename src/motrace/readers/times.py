"""Times of a file that can't be: how each kind is called, and which events lie far from all others."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any

import numpy as np

from ..cautions import Caution, CautionCode, caution

Array = np.ndarray[Any, Any]
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
    """Those near to most: no gap of an hour or of ten times their extent is between, and none lasts a day longer."""
    starts = np.sort(start_ns[start_ns != 0]) if start_ns.any() else start_ns
    edges = np.concatenate(([0], np.flatnonzero(np.diff(starts) > HOUR_NS) + 1, [len(starts)]))
    largest = len(edges) - 2 - int(np.argmax(np.diff(edges)[::-1]))
    first, last = int(starts[edges[largest]]), int(starts[edges[largest + 1] - 1])
    margin = max(HOUR_NS, 10 * (last - first))
    near = (start_ns >= first - margin) & (start_ns <= last + margin) & (end_ns <= last + DAY_NS + margin)
    if first > last - first + np.max(end_ns[near] - start_ns[near], initial=0):  # 0 is not when they began
        near &= start_ns != 0
    return near
