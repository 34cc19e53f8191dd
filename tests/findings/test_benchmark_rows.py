"""The rows of a benchmark report: all there, right, and judged by the rules; on a committed recording."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from motrace.analysis import load
from motrace.dataset.estimate import Estimate
from motrace.dataset.facts import Adapter, Checkpoint, Environment, Gpu, MotrixBuild, ProgramEnvironment
from motrace.dataset.times import BucketTime, bucket_times
from motrace.findings.benchmark_codes import BenchmarkGroup, BenchmarkItem, Note
from motrace.findings.benchmark_rows import Findings, benchmark_rows
from motrace.findings.bottleneck import judge
from motrace.findings.bottleneck_rules import RULES
from motrace.findings.codes import Action, Answer, Owner, Reason, SetupCode
from motrace.findings.compare import comparison
from motrace.findings.model import BenchmarkRow, Comparison, Contrast, Report
from motrace.findings.triage import RULES as TRIAGE_RULES
from motrace.findings.triage import triage
from motrace.findings.values import Difference
from motrace.report import html, markdown, terminal
from motrace.report.document import short
from motrace.report.schema import encode
from motrace.vocabulary import BUCKETS, EvidenceKind, IntervalKind
from tests.conftest import ROOT
from tests.findings.made import cause

OPTIONAL = {BenchmarkItem.ENV_VIDEOS}
H100 = Adapter("NVIDIA H100", "DiscreteGpu", "NVIDIA", "1", "Vulkan")
NOT_COMPARED = Comparison(None, ("none",), False, ())


@pytest.fixture(scope="module")
def report() -> Report:
    """A real recording's report: three runs of record, three of none."""
    return load(ROOT / "traces" / "demo-llvmpipe").report


def judged(report: Report, **changes: Any) -> Report:
    """The report with changes, its verdict, triage and rows made again."""
    new = replace(report, **changes)
    verdict = judge(new.runs, new.environment, new.pools)
    answer = triage(new.runs, new.pools, new.comparison, verdict, new.environment)
    about = Findings(new.runs, new.pools, new.comparison, verdict, answer, new.environment, new.command)
    return replace(new, verdict=verdict, triage=answer, benchmark=benchmark_rows(about))


def rows(report: Report) -> dict[BenchmarkItem, BenchmarkRow]:
    return {row.item: row for row in report.benchmark}


def value(report: Report, item: BenchmarkItem) -> Any:
    return rows(report)[item].value


def note(report: Report, item: BenchmarkItem) -> Note | None:
    remark = rows(report)[item].remark
    return None if remark is None else remark.note


def of(group: BenchmarkGroup) -> list[BenchmarkItem]:
    return [item for item in BenchmarkItem if item.group is group and item not in OPTIONAL]


def with_buckets(report: Report, adapter: Adapter | None, environment: Environment | None = None,
                 **shares: tuple[float, float, float]) -> Report:  # fmt: skip
    """The report as if its buckets had been so (share, at least, at most), the verdict again; no baseline."""

    def buckets(wall: int) -> tuple[BucketTime, ...]:
        out = []
        for name in BUCKETS:
            share, lo, hi = shares.get(name, (0.0, 0.0, 0.0))
            out.append((name, Estimate(*(round(one * wall) for one in (share, lo, hi)))))
        return bucket_times(dict(out), (), wall, {})

    runs = tuple(
        replace(run, adapter=adapter if run.mode == "record" else None, buckets=buckets(run.recording_wall_ns))
        for run in report.runs
    )
    pools = tuple(replace(pool, composed=None, buckets=buckets(pool.recording_wall_ns)) for pool in report.pools)
    return judged(
        report, runs=runs, pools=pools, comparison=NOT_COMPARED, environment=environment or report.environment
    )


THREADS = (EvidenceKind.THREAD_SAMPLES,)


