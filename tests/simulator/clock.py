"""The profiler's clock: where it starts, how it drifts, and how its NVTX stamps lag the recorder's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TraceClock:
    """Trace time 0 is ``origin_ns`` on CLOCK_MONOTONIC; it then runs ``drift_ppm`` faster."""

    origin_ns: int
    drift_ppm: float

    def __call__(self, run_ns: Array) -> Array:
        """Trace times of run times, int64 ns."""
        since = np.asarray(run_ns, np.int64) - self.origin_ns
        return since + np.round(since * (self.drift_ppm * 1e-6)).astype(np.int64)


def lags(random: np.random.Generator, mean_ns: int, most: Array) -> Array:
    """How long before (or after) the span's stamp the range's was taken, int64 ns; never more than ``most``.

    Usually about ``mean_ns``; one in a hundred was interrupted between the two.
    """
    if not mean_ns:
        return np.zeros(len(most), np.int64)
    found = mean_ns / 2 + random.exponential(mean_ns / 2, len(most))
    found += np.where(random.random(len(most)) < 0.01, random.exponential(50_000, len(most)), 0)
    return np.minimum(found.astype(np.int64), most)
