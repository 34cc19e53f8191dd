"""The fit of a sweep finds the law that made it, its intervals cover it, and it refuses what it can't decide."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motrace.analysis import load
from motrace.dataset.facts import Adapter
from motrace.errors import MotraceError
from motrace.findings.sweep import corners, measure, summarise_sweep
from motrace.statistics.scaling_fit import TERMS, Fit, Observation, dominant, fit_scaling, leave_one_out, point_means
from tests.conftest import ROOT
from tests.reports import said
from tests.statistics.sweeps import ENVS, SIZES, TRUTH, law, measured, observed


def coefficients(fit: Fit) -> dict[str, float]:
    return {term.name: term.value for term in fit.terms}


def test_without_noise_the_law_is_found() -> None:
    fit = fit_scaling(observed(law(TRUTH)))
    assert coefficients(fit) == pytest.approx(TRUTH, rel=1e-6)
    assert fit.r_squared == pytest.approx(1, abs=1e-9)
    assert fit.predicted_ns(8, 800 * 600) == pytest.approx(law(TRUTH)(8, 800 * 600), rel=1e-6)
    assert not any(term.held_at_zero for term in fit.terms)


@pytest.mark.parametrize(
    ("truth", "noise", "repeat"),
    [
        (TRUTH, 0.05, 3),
        (TRUTH, 0.05, 1),
        (TRUTH, 0.2, 3),
        ({**TRUTH, "per_pixel": 0.0}, 0.1, 3),
        ({**TRUTH, "per_pixel": 0.0, "per_env": 0.0}, 0.1, 3),
    ],
)
def test_intervals_cover_the_truth(truth: dict[str, float], noise: float, repeat: int) -> None:
    """In at least 180 of 200 sweeps, each coefficient; 190 are expected, 181 is three standard deviations less."""
    covered = dict.fromkeys(TERMS, 0)
    for seed in range(200):
        fit = fit_scaling(observed(law(truth), noise, repeat, seed))
        for term in fit.terms:
            assert 0 <= term.lo <= term.value <= term.hi
            covered[term.name] += term.lo <= truth[term.name] <= term.hi
    assert min(covered.values()) >= 180, covered


def test_estimates_are_not_biased_by_noise() -> None:
    """Dividing by measured times would favour small ones: with 30 % noise and no repeats by 9 %."""
    totals = [fit_scaling(observed(law(TRUTH), 0.3, 1, seed)).predicted_ns(4, 640 * 360) for seed in range(200)]
    assert np.mean(totals) == pytest.approx(law(TRUTH)(4, 640 * 360), rel=0.03)


def test_intervals_are_narrower_with_less_noise_and_more_repeats() -> None:
    def width(noise: float, repeat: int) -> float:
        fits = [fit_scaling(observed(law(TRUTH), noise, repeat, seed)) for seed in range(20)]
        return float(np.mean([fit.terms[3].hi - fit.terms[3].lo for fit in fits]))

    assert width(0.02, 3) < width(0.1, 3) < width(0.1, 1)


def test_a_cost_is_never_negative() -> None:
    """A law that falls with the size: least squares would say so with a negative term."""
    fit = fit_scaling(observed(lambda envs, pixels: 50e6 + 5e6 * envs - 20 * pixels, 0.01, 3))
    (term,) = [term for term in fit.terms if term.name == "per_pixel"]
    assert term.held_at_zero and term.value == 0 and term.unconstrained < 0
    assert all(term.value >= 0 and term.lo >= 0 for term in fit.terms)


def test_lack_of_fit_is_found_and_widens_the_intervals() -> None:
    curved = law(TRUTH)
    bent = fit_scaling(observed(lambda envs, pixels: curved(envs, pixels) + 2e6 * envs**2, 0.01, 3))
    straight = fit_scaling(observed(curved, 0.01, 3))
    assert bent.lack_of_fit_p is not None and bent.lack_of_fit_p < 1e-6 and "points" in bent.basis
    assert straight.lack_of_fit_p is not None and straight.lack_of_fit_p > 0.05 and "27 runs" in straight.basis
    assert bent.freedom == 9 - sum(not term.held_at_zero for term in bent.terms) and straight.freedom == 27 - 4
    warnings = summarise_sweep(measured(observed(lambda envs, pixels: 1e6 * (envs + pixels / envs), 0.01, 3)))
    assert any("lack of fit" in text for text in said(warnings))


def test_without_repeats_there_is_no_test_for_lack_of_fit_and_a_warning() -> None:
    found = summarise_sweep(measured(observed(law(TRUTH), 0.05)))
    assert found.fits[0].fit is not None and found.fits[0].fit.lack_of_fit_p is None
    assert "no repeats" in found.fits[0].fit.basis
    assert any("1 x 1280x720" in text and "--repeat 2" in text for text in said(found))
    again = summarise_sweep(measured(observed(law(TRUTH), 0.05, 2)))
    assert not any("--repeat" in text for text in said(again))


@pytest.mark.parametrize(
    ("envs", "sizes", "terms"),
    [(ENVS, SIZES[:1], ("fixed", "per_env")), (ENVS[:1], SIZES, ("fixed", "per_pixel"))],
)
def test_one_axis_gives_two_terms(
    envs: tuple[int, ...], sizes: tuple[tuple[int, int], ...], terms: tuple[str, str]
) -> None:
    observations = observed(law(TRUTH), envs=envs, sizes=sizes)
    fit = fit_scaling(observations)
    assert tuple(term.name for term in fit.terms) == terms
    assert fit.predicted_ns(envs[-1], sizes[-1][0] * sizes[-1][1]) == pytest.approx(observations[-1].time_ns, rel=1e-6)
    assert len(corners(observations)) == 2


@pytest.mark.parametrize(
    ("envs", "sizes", "repeat", "message"),
    [
        (ENVS[:1], SIZES[:1], 5, "1 point can't fit 2 terms and the noise; at least 2 points and 3 runs"),
        (ENVS[:2], SIZES[:1], 1, "2 completed runs at 2 points"),
        (ENVS[:2], SIZES[:2], 1, "at least 4 points (2 numbers of environments x 2 sizes) and 5 runs"),
    ],
)
def test_too_few_points_are_refused(
    envs: tuple[int, ...], sizes: tuple[tuple[int, int], ...], repeat: int, message: str
) -> None:
    observations = observed(law(TRUTH), 0.05, repeat, envs=envs, sizes=sizes)
    with pytest.raises(MotraceError) as caught:
        fit_scaling(observations)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    found = summarise_sweep(measured(observations)).fits[0]
    assert found.fit is None and found.unknown == str(caught.value) and found.points


def test_points_on_one_diagonal_are_refused() -> None:
    """As many points as terms, but the terms are not told apart by them."""
    diagonal = [Observation(count, *size, 1e6 * count) for count, size in zip(ENVS, SIZES) for _ in range(3)]
    with pytest.raises(MotraceError, match="can't fit 4 terms"):
        fit_scaling(diagonal)
    with pytest.raises(MotraceError, match="have no duration"):
        fit_scaling(observed(lambda envs, pixels: 0.0))
    with pytest.raises(MotraceError, match="nothing to fit"):
        summarise_sweep([])


def test_the_dominant_term_of_each_corner() -> None:
    fit = fit_scaling(observed(law(TRUTH), 0.01, 3))
    small, large = dominant(fit, 1, 320, 180), dominant(fit, 16, 1280, 720)
    assert (small.term, large.term) == ("fixed", "per_pixel_env") and small.certain and large.certain
    product = TRUTH["per_pixel_env"] * 16 * 1280 * 720
    assert large.share == pytest.approx(product / law(TRUTH)(16, 1280 * 720), rel=0.05)
    assert sum(large.parts_ns) == pytest.approx(large.time_ns)
    assert corners(observed(law(TRUTH))) == [(1, 320, 180), (16, 320, 180), (1, 1280, 720), (16, 1280, 720)]


def test_terms_of_one_size_are_not_certain() -> None:
    even = {"fixed": 20e6, "per_pixel": 0.0, "per_env": 20e6, "per_pixel_env": 0.0}
    assert not dominant(fit_scaling(observed(law(even), 0.1, 3)), 1, 320, 180).certain


def test_points_left_out_are_predicted_where_the_law_holds() -> None:
    right = leave_one_out(observed(law(TRUTH), 0.01, 3))
    wrong = leave_one_out(observed(lambda envs, pixels: 1e6 * envs**2 + 1e3 * pixels**1.5 / envs, 0.01, 3))
    assert len(right) == len(wrong) == 9
    assert max(abs(one.error) for one in right) < 0.1 < max(abs(one.error) for one in wrong)
    assert leave_one_out(observed(law(TRUTH), repeat=2, envs=ENVS[:2], sizes=SIZES[:2])) == []  # none can be spared


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.floats(1e-3, 1e3), st.integers(0, 50))
def test_order_and_unit_do_not_matter(shuffle: random.Random, factor: float, seed: int) -> None:
    observations = observed(law(TRUTH), 0.1, 2, seed)
    other = [Observation(one.num_envs, one.width, one.height, one.time_ns * factor) for one in observations]
    shuffle.shuffle(other)
    for one, two in zip(fit_scaling(observations).terms, fit_scaling(other).terms):
        assert [two.value, two.lo, two.hi] == pytest.approx(
            [one.value * factor, one.lo * factor, one.hi * factor], rel=1e-5, abs=1e-6 * factor
        )
        assert one.held_at_zero == two.held_at_zero


def test_means_of_points_and_their_intervals() -> None:
    means = point_means([Observation(1, 64, 36, 10.0), Observation(1, 64, 36, 14.0), Observation(2, 64, 36, 5.0)])
    count, mean, lo, hi = means[1, 64, 36]
    assert (count, mean) == (2, 12.0)
    assert (lo, hi) == pytest.approx((12 - 12.7062 * 2, 12 + 12.7062 * 2), rel=1e-4)  # t, one degree: 12.7062
    assert means[2, 64, 36] == (1, 5.0, None, None)


def test_what_is_measured_of_a_run() -> None:
    run = next(run for run in load(ROOT / "traces/demo-llvmpipe").report.runs if run.mode == "record")
    capture = run.phase("capture")
    assert capture is not None
    found = measure(run, "x", {"num_envs": 4, "width": 64, "height": 36, "seed": 0})
    assert (found.run, found.num_envs, found.frame_ns) == (f"x/{run.run_id}", 4, run.loop_wall_ns / run.frames)
    assert found.frame_with_drain_ns == run.recording_wall_ns / run.frames and found.capture_ns == capture.time.mean_ns
    plain = measure(replace(run, mode="none", phases=()), "x", {"num_envs": 4, "width": 64, "height": 36})
    assert plain.frame_ns == found.frame_ns and plain.frame_with_drain_ns is None and plain.capture_ns is None


def test_runs_that_do_not_belong_together_are_warned_of() -> None:
    rows = measured(observed(law(TRUTH), 0.5, 3))
    rows[0] = replace(rows[0], adapter=Adapter("llvmpipe", "Cpu"))
    text = " ".join(said(summarise_sweep(rows)))
    assert "different adapters (Some GPU, llvmpipe)" in text and "software adapter" in text
    assert "runs scatter by" in text