def test_every_row_that_was_asked_for_is_there(report: Report) -> None:
    for row in report.benchmark:
        assert row.value is not None or row.remark is not None, f"{row.item} is not known without a reason"
        assert row.unit in ("", "s", "ms", "FPS", "B", "x", "1")
    assert [row.item for row in report.benchmark] == [item for item in BenchmarkItem if item not in OPTIONAL]
    assert judged(report) == report


def test_times_are_those_of_the_runs(report: Report) -> None:
    runs = [run for run in report.runs if run.mode == "record"]
    playback = sum(run.segment_ns("loop") + run.segment_ns("drain") for run in runs)
    assert value(report, BenchmarkItem.PLAYBACK) == pytest.approx(playback / len(runs) / 1e9)
    walls = sum(run.run_wall_ns for run in runs)
    assert value(report, BenchmarkItem.RUN_WALL) == pytest.approx(walls / len(runs) / 1e9)
    frames = sum(run.frames for run in runs)
    assert value(report, BenchmarkItem.CAPTURE_FPS) == pytest.approx(frames / (playback / 1e9))
    assert value(report, BenchmarkItem.FRAMES) == runs[0].frames
    assert value(report, BenchmarkItem.SUM) == pytest.approx(playback / frames / 1e6)


def test_the_breakdown_adds_up(report: Report) -> None:
    *parts, total = (value(report, item) for item in of(BenchmarkGroup.BREAKDOWN))
    assert sum(parts) == pytest.approx(total) and all(part >= 0 for part in parts)
    pool = report.pool("record")
    assert pool is not None and (capture := pool.phase("capture")) is not None
    assert value(report, BenchmarkItem.CAPTURE) == pytest.approx(capture.time.total_ns / pool.frames / 1e6)
    assert value(report, BenchmarkItem.ENCODE) > 0 and value(report, BenchmarkItem.REST) < 0.1 * total


def test_the_baseline_and_the_video(report: Report) -> None:
    added = rows(report)[BenchmarkItem.RECORDING_ADDS]
    none = value(report, BenchmarkItem.BASELINE)
    assert none + added.value == pytest.approx(value(report, BenchmarkItem.SUM), rel=1e-3)
    assert added.remark is not None and added.remark.note is Note.INTERVAL
    assert (added.remark.values["new_runs"], added.remark.values["base_runs"]) == (3, 3)
    assert value(report, BenchmarkItem.CAPTURE_ADDS) is None
    video = report.runs[0].video
    assert video is not None and value(report, BenchmarkItem.VIDEO_SIZE) == video.bytes
    assert value(report, BenchmarkItem.VIDEO_PATH) == "01-record/play_video.mp4"
    assert value(report, BenchmarkItem.VIDEO_DURATION) == pytest.approx(video.frames / video.fps)


def test_the_environment_and_the_command(report: Report) -> None:
    environment, by_item = report.environment, rows(report)
    assert value(report, BenchmarkItem.OS) == environment.os
    assert value(report, BenchmarkItem.PYTHON) == environment.python
    build = by_item[BenchmarkItem.MOTRIX].remark
    assert environment.motrixsim_build is not None and build is not None
    assert build.values["build_id"] == environment.motrixsim_build.build_id
    driver = by_item[BenchmarkItem.GPU_DRIVER]
    assert driver.value is None and driver.remark is not None and "NVML" in str(driver.remark.values["text"])
    assert value(report, BenchmarkItem.COMMAND).startswith("python -m tools.run_record")
    assert value(report, BenchmarkItem.UNILAB) is None and note(report, BenchmarkItem.UNILAB) is Note.NO_UNILAB


