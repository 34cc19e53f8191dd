"""How the time of a frame grows with environments and pixels: a fit of four terms over the runs of a sweep.

    t = fixed + per_pixel P + per_env E + per_pixel_env P E        t in ns, P = width x height, E environments

The unit is the run (one mean per run: frames of one run are not independent). Noise is taken to be
proportional to the time: residuals are (measured - fitted) / fitted, so each run weighs 1 / fitted^2,
which is iterated (the quasi-likelihood of the gamma family; McCullagh and Nelder 1989, chapter 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..arrays import Array
from ..errors import MotraceError
from .intervals import mean_interval, t95

TERMS = ("fixed", "per_pixel", "per_env", "per_pixel_env")
ITERATIONS = 50
SIGNIFICANT = 0.05
"""Level of the F test for lack of fit."""


@dataclass(frozen=True)
class Observation:
    """One run: how long a frame (or a phase of it) took on average, at a point of the grid."""

    num_envs: int
    width: int
    height: int
    time_ns: float

    @property
    def point(self) -> tuple[int, int, int]:
        """(environments, width, height)."""
        return self.num_envs, self.width, self.height

    @property
    def pixels(self) -> int:
        """Pixels of the picture."""
        return self.width * self.height


@dataclass(frozen=True)
class Term:
    """A coefficient with its 95 % interval: ns (fixed), ns/pixel, ns/environment, ns/(pixel x environment).

    ``held_at_zero``: least squares without the bound gives ``unconstrained``, with a term below 0, which no cost is.
    """

    name: str
    value: float
    lo: float
    hi: float
    unconstrained: float
    held_at_zero: bool


@dataclass(frozen=True)
class FitSummary:
    """A fit over ``runs`` runs at ``points`` points. Residuals are (measured - fitted) / fitted.

    ``freedom``: degrees of freedom of the terms' variance; ``lack_of_fit_p`` None where no repeats or no spare points
    tell.
    """

    terms: tuple[Term, ...]
    runs: int
    points: int
    r_squared: float
    residual_sd: float
    freedom: int
    lack_of_fit_p: float | None
    basis: str

    def predicted_ns(self, num_envs: float, pixels: float) -> float:
        """The fitted time at a point, ns."""
        return float(sum(self.parts_ns(num_envs, pixels)))

    def parts_ns(self, num_envs: float, pixels: float) -> list[float]:
        """What each term contributes at a point, ns, in the order of ``terms``."""
        row = design([(num_envs, pixels)], [term.name for term in self.terms])[0]
        return [float(factor) * term.value for factor, term in zip(row, self.terms)]


@dataclass(frozen=True)
class Fit(FitSummary):
    """``covariance`` is of the terms in their order, 0 for those held at zero."""

    covariance: Array

    @property
    def summary(self) -> FitSummary:
        """Without the covariance."""
        return FitSummary(**{one.name: getattr(self, one.name) for one in fields(FitSummary)})


@dataclass(frozen=True)
class Dominant:
    """The largest term at a point, its share of the time, and whether it is the largest beyond doubt.

    ``certain``: the 95 % interval of its difference to the runner-up lies above 0.
    """

    num_envs: int
    width: int
    height: int
    time_ns: float
    parts_ns: tuple[float, ...]
    term: str
    share: float
    certain: bool


@dataclass(frozen=True)
class LeftOut:
    """A point as the fit over all other points predicts it; ``error`` is (predicted - measured) / measured."""

    num_envs: int
    width: int
    height: int
    measured_ns: float
    predicted_ns: float
    error: float


def design(places: Sequence[tuple[float, float]] | Array, terms: Sequence[str]) -> Array:
    """The factor of each term at each (environments, pixels); shape (places, terms)."""
    envs, pixels = np.array(places, float).reshape(-1, 2).T
    columns = {"fixed": np.ones_like(envs), "per_pixel": pixels, "per_env": envs, "per_pixel_env": pixels * envs}
    return np.stack([columns[name] for name in terms], axis=1)


def fit_scaling(observations: Sequence[Observation]) -> Fit:
    """Relative least squares with coefficients >= 0, and 95 % intervals from Student's t.

    The intervals' variance is that of the runs around the fit (runs - terms degrees of freedom), or, where
    the F test finds that the four terms do not describe the points (p < 0.05), that of the points around it.
    Where a term is held at zero, the intervals span the fits with and without it; all are cut off at 0.
    With one size, or one number of environments, only two terms can be separated, and only those are fitted.
    Raises MotraceError where there are too few points.
    """
    terms = identifiable(observations)
    places = [(one.num_envs, one.pixels) for one in observations]
    factors, times = design(places, terms), np.array([one.time_ns for one in observations])
    scale = _scale(factors, times)
    matrix, target = factors / scale[:, None], times / scale
    free = _solve(matrix, target)
    positive = _solve_non_negative(matrix, target)
    held = positive <= 0
    kept = [index for index in range(len(terms)) if not held[index]]
    final = np.zeros(len(terms))
    final[kept] = _solve(matrix[:, kept], target)
    spread = _Spread.of(observations, target - matrix @ final, len(kept))
    wide = _Spread.of(observations, target - matrix @ free, len(terms))
    covariance = np.zeros((len(terms), len(terms)))
    covariance[np.ix_(kept, kept)] = spread.variance * np.linalg.inv(matrix[:, kept].T @ matrix[:, kept])
    half = t95(spread.freedom) * np.sqrt(np.diag(covariance))
    half_free = t95(wide.freedom) * np.sqrt(wide.variance * np.diag(np.linalg.inv(matrix.T @ matrix)))
    lo, hi = final - half, final + half
    if held.any():
        lo, hi = np.minimum(lo, free - half_free), np.maximum(hi, free + half_free)
    residuals, around = target - matrix @ final, target - np.average(times, weights=scale**-2) / scale
    rows = zip(*(column.tolist() for column in (final, np.maximum(lo, 0), np.maximum(hi, 0), free, held)))
    return Fit(
        tuple(Term(name, *row) for name, row in zip(terms, rows)),
        len(observations),
        len({one.point for one in observations}),
        1 - float(residuals @ residuals) / float(around @ around) if around.any() else 1.0,
        float(np.sqrt(residuals @ residuals / (len(observations) - len(kept)))),
        spread.freedom,
        spread.lack_of_fit_p,
        spread.basis,
        covariance,
    )


def identifiable(observations: Sequence[Observation]) -> tuple[str, ...]:
    """The terms that these points can separate. Raises MotraceError where there are too few points or runs."""
    envs = {one.num_envs for one in observations}
    pixels = {one.pixels for one in observations}
    points = {(one.num_envs, one.pixels) for one in observations}
    both = len(envs) > 1 and len(pixels) > 1
    terms = TERMS if both else ("fixed", "per_env" if len(envs) > 1 else "per_pixel")
    need = "4 points (2 numbers of environments x 2 sizes)" if both else "2 points"
    shares = np.array(sorted(points), float).reshape(-1, 2) / (max(envs, default=1), max(pixels, default=1))
    rank = int(np.linalg.matrix_rank(design(shares, terms)))
    if rank < len(terms) or len(observations) <= len(terms):
        raise MotraceError(
            f"no fit: {len(observations)} completed runs at {len(points)} point{'s' * (len(points) != 1)} can't fit "
            f"{len(terms)} terms and the noise; at least {need} and {len(terms) + 1} runs are needed: "
            "add values to --num-envs or --size, or use --repeat 2"
        )
    return terms


def dominant(fit: Fit, num_envs: int, width: int, height: int) -> Dominant:
    """Which term is the largest part of the fitted time at a point."""
    factors = design([(num_envs, width * height)], [term.name for term in fit.terms])[0]
    parts = factors * np.array([term.value for term in fit.terms])
    first, second = (int(index) for index in np.argsort(-parts, kind="stable")[:2])
    contrast = np.zeros(len(parts))
    contrast[first], contrast[second] = factors[first], -factors[second]
    half = t95(fit.freedom) * max(0.0, float(contrast @ fit.covariance @ contrast)) ** 0.5
    total = float(parts.sum())
    name, share = fit.terms[first].name, float(parts[first]) / total if total else 0.0
    certain = bool(parts[first] - parts[second] > half)
    return Dominant(num_envs, width, height, total, tuple(float(part) for part in parts), name, share, certain)


def leave_one_out(observations: Sequence[Observation]) -> list[LeftOut]:
    """Each point predicted from all others (all its runs are left out); points that the rest needs are passed over."""
    found = []
    for point in sorted({one.point for one in observations}):
        rest = [one for one in observations if one.point != point]
        own = [one for one in observations if one.point == point]
        try:
            same = identifiable(rest) == identifiable(observations)
        except MotraceError:
            same = False
        if same:
            measured = float(np.mean([one.time_ns for one in own]))
            predicted = fit_scaling(rest).predicted_ns(own[0].num_envs, own[0].pixels)
            found.append(LeftOut(*point, measured, predicted, predicted / measured - 1))
    return found


def point_means(
    observations: Sequence[Observation],
) -> dict[tuple[int, int, int], tuple[int, float, float | None, float | None]]:
    """Per point: runs, mean time in ns, and the 95 % interval of the mean (None with one run)."""
    groups: dict[tuple[int, int, int], list[float]] = {}
    for one in observations:
        groups.setdefault(one.point, []).append(one.time_ns)
    intervals = {point: mean_interval(np.array(groups[point])) for point in sorted(groups)}
    return {point: (len(groups[point]), one.mean, one.lo, one.hi) for point, one in intervals.items()}


def _scale(factors: Array, times: Array) -> Array:
    """By what each run's residual is divided: its fitted time, ns. Raises MotraceError for times of 0."""
    if not (times > 0).all():
        raise MotraceError("no fit: a run's frames have no duration; record it again")
    scale = times
    for _ in range(ITERATIONS):
        before, scale = scale, factors @ _solve_non_negative(factors / scale[:, None], times / scale)
        if np.allclose(before, scale, rtol=1e-9, atol=0):
            break
    return scale


