"""The verdict: on whose time it stands, of which cause it speaks, and when it is certain."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import motrace
from motrace import analysis
from motrace.dataset.facts import Environment
from motrace.dataset.times import CauseTime
from motrace.findings.bottleneck import judge
from motrace.findings.codes import Action, Doubt, Meaning, Owner, SetupCode
from motrace.findings.model import Verdict
from motrace.findings.run_model import RunSummary
from tests.conftest import ROOT
from tests.findings.made import cause, run, trace
from tests.record.test_cpuclock import burn


def judged(*runs: RunSummary) -> Verdict:
    return judge(runs, Environment())


def of(*causes: CauseTime) -> Verdict:
    return judged(run(causes))


@pytest.mark.parametrize(
    ("name", "meaning", "action", "owner"),
    [
        ("run_queue", Meaning.WAITS_FOR_CORE, Action.GIVE_CORES, Owner.SETUP),
        ("pacing", Meaning.SLEEPS, Action.REMOVE_PACING, Owner.APPLICATION),
        ("io", Meaning.WAITS_FOR_IO, Action.CHECK_IO, Owner.APPLICATION),
        ("pipe", Meaning.WAITS_FOR_PIPE, Action.CHECK_PIPE, Owner.APPLICATION),
        ("other_threads", Meaning.OTHER_THREADS_WORK, Action.CHECK_THREAD, Owner.APPLICATION),
        ("other_processes", Meaning.CHILD_PROCESS_WORKS, Action.CHECK_PROCESS, Owner.APPLICATION),
        ("gil", Meaning.WAITS_FOR_GIL, Action.RELEASE_GIL, Owner.APPLICATION),
    ],
)
def test_it_speaks_of_the_cause_that_leads(name: str, meaning: Meaning, action: Action, owner: Owner) -> None:
    verdict = of(cause("glue", name, 700), cause("step", "native_or_python", 300))
    assert verdict.advice is not None
    assert (verdict.meaning, verdict.advice.action, verdict.owner) == (meaning, action, owner)
    assert verdict.certain


def test_a_bucket_of_several_causes_is_not_certain_of_one() -> None:
    """System may have 70 %, but neither of its causes alone has more than Simulation."""
    step = cause("step", "native", 300)
    assert of(cause("glue", "run_queue", 360), cause("glue", "idle", 340), step).certain
    verdict = of(cause("glue", "run_queue", 400, 300, 700), cause("glue", "idle", 300, 0, 400), step)
    assert verdict.doubt is Doubt.PARTS_OVERLAP
    assert [one.meaning for one in verdict.claims] == [Meaning.WAITS_FOR_CORE, Meaning.WAITS_WHILE_IDLE]
    verdict = of(cause("glue", "run_queue", 300), cause("glue", "idle", 290), cause("step", "native", 410))
    assert verdict.leading is not None and verdict.leading.bucket == "system"
    assert verdict.doubt is Doubt.PART_MAY_NOT_LEAD
    assert [(one.bucket, one.hi) for one in verdict.claims] == [("system", 0.3), ("simulation", 0.41)]


def test_unexplained_time_is_anybodys() -> None:
    verdict = of(cause("glue", "unexplained", 1000))
    leading = verdict.leading
    assert leading is not None and not verdict.certain
    assert (leading.bucket, leading.lo_share, leading.hi_share) == ("unexplained", 0, 1)
    made = run([cause("glue", "unexplained", 300), cause("glue", "run_queue", 400), cause("step", "sim_pool", 300)])
    assert {one.bucket: (one.lo_share, one.hi_share) for one in made.buckets if one.share} == {
        "unexplained": (0, 0.3), "system": (0.4, 0.7), "simulation": (0.3, 0.6),
    }  # fmt: skip
    assert not judged(made).certain


def test_running_time_that_no_samples_split_may_be_pythons() -> None:
    """A row without a range is exact: of 700 in the step by clocks alone, any part may be the interpreter's."""
    made = run([cause("step", "native_or_python", 700), cause("glue", "native_or_python", 300)])
    assert {one.bucket: (one.lo_share, one.hi_share) for one in made.buckets if one.hi_share} == {
        "simulation": (0, 0.7), "python_overhead": (0.3, 1),
    }  # fmt: skip
    assert judged(made).next_step.action is Action.SPLIT_RUNNING
    split = [cause("step", "native", 600), cause("step", "interpreter", 100), cause("glue", "interpreter", 300)]
    assert of(*split).certain