def test_unilabs_own_rows(report: Report) -> None:
    unilab = ProgramEnvironment(
        python="3.10.1", packages={"unilab": "1.5.2"}, commits={"unilab": "0123abc"},
        motrixsim_build=MotrixBuild("0.10.1", 0, "ff"), command=["eval", "--load-run", "mine"],
        overrides=["a=1", "+b=2"],
    )  # fmt: skip
    first, *others = report.runs
    workload = replace(first.workload, checkpoint=Checkpoint("logs/ppo/Task/mine/model_1.pt", "aa"))
    changed = judged(
        report,
        environment=replace(report.environment, unilab=unilab),
        runs=(replace(first, workload=workload), *others),
    )
    expected = {
        BenchmarkItem.UNILAB: "1.5.2", BenchmarkItem.UNILAB_RUN: "mine", BenchmarkItem.OVERRIDES: "a=1 +b=2",
        BenchmarkItem.UNILAB_COMMAND: "eval --load-run mine", BenchmarkItem.PYTHON: "3.10.1",
        BenchmarkItem.MOTRIX: "0.10.1", BenchmarkItem.CHECKPOINT: "logs/ppo/Task/mine/model_1.pt",
    }  # fmt: skip
    assert {item: value(changed, item) for item in expected} == expected
    remarks = {item: rows(changed)[item].remark for item in expected}
    assert [one.values for one in remarks.values() if one is not None] == [
        {"commit": "0123abc"}, {"build_id": "ff"}, {"sha256": "aa"},
    ]  # fmt: skip


def test_without_a_recording_every_row_says_why(report: Report) -> None:
    runs = tuple(run for run in report.runs if run.mode == "none")
    pools = tuple(pool for pool in report.pools if pool.key.mode == "none")
    changed = judged(report, runs=runs, pools=pools, comparison=comparison(runs))
    assert [row.item for row in changed.benchmark] == [row.item for row in report.benchmark]
    for group in (BenchmarkGroup.RESULT, BenchmarkGroup.BREAKDOWN, BenchmarkGroup.VIDEO):
        for item in of(group):
            assert value(changed, item) is None and note(changed, item) is Note.NO_RUN, item
    assert changed.triage.answer is Answer.UNDECIDED


def test_a_program_of_ones_own_has_its_rows(report: Report) -> None:
    """It has one mode, custom: the rows are over that, and no advice names a mode that it has not."""
    runs = tuple(replace(run, mode="custom") for run in report.runs if run.mode == "record")
    pool = report.pool("record")
    assert pool is not None
    pools = (replace(pool, key=replace(pool.key, mode="custom")),)
    changed = judged(report, runs=runs, pools=pools, comparison=comparison(runs))
    for group in (BenchmarkGroup.RESULT, BenchmarkGroup.BREAKDOWN, BenchmarkGroup.VIDEO):
        for item in of(group):
            assert value(changed, item) is not None or item is BenchmarkItem.RESETS_PER_FRAME, item
    for item in of(BenchmarkGroup.BASELINE):
        assert value(changed, item) is None and note(changed, item) is Note.OWN_PROGRAM


@pytest.mark.parametrize(
    ("bucket", "answer", "owner"),
    [
        ("renderer_stall", Answer.EXPECTED, Owner.APPLICATION),
        ("renderer_gpu", Answer.RENDERER_PROBLEM, Owner.RENDERER),
        ("renderer_cpu", Answer.RENDERER_PROBLEM, Owner.RENDERER),
        ("python_overhead", Answer.OUTSIDE_RENDERER, Owner.APPLICATION),
        ("encoder", Answer.OUTSIDE_RENDERER, Owner.APPLICATION),
        ("simulation", Answer.OUTSIDE_RENDERER, Owner.APPLICATION),
        ("system", Answer.MACHINE_SETUP, Owner.SETUP),
        ("unexplained", Answer.UNDECIDED, None),
    ],
)
def test_judged_by_the_bucket_that_leads(report: Report, bucket: str, answer: Answer, owner: Owner | None) -> None:
    found = with_buckets(report, H100, **{bucket: (0.8, 0.7, 0.9), "policy": (0.2, 0.1, 0.3)}).triage
    assert (found.answer, found.owner) == (answer, owner) and found.advice is not None


