"""The slope of log time against log environments, and its comparison with 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motrace.errors import MotraceError
from motrace.statistics.scaling_slope import NOT_WORSE, OPEN, WORSE, loglog_slope

MOTRIXLAB_37_S = {1: 0.06, 4: 0.42, 16: 2.0}
"""Seconds per frame at 1, 4, 16 environments (MotrixLab issue 37)."""


def test_motrixlab_37() -> None:
    """At equal steps of the logarithm the slope is that from the first to the last: ln(2 / 0.06) / ln 16 = 1.265."""
    slope = loglog_slope(list(MOTRIXLAB_37_S), [seconds * 1e9 for seconds in MOTRIXLAB_37_S.values()])
    assert slope.value == pytest.approx(math.log(2.0 / 0.06) / math.log(16)) == pytest.approx(1.2647, abs=1e-4)
    assert [step.slope for step in slope.steps] == pytest.approx([1.4037, 1.1258], abs=1e-4)
    assert [step.marginal_ns for step in slope.steps] == pytest.approx([0.12e9, 1.58e9 / 12])
    assert slope.freedom == 1 and slope.lo is not None and slope.lo < 1 < slope.value
    assert slope.verdict == OPEN  # three single numbers: t with one degree of freedom is 12.7


def test_motrixlab_37_repeated() -> None:
    """Had each been measured three times to 3 %, the growth would have been worse than linear beyond doubt."""
    rng = np.random.default_rng(0)
    pairs = [(count, s * 1e9 * float(np.exp(rng.normal(0, 0.03)))) for count, s in MOTRIXLAB_37_S.items()] * 1
    pairs += [(count, s * 1e9 * float(np.exp(rng.normal(0, 0.03)))) for count, s in MOTRIXLAB_37_S.items()]
    pairs += [(count, s * 1e9 * float(np.exp(rng.normal(0, 0.03)))) for count, s in MOTRIXLAB_37_S.items()]
    slope = loglog_slope(*zip(*pairs))
    assert slope.verdict == WORSE and slope.freedom == 6 and slope.basis == "repeats (t, 6)"
    assert slope.lo is not None and 1.2 < slope.lo < slope.value < 1.33


@given(st.floats(0.1, 3.0), st.floats(1.0, 1e9), st.lists(st.integers(1, 1000), min_size=2, unique=True))
def test_a_power_law_is_found(exponent: float, factor: float, counts: list[int]) -> None:
    slope = loglog_slope(counts, [factor * count**exponent for count in counts])
    assert slope.value == pytest.approx(exponent, rel=1e-6)
    assert all(step.slope == pytest.approx(exponent, rel=1e-4) for step in slope.steps)
    assert (slope.lo is None) == (len(counts) == 2)


def test_a_fixed_part_makes_it_less_than_linear() -> None:
    slope = loglog_slope([1, 4, 16] * 2, [20e6 + 5e6 * count for count in (1, 4, 16)] * 2)
    assert slope.verdict == NOT_WORSE and slope.value < 1
    assert [step.marginal_ns for step in slope.steps] == pytest.approx([5e6, 5e6])


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.5])
def test_its_interval_covers_the_truth(exponent: float) -> None:
    rng = np.random.default_rng(3)
    counts = [1, 4, 16] * 3
    covered = 0
    for _ in range(200):
        slope = loglog_slope(counts, [1e6 * count**exponent * float(np.exp(rng.normal(0, 0.1))) for count in counts])
        assert slope.lo is not None and slope.hi is not None
        covered += slope.lo <= exponent <= slope.hi
    assert covered >= 180


@pytest.mark.parametrize(
    ("counts", "times", "message"),
    [([4, 4], [1.0, 2.0], "at least 2"), ([1, 2], [1.0, 0.0], "more than 0"), ([0, 2], [1.0, 1.0], "more than 0")],
)
def test_what_has_no_slope(counts: list[int], times: list[float], message: str) -> None:
    with pytest.raises(MotraceError, match=message):
        loglog_slope(counts, times)