def test_advice_depends_on_what_was_given() -> None:
    causes = [cause("glue", "unexplained", 1000)]
    first, alone = judged(run(causes)), judged(run(causes, mode="trace", trace=trace(("nsys",))))
    assert first.advice is not None and first.advice.action is Action.RECORD_WITH_NSYS
    assert alone.advice is not None and alone.advice.action is Action.RECORD_WITH_MOTRACE
    assert (first.settle, alone.settle) == (first.advice, alone.advice), "one piece of advice"
    drawn = judged(run([cause("wait", "gpu_only", 1000)], trace=trace(("nsys",))))
    assert drawn.advice is not None and drawn.advice.action is Action.READ_GPU_TABLES


def test_profiled_runs_count_only_where_there_is_no_other() -> None:
    causes = [cause("step", "sim_pool", 1000)]
    plain, under = run(causes, run_id="plain"), run(causes, run_id="under", profilers=("nsys",))
    attached = run(causes, run_id="attached", profiler_attached=True)
    other = run(causes, run_id="steps", mode="none")
    assert judged(under, attached, plain, other).runs == ("plain",)
    assert judged(under, attached, other).runs == ("steps",)
    assert [one.finding for one in judged(under, attached).setup] == [SetupCode.ONLY_PROFILED_RUNS]
    pyspy = run(causes, run_id="pyspy", profilers=("pyspy",))
    assert judged(pyspy, under).runs == ("under",), "each disturbs in its own way"
    for mode in ("custom", "none", "capture"):
        modes = [replace(one, mode=mode) for one in (pyspy, under, plain)]
        assert judged(*modes).runs == ("plain",)
    failed = run(causes, run_id="failed", profilers=("nsys",), profiler_failed=True)
    assert judged(failed, under).runs == ("under",)
    assert judged(replace(plain, status="crashed"), under).runs == ("under",)


def test_a_pass_whose_profiler_failed_is_not_pooled_with_the_one_that_saw(tmp_path: Path) -> None:
    home = tmp_path / "x"
    shutil.copytree(ROOT / "traces/nsys-llvmpipe", home, ignore=shutil.ignore_patterns("analysis"))
    failed = home / "06-record-nsys"
    shutil.copytree(home / "05-record-nsys", failed, ignore=shutil.ignore_patterns("nsys*"))
    (failed / "run.json").write_text((failed / "run.json").read_text().replace("05-record-nsys", failed.name))
    report = analysis.load(home).report
    pool = report.pool("record", ("nsys",))
    assert pool is not None and pool.runs == ("05-record-nsys",)
    assert [run.run_id for run in report.runs if run.profiler_failed] == [failed.name]
    assert report.verdict.runs == ("01-record", "04-record")


def sleeps() -> None:
    time.sleep(0.05)


def waits_for_a_thread() -> None:
    thread = threading.Thread(target=burn, args=(0.05,))
    thread.start()
    thread.join()


def waits_for_a_child() -> None:
    subprocess.run([sys.executable, "-S", "-c", "sum(range(3_000_000))"], check=True)


MEANT = {
    "idle": Meaning.WAITS_WHILE_IDLE, "other_threads": Meaning.OTHER_THREADS_WORK,
    "other_processes": Meaning.CHILD_PROCESS_WORKS, "run_queue": Meaning.WAITS_FOR_CORE,
}  # fmt: skip


@pytest.mark.parametrize("does", [sleeps, waits_for_a_thread, waits_for_a_child])
def test_of_real_loops_that_wait_it_says_what_its_leading_cause_is(tmp_path: Path, does: Callable[[], None]) -> None:
    """Which that is may depend on how busy the machine is; who waits for a core looks idle."""
    motrace.start(tmp_path / "x" / "01-custom")
    for _ in range(6):
        with motrace.frame():
            does()
    motrace.stop()
    report = analysis.load(tmp_path / "x").report
    (one,), verdict = report.runs, report.verdict
    assert verdict.leading is not None
    leads = next(row for row in one.causes if row.bucket == verdict.leading.bucket)
    assert verdict.meaning is MEANT[leads.cause]
    for entry in one.buckets:
        assert 0 <= entry.time.lo_ns <= entry.time.ns <= entry.time.hi_ns <= one.recording_wall_ns
