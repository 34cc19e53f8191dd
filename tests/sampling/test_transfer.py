"""What profiled runs transfer to unprofiled ones: sums stay exact, bounds hold, what is refused is not transferred."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motrace.attribution.aggregate import buckets_of
from motrace.dataset import tables
from motrace.dataset.frames import FrameTimes
from motrace.dataset.times import CauseTime
from motrace.findings.codes import Use
from motrace.findings.pools import pool_runs
from motrace.findings.profile_model import SampleCount
from motrace.findings.profiler_overhead import profiler_overhead
from motrace.findings.run_model import Composition, RunSummary
from motrace.findings.values import PoolKey
from motrace.sampling.shares import queued_shares, running
from motrace.sampling.transfer_causes import transfer_causes
from motrace.sampling.transfer_samples import transfer_samples
from motrace.vocabulary import CAUSES
from tests.findings.made import cause, phase, run, trace

BLOCKED_CAUSES = sorted(name for name, one in CAUSES.items() if one.state == "blocked")
CLASSES = (
    "interpreter",
    "copying",
    "native:libtorch",
    "gil",
    "sleeping",
    "pipe",
    "file",
    "wait",
    "native_pool_with_gil",
)


@st.composite
def causes(draw: st.DrawFn) -> list[CauseTime]:
    """Causes of some phases."""
    rows = []
    for name in draw(st.lists(st.sampled_from(("policy", "step", "wait", "encode.write")), unique=True, min_size=1)):
        rows.append(cause(name, "native_or_python", draw(st.integers(0, 10**9))))
        for blocked in draw(st.lists(st.sampled_from(BLOCKED_CAUSES), unique=True, max_size=5)):
            ns = draw(st.integers(0, 10**9))
            below, above = draw(st.floats(0, 1)), draw(st.integers(0, 10**9))
            rows.append(cause(name, blocked, ns, int(ns * below), ns + above))
    return rows


def total(rows: Iterable[CauseTime]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for one in rows:
        sums[one.phase, one.state] = sums.get((one.phase, one.state), 0) + one.time.ns
    return {key: ns for key, ns in sums.items() if ns}


@given(causes(), causes())
def test_transferring_keeps_every_phase_and_state(unprofiled: list[CauseTime], profiled: list[CauseTime]) -> None:
    assert total(transfer_causes(unprofiled, profiled, 10**9)) == total(unprofiled)


def test_the_profiled_shares_are_taken_inside_the_unprofiled_bounds() -> None:
    unprofiled = [cause("wait", "raster", 500, 100, 900), cause("wait", "idle", 500, 100, 900)]
    raster, idle = transfer_causes(unprofiled, [cause("wait", "raster", 80), cause("wait", "idle", 20)], 1000)
    assert (raster.cause, raster.time.ns, raster.time.lo_ns, raster.time.hi_ns) == ("raster", 800, 770, 830)
    assert (idle.cause, idle.time.ns) == ("idle", 200)
    beyond = [cause("wait", "raster", 95), cause("wait", "idle", 5)]  # what the clocks don't allow
    assert transfer_causes(unprofiled, beyond, 1000)[0].time.ns == 900


def test_what_the_own_clocks_do_not_allow_goes_where_they_put_it() -> None:
    """And not to whichever cause has the widest bounds; the range of each cause then holds what the clocks say."""
    unprofiled = [cause("wait", "other_threads", 700, 0, 800), cause("wait", "idle", 300, 100, 400)]
    unprofiled.append(cause("wait", "gil", 0, 0, 800))
    profiled = [cause("wait", "other_threads", 985), cause("wait", "idle", 5), cause("wait", "gil", 10, 10, 985)]
    found = {one.cause: one.time for one in transfer_causes(unprofiled, profiled, 1000)}
    assert found["other_threads"].ns == 800 and found["idle"].ns >= 190 and found["gil"].ns <= 10
    assert all(found[one.cause].lo_ns <= one.time.ns <= found[one.cause].hi_ns for one in unprofiled)


@given(causes(), st.dictionaries(st.sampled_from(("policy", "step", "wait")), st.dictionaries(
    st.sampled_from(CLASSES), st.integers(1, 500), min_size=1)))  # fmt: skip
def test_samples_keep_every_phase_and_state(rows: list[CauseTime], counts: dict[str, dict[str, int]]) -> None:
    assert total(transfer_samples(rows, counts, 10**9)) == total(rows)


def test_running_time_is_split_with_its_interval() -> None:
    counts = {"copy": {"copying": 60, "interpreter": 40, "wait": 900}}
    found = {one.cause: one.time for one in transfer_samples([cause("copy", "native_or_python", 1000)], counts, 1000)}
    assert found["copying"].ns == 600 and found["interpreter"].ns == 400
    assert 465 < found["copying"].lo_ns < 600 < found["copying"].hi_ns < 730
    assert found["native"].ns == 0 and found["native"].hi_ns > 0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.9))
def test_a_thread_that_waits_for_a_core_may_be_sampled_anywhere(true: float, there: float, queued: float) -> None:
    """Of so many samples that chance plays no part, those taken while it waited lie in the class with any share."""
    total = 10_000_000
    seen = round(((1 - queued) * true + queued * there) * total)
    counts = {"copying": seen, "interpreter": total - seen}
    found = {share.name: share for share in running(counts, queued=queued)}
    assert found["copying"].lo <= true <= found["copying"].hi
    assert found["interpreter"].lo <= 1 - true <= found["interpreter"].hi


def test_the_profiled_runs_own_waiting_widens_what_is_transferred() -> None:
    rows = [cause("copy", "native_or_python", 1000)]
    counts = {"copy": {"copying": 600, "interpreter": 400}}
    waited = [cause("copy", "native_or_python", 700), cause("copy", "run_queue", 300)]
    assert queued_shares([*waited, cause("copy", "idle", 5000)]) == {"copy": 0.3}
    calm, busy = (
        next(one for one in transfer_samples(rows, counts, 1000, known) if one.cause == "copying")
        for known in (None, {"copy": 0.3})
    )
    assert busy.time.lo_ns < calm.time.lo_ns - 100 and busy.time.hi_ns > calm.time.hi_ns + 100
    assert busy.time.ns == calm.time.ns
    sampled = replace(trace(()), samples=tuple(SampleCount("copy", *item) for item in counts["copy"].items()))
    runs = [run(rows, run_id="unprofiled"), run(waited, run_id="pass", profilers=("pyspy",), trace=sampled)]
    composed = pooled(*runs)
    assert composed.runs == ("pass",)
    assert busy in composed.causes, "the pass's own waiting, not that of the unprofiled runs"


def pooled(*runs: RunSummary) -> Composition:
    """What is transferred to the unprofiled runs."""
    empty = {name: schema.empty_table() for name, schema in tables.SCHEMAS.items()}
    frames = FrameTimes.of(empty["frames"], empty["frame_phases"])
    composed = pool_runs(runs, frames, empty["episodes"], ())[0].composed
    assert composed is not None
    return composed


def test_waiting_for_the_interpreter_lock_is_taken_from_those_who_held_it() -> None:
    rows = [cause("step", "other_threads", 700, 0, 1000), cause("step", "idle", 300, 0, 1000)]
    found = {one.cause: one for one in transfer_samples(rows, {"step": {"gil": 80, "wait": 20}}, 1000)}
    assert found["gil"].time.ns == 800 and found["gil"].bucket == "python_overhead"
    time = found["gil"].time
    assert 670 < time.lo_ns < 700 and 870 < time.hi_ns < 900, (
        "Wilson's interval of 80 in 100, and 3 points on either side"
    )
    assert found["other_threads"].time.ns == 0 and found["idle"].time.ns == 200


def test_a_sleep_and_the_interpreter_lock_are_no_work_of_those_who_worked_meanwhile_but_a_pipe_may_be() -> None:
    """An encoder thread works while the loop sleeps on purpose; behind a full pipe it is what the loop waits for."""
    rows = [cause("glue", "encoder", 900, 800, 1000), cause("glue", "idle", 100, 0, 200)]

    def seen(kind: str) -> dict[str, int]:
        found = transfer_samples(rows, {"glue": {kind: 100}}, 1000)
        return {one.cause: one.time.ns for one in found if one.time.ns}

    assert seen("sleeping") == {"pacing": 1000} and seen("gil") == {"gil": 1000}
    assert seen("pipe") == {"encoder": 900, "pipe": 100} and seen("file") == {"encoder": 900, "io": 100}
    (encoder,) = (one.time for one in transfer_samples(rows, {"glue": {"gil": 100}}, 1000) if one.cause == "encoder")
    assert encoder.lo_ns == 0, "what the samples contradict is not certain"


@pytest.mark.parametrize("kind", ["pipe", "file", "sleeping"])
def test_a_wait_in_the_encoders_own_phase_stays_the_encoders(kind: str) -> None:
    rows = [cause("encode.write", "encoder", 700, 600, 900), cause("encode.write", "idle", 300, 100, 400)]
    found = transfer_samples(rows, {"encode.write": {kind: 100}}, 1000)
    assert {(one.cause, one.bucket, one.time.ns) for one in found} == {
        ("encoder", "encoder", 700),
        ("idle", "encoder", 300),
    }


def test_what_samples_name_narrows_what_was_open() -> None:
    """Ranges of which clocks say nothing end where the samples say; clocks bound the interpreter lock."""
    waits = [cause("glue", name, ns, 0, 1000) for name, ns in (("idle", 1000), ("pipe", 0), ("io", 0), ("pacing", 0))]
    slept = {one.cause: one.time for one in transfer_samples(waits, {"glue": {"sleeping": 90}}, 1000)}
    assert slept["pacing"].ns == 1000 and slept["pacing"].lo_ns > 900
    assert max(slept[name].hi_ns for name in ("idle", "pipe", "io")) < 100
    rows = [cause("step", "other_threads", 100, 0, 100), cause("step", "gil", 0, 0, 100), cause("step", "idle", 900)]
    found = {one.cause: one.time for one in transfer_samples(rows, {"step": {"gil": 80, "wait": 20}}, 1000)}
    assert found["gil"].ns == found["gil"].hi_ns == 100, "other Python threads ran for no longer"


def test_samples_add_nothing_to_a_wait_that_better_evidence_has_named() -> None:
    rows = [cause("step", "gil", 600, 600, 600), cause("step", "idle", 400, 0, 400)]
    found = transfer_samples(rows, {"step": {"gil": 80, "wait": 20}}, 1000)
    assert sum(one.time.ns for one in found if one.cause == "gil") == 800
    assert [one.time.ns for one in found if one.cause == "idle"] == [200]


@given(causes())
def test_buckets_add_up(rows: list[CauseTime]) -> None:
    assert sum(time.ns for time in buckets_of(rows).values()) == sum(one.time.ns for one in rows)


def watched(run_id: str, ns: float, *profilers: str, rate: int | None = None) -> RunSummary:
    wall, rates = round(ns * 10), {} if rate is None else dict.fromkeys(profilers, float(rate))
    return run(
        run_id=run_id, mode="record", wall=wall, profilers=profilers, rates_hz=rates, phases=(phase("wait", ns),)
    )


@pytest.mark.parametrize(
    ("change", "rate", "usable"), [(1.6, 100, 50), (1.31, 100, 96), (1.29, 100, None), (40.0, 20, None)]
)
def test_what_is_refused_says_the_usable_rate(change: float, rate: int, usable: int | None) -> None:
    rows = profiler_overhead([watched("a", 1e6), watched("b", 1e6), watched("c", 1e6 * change, "pyspy", rate=rate)])
    assert {one.usable_rate_hz for one in rows} == {usable}


@pytest.mark.parametrize(
    ("change", "use"),
    [
        (1.04, Use.YES),
        (1.06, Use.FLAGGED),
        (1.31, Use.REFUSED),
        (0.96, Use.YES),
        (0.9, Use.FLAGGED),
        (0.6, Use.REFUSED),
    ],
)
def test_what_a_profiler_disturbs_is_flagged_and_refused(change: float, use: Use) -> None:
    disturbed = watched("c", 1e6 * change, "pyspy")
    rows = profiler_overhead([watched("a", 1e6), watched("b", 1e6), disturbed])
    key = PoolKey("record", ("pyspy",))
    assert {(one.key, one.phase, one.use) for one in rows} == {(key, None, use), (key, "wait", use)}
    assert all(one.usable_rate_hz is None for one in rows), "without a rate there is none"
    assert all(one.lo == one.hi == pytest.approx(change - 1) for one in rows), "unprofiled runs that agree"
    assert {one.lo for one in profiler_overhead([watched("a", 1e6), disturbed])} == {None}