def test_unilab_is_named(report: Report) -> None:
    environment = replace(report.environment, unilab=ProgramEnvironment())
    assert with_buckets(report, H100, environment, renderer_stall=(0.8, 0.7, 0.9)).triage.application == "UniLab"


def test_a_software_adapter_says_nothing_of_the_renderer(report: Report) -> None:
    software = report.runs[0].adapter
    assert software is not None
    found = with_buckets(report, software, renderer_gpu=(0.8, 0.7, 0.9)).triage
    assert (found.answer, found.owner, found.reason) == (Answer.MACHINE_SETUP, Owner.SETUP, Reason.DREW_ON_CPU)
    assert found.values["adapter"] == software.name
    environment = replace(report.environment, gpus=[Gpu("NVIDIA H100")])
    advice = with_buckets(report, software, environment, renderer_gpu=(0.8, 0.7, 0.9)).triage.advice
    assert advice is not None and advice.action is Action.INSTALL_VULKAN_DRIVER


@pytest.mark.parametrize("bucket", ["renderer_gpu", "renderer_cpu", "renderer_stall"])
def test_on_a_software_adapter_all_owners_agree(report: Report, bucket: str) -> None:
    """The headline, the answer and the row never name the renderer or the application for a rasterizer on the CPU."""
    changed = with_buckets(report, report.runs[0].adapter, **{bucket: (0.8, 0.7, 0.9)})
    found, verdict = changed.triage, changed.verdict
    assert (found.answer, found.owner, verdict.owner) == (Answer.MACHINE_SETUP, Owner.SETUP, Owner.SETUP)
    assert found.advice == verdict.advice and verdict.advice is not None and verdict.advice.action is Action.USE_GPU


@pytest.mark.parametrize(
    ("running", "kind", "starved"),
    [
        (1, EvidenceKind.CPU_COUNTERS, True),
        (9, EvidenceKind.CPU_COUNTERS, False),
        (1, EvidenceKind.THREAD_SAMPLES, False),
    ],
)
def test_a_stall_on_a_busy_machine_is_not_sure(report: Report, running: int, kind: EvidenceKind, starved: bool) -> None:
    """Threads that want a core look idle to counters; the loop thread's own wait for one says how busy it was."""
    causes = (
        cause("glue", "native_or_python", running), cause("glue", "run_queue", 3),
        cause("wait", "idle", 9, evidence=(kind,)),
    )  # fmt: skip
    busy = replace(report, runs=tuple(replace(run, causes=causes) for run in report.runs))
    changed = with_buckets(busy, H100, renderer_stall=(0.8, 0.7, 0.9))
    verdict, found = changed.verdict, changed.triage
    assert (verdict.starved, verdict.certain) == (starved, not starved)
    setup = [one.values for one in verdict.setup if one.finding is SetupCode.BUSY_MACHINE]
    assert setup == ([{"share": 0.75}] if running == 1 else [])
    sure = (Answer.EXPECTED, Owner.APPLICATION)
    assert (found.answer, found.owner) == ((Answer.UNDECIDED, None) if starved else sure)


def test_inside_the_bounds_it_abstains(report: Report) -> None:
    found = with_buckets(report, H100, renderer_stall=(0.51, 0.45, 0.55), renderer_gpu=(0.49, 0.45, 0.55)).triage
    assert (found.answer, found.owner, found.reason) == (Answer.UNDECIDED, None, Reason.SEVERAL_MAY_LEAD)
    assert found.values["buckets"] == ("renderer_stall", "renderer_gpu")
    assert found.advice is not None and found.advice.action is Action.SAMPLE_STATES_OR_SCHEDULING


