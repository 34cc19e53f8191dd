"""Statistics of phases, buckets and repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..arrays import Array

MOST_TERMS = 500


@dataclass(frozen=True)
class Distribution:
    """Statistics of a phase's per-frame times, in ns; percentiles interpolate linearly (NumPy's default)."""

    total_ns: int
    mean_ns: int
    p50_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int

    @classmethod
    def of(cls, values_ns: Array) -> Distribution:
        """The distribution of per-frame times; all 0 where there are none."""
        if not len(values_ns):
            return cls(0, 0, 0, 0, 0, 0)
        p50, p95, p99 = (round(float(value)) for value in np.percentile(values_ns, (50, 95, 99)))
        return cls(int(values_ns.sum()), round(float(values_ns.mean())), p50, p95, p99, int(values_ns.max()))


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % confidence interval; ``lo`` and ``hi`` are None with too few repeats."""

    mean: float
    lo: float | None
    hi: float | None
    repeats: tuple[int, ...]


def mean_interval(values: Array) -> Interval:
    """Mean of repeats with Student's t interval at 95 %."""
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, None, None, (count,))
    half = t95(count - 1) * float(np.std(values, ddof=1)) / count**0.5
    return Interval(mean, mean - half, mean + half, (count,))


def difference(new: Array, base: Array) -> Interval:
    """``mean(new) - mean(base)`` with Welch's t interval at 95 % (Welch 1947; unequal variances).

    Needs two repeats of each; with fewer there is no interval.
    """
    mean = float(np.mean(new) - np.mean(base))
    repeats = (len(new), len(base))
    if min(repeats) < 2:
        return Interval(mean, None, None, repeats)
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (new, base)]
    variance = sum(parts)
    if variance == 0.0:
        return Interval(mean, mean, mean, repeats)
    freedom = variance**2 / sum(part**2 / (len(values) - 1) for part, values in zip(parts, (new, base)))
    half = t95(freedom) * variance**0.5
    return Interval(mean, mean - half, mean + half, repeats)


def single_against(new: float, base: Array) -> Interval:
    """``new - mean(base)`` for one run against repeats, with Student's t interval at 95 %.

    A prediction interval (Fisher 1935): the one run is taken to scatter as the repeats do, so the variance
    is theirs, times 1 + 1/n. Needs two repeats.
    """
    count, mean = len(base), float(new - np.mean(base))
    if count < 2:
        return Interval(mean, None, None, (1, count))
    half = t95(count - 1) * float(np.std(base, ddof=1)) * (1 + 1 / count) ** 0.5
    return Interval(mean, mean - half, mean + half, (1, count))


def t95(freedom: float) -> float:
    """The 97.5 % quantile of Student's t distribution, for any number of degrees of freedom above 0.

    P(|T| > t) is the regularised incomplete beta function I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + t^2)
    (DLMF 8.17.1 and 26.5.27 of Abramowitz and Stegun), solved for 5 % by bisection. Here and not from SciPy, whose
    import takes longer than an analysis; a test holds the two together.
    """
    lo, hi = 0.0, 1.0
    while hi - lo > 1e-17 * hi:
        middle = (lo + hi) / 2
        if middle in (lo, hi):
            break
        lo, hi = (middle, hi) if incomplete_beta(freedom / 2, 0.5, middle) < 0.05 else (lo, middle)
    return float((freedom * (1 - lo) / lo) ** 0.5)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) for 0 < x < 1, by its continued fraction (DLMF 8.17.22) and Lentz's method."""
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            c, d = 1 + term / c, 1 / (1 + term * d)
            fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return math.exp(log_front) / a * fraction
