"""Spreads of numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..arrays import Array
from .values import Spread


def spread(values: Array | Iterable[float]) -> Spread | None:
    """Mean, sample standard deviation (0 of a single value), least, largest and count; None of no value."""
    known = np.asarray(values if isinstance(values, np.ndarray) else list(values), np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    std = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return Spread(float(known.mean()), std, float(known.min()), float(known.max()), len(known))