def test_no_headline_rests_on_a_guess(report: Report) -> None:
    """Inside wide bounds no medium names a bucket that leads, nor its share; the bounds stand there."""
    changed = with_buckets(report, H100, renderer_stall=(0.613, 0.3, 0.7), renderer_gpu=(0.387, 0.3, 0.7))
    assert changed.verdict.open and changed.triage.reason is Reason.VERDICT_DOUBT
    assert rows(changed)[BenchmarkItem.LEADING_BUCKET].value is None
    document = short(changed)
    for shown in (terminal.render(document), markdown.render(document), html.render(document)):
        assert "61.3" not in shown and "38.7" not in shown and "Most likely" not in shown
        assert "30.0 % to 70.0 %" in shown


def test_every_range_says_what_it_is(report: Report) -> None:
    """A verdict carries the measuring doubt and the spread between its runs, in every medium and in report.json."""
    verdict, pool = report.verdict, report.pool("record")
    assert pool is not None and verdict.leading is not None and len(verdict.runs) == 3
    shares = [
        one.share for run in report.runs_named(verdict.runs) for one in run.buckets if one.bucket == "renderer_gpu"
    ]
    leading = verdict.leading
    assert (leading.least_run_share, leading.most_run_share) == (min(shares), max(shares))
    assert leading.interval is IntervalKind.MEASURED
    between = f"between runs {min(shares) * 100:.1f} % to {max(shares) * 100:.1f} %"
    bound = f"measuring bound {leading.lo_share * 100:.1f} % to {leading.hi_share * 100:.1f} %"
    for shown in (terminal.render(short(report), 200), markdown.render(short(report)), html.render(short(report))):
        assert between in shown and bound in shown and "95 % by the model" in shown
    written = json.loads(encode(report))["verdict"]["leading"]
    assert written["interval"] == "measured" and written["least_run_share"] == min(shares)
    kinds = {THREADS: IntervalKind.SAMPLED, (EvidenceKind.SCHEDULING,): IntervalKind.MEASURED,
             (*THREADS, EvidenceKind.TRANSFERRED): IntervalKind.TRANSFERRED}  # fmt: skip
    assert {kinds_of: cause("wait", "idle", 5, evidence=kinds_of).interval for kinds_of in kinds} == kinds


def test_buckets_that_agree_need_not_be_told_apart(report: Report) -> None:
    changed = with_buckets(report, H100, renderer_cpu=(0.6, 0.3, 0.7), renderer_gpu=(0.4, 0.3, 0.7))
    assert not changed.verdict.certain and changed.triage.answer is Answer.RENDERER_PROBLEM


def test_a_third_that_may_lead_counts(report: Report) -> None:
    bounds = {"renderer_cpu": (0.4, 0.2, 0.7), "renderer_gpu": (0.35, 0.2, 0.7), "encoder": (0.25, 0.1, 0.5)}
    assert with_buckets(report, H100, **bounds).triage.answer is Answer.UNDECIDED


@pytest.mark.parametrize(("added", "hi", "slow"), [(4.0, 6.0, False), (4.0, 30.0, True), (4.0, None, False)])
def test_what_adds_little_is_not_slow(report: Report, added: float, hi: float | None, slow: bool) -> None:
    entry = Difference(100.0, 96.0, added, None if hi is None else 1.0, hi, 1.04)
    contrast = Contrast("record", "none", 3, 3, entry, entry, entry, ())
    changed = with_buckets(report, H100, renderer_gpu=(0.8, 0.7, 0.9))
    found = judged(changed, comparison=Comparison(contrast, (), False, ())).triage
    assert found.answer is (Answer.RENDERER_PROBLEM if slow else Answer.NOT_SLOW)
    assert slow or found.owner is Owner.NONE


def test_every_bucket_has_a_rule() -> None:
    for software in (True, False):
        for table in (RULES, TRIAGE_RULES):
            buckets = [rule.bucket for rule in table if rule.software in (None, software)]
            assert sorted(buckets) == sorted(BUCKETS), "each exactly once"
