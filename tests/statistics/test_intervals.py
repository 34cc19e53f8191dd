"""Statistics against SciPy's and NumPy's own, and against cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.special import stdtrit

from motrace.statistics.intervals import Distribution, difference, mean_interval, single_against, t95

values = st.lists(st.floats(1.0, 1e9), min_size=2, max_size=8).filter(lambda found: np.std(found) > 1e-3)


@given(values, values)
def test_a_difference_has_welchs_interval(new: list[float], base: list[float]) -> None:
    found = difference(np.array(new), np.array(base))
    expected = scipy_stats.ttest_ind(new, base, equal_var=False).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(new) - np.mean(base))
    assert found.repeats == (len(new), len(base))
    assert found.lo == pytest.approx(expected.low, rel=1e-6, abs=1e-3)
    assert found.hi == pytest.approx(expected.high, rel=1e-6, abs=1e-3)


@given(values)
def test_a_mean_has_students_interval(repeats: list[float]) -> None:
    found = mean_interval(np.array(repeats))
    expected = scipy_stats.ttest_1samp(repeats, 0.0).confidence_interval(0.95)
    assert (found.lo, found.hi) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-3)


def test_one_repeat_has_no_interval() -> None:
    one = difference(np.array([3.0]), np.array([1.0, 2.0]))
    assert (one.mean, one.lo, one.hi) == (1.5, None, None)
    assert mean_interval(np.array([3.0])).lo is None
    same = difference(np.array([3.0, 3.0]), np.array([1.0, 1.0]))
    assert (same.mean, same.lo, same.hi) == (2.0, 2.0, 2.0)


def test_one_run_against_repeats_is_covered_as_often_as_it_says() -> None:
    """One run drawn as the repeats are, 0.5 above them: the interval covers 0.5 in 95 % of trials."""
    rng = np.random.default_rng(7)
    drawn = rng.normal(10.0, 1.0, (3000, 4))
    found = [single_against(new + 0.5, base) for new, *base in drawn]
    covered = np.mean([one.lo <= 0.5 <= one.hi for one in found if one.lo is not None and one.hi is not None])
    assert 0.935 < covered < 0.965
    alone = single_against(3.0, np.array([1.0]))
    assert (alone.mean, alone.lo, alone.hi, alone.repeats) == (2.0, None, None, (1, 1))


def test_percentiles_are_those_of_the_frames() -> None:
    found = Distribution.of(np.arange(101, dtype=np.int64) * 10)
    assert found == Distribution(total_ns=50_500, mean_ns=500, p50_ns=500, p95_ns=950, p99_ns=990, max_ns=1000)
    assert Distribution.of(np.empty(0, np.int64)) == Distribution(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("freedom", [0.8, 1, 1.0001, 1.5, 2, 2.7, 3, 5.5, 10, 30, 100.3, 1e4])
def test_the_quantile_of_student_is_that_of_scipy(freedom: float) -> None:
    assert t95(freedom) == pytest.approx(float(stdtrit(freedom, 0.975)), rel=1e-11)