def _solve(matrix: Array, target: Array) -> Array:
    """Least squares; columns are brought to one size first, as pixels and environments differ by 10^5."""
    size = np.linalg.norm(matrix, axis=0)
    solution: Array = np.linalg.lstsq(matrix / size, target, rcond=None)[0] / size
    return solution


def _solve_non_negative(matrix: Array, target: Array) -> Array:
    """Least squares with coefficients >= 0 (Lawson and Hanson 1974)."""
    from scipy.optimize import nnls  # slow to import

    size = np.linalg.norm(matrix, axis=0)
    solution: Array = nnls(matrix / size, target)[0] / size
    return solution


@dataclass(frozen=True)
class _Spread:
    """The variance of relative residuals that intervals rest on."""

    variance: float
    freedom: int
    lack_of_fit_p: float | None
    basis: str

    @classmethod
    def of(cls, observations: Sequence[Observation], residuals: Array, terms: int) -> _Spread:
        """Of residuals, split into that of repeats around their point's mean and that of the means around the fit."""
        groups: dict[tuple[int, int, int], list[float]] = {}
        for one, residual in zip(observations, residuals):
            groups.setdefault(one.point, []).append(float(residual))
        total = float(residuals @ residuals)
        between = sum(len(values) * float(np.mean(values)) ** 2 for values in groups.values())
        pure, of_points = total - between, len(groups) - terms
        of_repeats, freedom = len(observations) - len(groups), len(observations) - terms
        p = None
        if of_repeats > 0 and of_points > 0 and pure > 1e-12 * total:
            from scipy.special import fdtrc

            p = float(fdtrc(of_points, of_repeats, between / of_points / (pure / of_repeats)))
        if p is not None and p < SIGNIFICANT:
            return cls(between / of_points, of_points, p, f"the {len(groups)} points around the fit (t, {of_points})")
        what = "runs around the fit" if of_repeats else "single runs around the fit, which have no repeats"
        return cls(total / freedom, freedom, p, f"the {len(observations)} {what} (t, {freedom})")
