"""Is growth worse than linear? The slope of log time against log environments (or pixels)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import MotraceError
from .intervals import t95

WORSE, NOT_WORSE, OPEN = "worse than linear", "not worse than linear", "not certain"


@dataclass(frozen=True)
class Step:
    """Growth from one count to the next: its slope, and what each unit more costs, ns (``marginal_ns``)."""

    low: float
    high: float
    slope: float
    marginal_ns: float


@dataclass(frozen=True)
class Slope:
    """The slope of log t against log x with its 95 % interval (None with two single runs).

    1 is linear, below 1 a fixed part is shared, above 1 is worse than linear. ``verdict`` compares the interval
    with 1. ``basis`` says what the interval rests on.
    """

    value: float
    lo: float | None
    hi: float | None
    freedom: int
    verdict: str
    basis: str
    steps: tuple[Step, ...]


def loglog_slope(counts: Sequence[float], times_ns: Sequence[float]) -> Slope:
    """Least-squares slope of ln(mean time) against ln(count), over the distinct counts; one pair per run.

        slope = sum_j k_j ln t_j,   k_j = (ln x_j - mean) / sum_i (ln x_i - mean)^2

    With repeats the interval is that of this sum under the runs' own noise (pooled over the counts; Student's t,
    runs - counts degrees of freedom): it needs no straight line. Without, the residuals around the line stand in
    (counts - 2 degrees of freedom). Raises MotraceError with fewer than two counts or times that are not positive.
    """
    xs, ys = np.array(counts, float), np.array(times_ns, float)
    distinct = np.unique(xs)
    if len(distinct) < 2:
        raise MotraceError("no slope: there is one value; at least 2 are needed")
    if not ((xs > 0).all() and (ys > 0).all()):
        raise MotraceError("no slope: counts and times must be more than 0")
    groups = [np.log(ys[xs == x]) for x in distinct]
    logs = np.array([group.mean() for group in groups])
    centred = np.log(distinct) - np.log(distinct).mean()
    weights = centred / (centred @ centred)
    value = float(weights @ logs)
    sizes = np.array([len(group) for group in groups])
    freedom = int(sizes.sum()) - len(distinct)
    if freedom > 0:
        noise = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom
        error, basis = float(np.sqrt(noise * (weights**2 / sizes).sum())), f"repeats (t, {freedom})"
    else:
        freedom = len(distinct) - 2
        residuals = logs - logs.mean() - value * centred
        error = float(np.sqrt(residuals @ residuals / freedom / (centred @ centred))) if freedom else 0.0
        basis = f"{len(distinct)} single runs around the line (t, {freedom})" if freedom else "two single runs: none"
    means = np.array([ys[xs == x].mean() for x in distinct])
    steps = tuple(
        Step(float(a), float(b), float(np.log(v / u) / np.log(b / a)), float((v - u) / (b - a)))
        for (a, u), (b, v) in pairwise(zip(distinct, means))
    )
    if not freedom:
        return Slope(value, None, None, 0, OPEN, basis, steps)
    half = t95(freedom) * error
    return Slope(value, value - half, value + half, freedom, _verdict(value - half, value + half), basis, steps)


def _verdict(lo: float, hi: float) -> str:
    return WORSE if lo > 1 else NOT_WORSE if hi <= 1 else OPEN
