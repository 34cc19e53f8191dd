"""What observers lend to quiet runs: sums stay exact, bounds hold, what is refused is not lent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motrace.findings.profiler_overhead import observer_of, observers_cost
from motrace.findings.run_groups import _composed
from motrace.sampling.shares import queued_shares, running
from motrace.sampling.transfer_causes import buckets_of, compose
from motrace.sampling.transfer_samples import lend_samples
from motrace.vocabulary import CAUSES, bucket_of

Json = dict[str, Any]
BLOCKED_CAUSES = sorted(name for name, cause in CAUSES.items() if cause.state == "blocked")
CLASSES = ("interpreter", "copying", "native:libtorch", "gil", "sleeping", "pipe", "wait", "native_pool_with_gil")


def row(phase: str, cause: str, ns: int, lo: int, hi: int) -> Json:
    return {
        "phase": phase, "state": CAUSES[cause].state, "cause": cause, "bucket": bucket_of(cause, phase),
        "evidence": "cpu counters", "ns": ns, "lo_ns": lo, "hi_ns": hi, "share": 0.0,
    }  # fmt: skip


@st.composite
def causes(draw: st.DrawFn) -> list[Json]:
    """Rows of causes of some phases."""
    rows = []
    for phase in draw(st.lists(st.sampled_from(("policy", "step", "wait", "encode.write")), unique=True, min_size=1)):
        ran = draw(st.integers(0, 10**9))
        rows.append(row(phase, "native_or_python", ran, ran, ran))
        for cause in draw(st.lists(st.sampled_from(BLOCKED_CAUSES), unique=True, max_size=5)):
            ns = draw(st.integers(0, 10**9))
            below, above = draw(st.floats(0, 1)), draw(st.integers(0, 10**9))
            rows.append(row(phase, cause, ns, int(ns * below), ns + above))
    return rows


def total(rows: list[Json], *keys: str) -> dict[tuple[str, ...], int]:
    sums: dict[tuple[str, ...], int] = {}
    for one in rows:
        key = tuple(one[name] for name in keys)
        sums[key] = sums.get(key, 0) + one["ns"]
    return {key: ns for key, ns in sums.items() if ns}


@given(causes(), causes())
def test_composing_keeps_every_phase_and_state(quiet: list[Json], observed: list[Json]) -> None:
    rows = compose(quiet, observed, 10**9)
    assert total(rows, "phase", "state") == total(quiet, "phase", "state")
    for one in rows:
        assert 0 <= one["lo_ns"] <= one["ns"] <= one["hi_ns"]


def test_the_observed_shares_are_taken_inside_the_quiet_bounds() -> None:
    quiet = [row("wait", "raster", 500, 100, 900), row("wait", "nobody", 500, 100, 900)]
    observed = [row("wait", "raster", 80, 80, 80), row("wait", "nobody", 20, 20, 20)]
    (raster, nobody) = compose(quiet, observed, 1000)
    assert (raster["cause"], raster["ns"], raster["lo_ns"], raster["hi_ns"]) == ("raster", 800, 800, 800)
    assert (nobody["cause"], nobody["ns"]) == ("nobody", 200)
    observed = [row("wait", "raster", 95, 95, 95), row("wait", "nobody", 5, 5, 5)]  # beyond what the clocks allow
    assert compose(quiet, observed, 1000)[0]["ns"] == 900


@given(causes(), st.dictionaries(st.sampled_from(("policy", "step", "wait")), st.dictionaries(
    st.sampled_from(CLASSES), st.integers(1, 500), min_size=1)))  # fmt: skip
def test_samples_keep_every_phase_and_state(rows: list[Json], counts: dict[str, dict[str, int]]) -> None:
    before, kept = total(rows, "phase", "state"), [dict(one) for one in rows]
    lent = lend_samples(rows, counts, 10**9)
    assert rows == kept
    assert total(lent, "phase", "state") == before
    for one in lent:
        assert 0 <= one["lo_ns"] <= one["ns"] <= one["hi_ns"], one


def test_running_time_is_split_with_its_interval() -> None:
    counts = {"copy": {"copying": 60, "interpreter": 40, "wait": 900}}
    lent = lend_samples([row("copy", "native_or_python", 1000, 1000, 1000)], counts, 1000)
    found = {one["cause"]: one for one in lent}
    assert found["copying"]["ns"] == 600 and found["interpreter"]["ns"] == 400
    assert 465 < found["copying"]["lo_ns"] < 600 < found["copying"]["hi_ns"] < 730
    assert found["native"]["ns"] == 0 and found["native"]["hi_ns"] > 0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.9))
def test_a_thread_that_waits_for_a_core_may_be_sampled_anywhere(true: float, there: float, queued: float) -> None:
    """Of so many samples that chance plays no part, those taken while it waited lie in the class with any share."""
    total = 10_000_000
    seen = round(((1 - queued) * true + queued * there) * total)
    counts = {"copying": seen, "interpreter": total - seen}
    found = {share.name: share for share in running(counts, queued=queued)}
    assert found["copying"].lo <= true <= found["copying"].hi
    assert found["interpreter"].lo <= 1 - true <= found["interpreter"].hi


def test_the_observers_own_waiting_widens_what_it_lends() -> None:
    rows = [row("copy", "native_or_python", 1000, 1000, 1000)]
    counts = {"copy": {"copying": 600, "interpreter": 400}}
    queued = queued_shares([{"phase": "copy", "state": state, "ns": ns} for state, ns in
                            (("running", 700), ("runnable", 300), ("blocked", 5000))])  # fmt: skip
    assert queued == {"copy": 0.3}
    calm, busy = (
        next(one for one in lend_samples(rows, counts, 1000, known) if one["cause"] == "copying")
        for known in (None, queued)
    )
    assert busy["lo_ns"] < calm["lo_ns"] - 100 and busy["hi_ns"] > calm["hi_ns"] + 100
    assert busy["ns"] == calm["ns"]
    quiet = {"recording_wall_ns": 1000, "causes": rows, "evidence": [], "samples": {}, "runs": ["quiet"]}
    pass_ = {"causes": [{**row("copy", "native_or_python", ns, ns, ns), "state": state} for state, ns in
                        (("running", 700), ("runnable", 300))],
             "evidence": [], "samples": counts, "runs": ["pass"]}  # fmt: skip
    composed = _composed(quiet, {"pyspy": pass_}, set())
    assert composed is not None and composed["lent_by"] == ["pass"]
    assert busy in composed["causes"], "the pass's own waiting, not that of the quiet runs"


def test_waiting_for_the_interpreter_lock_is_taken_from_those_who_held_it() -> None:
    rows = [row("step", "other_threads", 700, 0, 1000), row("step", "nobody", 300, 0, 1000)]
    lent = {one["cause"]: one for one in lend_samples(rows, {"step": {"gil": 80, "wait": 20}}, 1000)}
    assert lent["gil"]["ns"] == 800 and lent["gil"]["bucket"] == "python_overhead"
    assert 700 < lent["gil"]["lo_ns"] < 800 < lent["gil"]["hi_ns"] < 870, "Wilson's interval of 80 in 100"
    assert lent["other_threads"]["ns"] == 0 and lent["nobody"]["ns"] == 200


@given(causes())
def test_buckets_add_up(rows: list[Json]) -> None:
    whole = sum(one["ns"] for one in rows)
    buckets = buckets_of(rows, max(1, whole))
    assert sum(entry["ns"] for entry in buckets.values()) == whole
    for entry in buckets.values():
        assert entry["lo_ns"] <= entry["ns"] <= entry["hi_ns"]


def run(run_id: str, ns: float, collectors: tuple[str, ...] = ()) -> Json:
    return {
        "run_id": run_id, "mode": "record", "status": "completed", "frames": 10, "loop_wall_ns": ns * 10,
        "collectors": list(collectors), "observer": bool(set(collectors) - {"threads", "gpu"}),
        "phases": {"wait": {"mean_ns": ns}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "rate", "would_do"), [(1.6, 100, 50), (1.31, 100, 96), (1.29, 100, None), (40.0, 20, None)]
)
def test_what_is_refused_says_the_rate_that_would_do(change: float, rate: int, would_do: int | None) -> None:
    observed = {**run("c", 1e6 * change, ("pyspy",)), "rates": {"pyspy": rate}}
    rows = observers_cost([run("a", 1e6), run("b", 1e6), observed])
    assert {one["would_do"] for one in rows} == {would_do}


@pytest.mark.parametrize(
    ("change", "use"),
    [(1.04, "yes"), (1.06, "flagged"), (1.31, "refused"), (0.96, "yes"), (0.9, "flagged"), (0.6, "refused")],
)
def test_what_an_observer_disturbs_is_flagged_and_refused(change: float, use: str) -> None:
    quiet = [run("a", 1e6, ("threads",)), run("b", 1e6, ("threads",))]
    rows = observers_cost([*quiet, run("c", 1e6 * change, ("threads", "pyspy"))])
    assert {(one["observer"], one["phase"], one["use"]) for one in rows} == {
        ("pyspy", "frame", use),
        ("pyspy", "wait", use),
    }
    assert all(one["would_do"] is None for one in rows), "without a rate none is told"
    assert all(one["lo"] == one["hi"] == pytest.approx(change - 1) for one in rows), "quiet runs that agree"
    assert {one["lo"] for one in observers_cost([quiet[0], run("c", 1e6, ("pyspy",))])} == {None}
    assert observer_of(run("c", 1.0, ("threads", "pyspy"))) == "pyspy"
