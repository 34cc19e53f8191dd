"""The rows of a benchmark report: all there, right, and judged by the rules; on a committed recording."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from motrace.analysis import load
from motrace.findings.benchmark_rows import benchmark_rows
from motrace.findings.bottleneck import RULES, judge
from motrace.findings.triage import EXPECTED as AS_EXPECTED
from motrace.findings.triage import HERE, JUDGEMENTS, NEITHER, NOT_SLOW, OPEN, PROBLEM, judgement
from motrace.report.markdown import render_markdown
from motrace.vocabulary import BUCKETS
from tests.conftest import ROOT

Json = dict[str, Any]

ASKED = {
    "Result": ["Wall-clock of the whole run", "Total playback time", "Start-up before it", "Effective capture FPS",
               "FPS of the loop alone", "Frames", "Resets per frame"],
    "Time per frame, drain included": ["Simulation step", "Policy", "Capture", "Copy, accumulation", "Encode",
                                       "Everything else", "Sum"],
    "Against the baseline": ["The same steps without a renderer (mode none)", "Recording adds", "Recorded against it",
                             "Making each picture and dropping it adds", "Keeping and encoding them adds"],
    "Video": ["Frames of the video", "Video duration", "Video FPS", "Video path", "Video size", "Picture",
              "Playback time per video time"],
    "Judgement": ["Is the slowness expected?", "Where the time goes", "Owner", "Recommended next action"],
    "Environment": ["OS", "Kernel", "CPU", "GPU", "GPU driver", "CUDA (driver)", "Vulkan adapter", "Python", "Motrix",
                    "UniLab", "Checkpoint", "UniLab run id", "Runs of this benchmark", "H.264 encoder", "motrace"],
    "Command": ["Exact command", "UniLab's command", "Hydra overrides", "Environments", "Seed"],
}  # fmt: skip
GPU = {"name": "NVIDIA H100", "device_type": "DiscreteGpu", "driver": "NVIDIA", "driver_info": "1", "backend": "Vulkan"}


@pytest.fixture(scope="module")
def real() -> Json:
    """A real recording's report: three runs of record, three of none."""
    return load(ROOT / "traces" / "demo-llvmpipe").report


@pytest.fixture
def report(real: Json) -> Json:
    """A copy that a test may change."""
    return copy.deepcopy(real)


def rows(report: Json) -> dict[str, Json]:
    """Rows by item."""
    return {row["item"]: row for row in benchmark_rows(report)}


def with_buckets(report: Json, adapter: Json | None, **shares: tuple[float, float, float]) -> Json:
    """The report as if its buckets had been so (share, at least, at most), the verdict again; no baseline."""
    for run in report["runs"]:
        run["adapter"] = adapter if run["mode"] == "record" else None
        for bucket in BUCKETS:
            share, lo, hi = shares.get(bucket, (0.0, 0.0, 0.0))
            scaled = {"ns": share, "lo_ns": lo, "hi_ns": hi}
            run["buckets"][bucket] |= {key: round(value * run["recording_wall_ns"]) for key, value in scaled.items()}
    for pool in report["modes"].values():
        pool["composed"] = None
        for bucket in BUCKETS:
            share, lo, hi = shares.get(bucket, (0.0, 0.0, 0.0))
            pool["buckets"][bucket] |= {"share": share, "lo": lo, "hi": hi}
    report["comparison"] = {"unknown": "not recorded", "rungs": []}
    report["verdict"] = judge(report["runs"], report["environment"], report["modes"])
    return report


def test_every_row_that_was_asked_for_is_there(report: Json) -> None:
    found: dict[str, list[str]] = {}
    for row in benchmark_rows(report):
        assert set(row) == {"group", "item", "value", "unit", "note"}
        assert row["value"] is not None or row["note"], f"{row['item']} is not known without a reason"
        assert row["unit"] in ("", "s", "ms", "FPS", "B", "x", "1")
        found.setdefault(row["group"], []).append(row["item"])
    assert found == ASKED
    assert report["benchmark"] == benchmark_rows(report)


def test_times_are_those_of_the_runs(report: Json) -> None:
    told = rows(report)
    runs = [run for run in report["runs"] if run["mode"] == "record"]
    playback = sum(run["segments"]["loop"] + run["segments"]["drain"] for run in runs)
    assert told["Total playback time"]["value"] == pytest.approx(playback / len(runs) / 1e9)
    assert told["Wall-clock of the whole run"]["value"] == pytest.approx(
        sum(run["run_wall_ns"] for run in runs) / len(runs) / 1e9
    )
    frames = sum(run["frames"] for run in runs)
    assert told["Effective capture FPS"]["value"] == pytest.approx(frames / (playback / 1e9))
    assert told["Frames"]["value"] == runs[0]["frames"]
    assert told["Sum"]["value"] == pytest.approx(playback / frames / 1e6)


def test_the_breakdown_adds_up(report: Json) -> None:
    told = rows(report)
    *parts, total = ASKED["Time per frame, drain included"]
    values = [told[part]["value"] for part in parts]
    assert sum(values) == pytest.approx(told[total]["value"]) and all(value >= 0 for value in values)
    capture = report["modes"]["record"]["phases"]["capture"]
    assert told["Capture"]["value"] == pytest.approx(capture["total_ns"] / report["modes"]["record"]["frames"] / 1e6)
    assert told["Encode"]["value"] > 0 and told["Everything else"]["value"] < 0.1 * told[total]["value"]


def test_the_baseline_and_the_video(report: Json) -> None:
    told = rows(report)
    added = told["Recording adds"]
    none = told["The same steps without a renderer (mode none)"]["value"]
    assert none + added["value"] == pytest.approx(told["Sum"]["value"], rel=1e-3)
    assert added["note"].startswith("95 %: +") and "3 against 3 runs" in added["note"]
    assert told["Making each picture and dropping it adds"]["value"] is None
    video = report["runs"][0]["video"]
    assert told["Video path"]["value"] == "01-record/play_video.mp4" and told["Video size"]["value"] == video["bytes"]
    assert told["Video duration"]["value"] == pytest.approx(video["frames"] / video["fps"])


def test_the_environment_and_the_command(report: Json) -> None:
    told = rows(report)
    environment = report["environment"]
    assert told["OS"]["value"] == environment["os"] and told["Python"]["value"] == environment["python"]
    assert environment["motrixsim_build"]["build_id"] in told["Motrix"]["value"]
    assert told["GPU driver"]["value"] is None and "NVML" in told["GPU driver"]["note"]
    assert told["Exact command"]["value"].startswith("python -m tools.run_record")
    assert told["UniLab"]["value"] is None and told["UniLab"]["note"] == "UniLab was not run"


def test_unilabs_own_rows(report: Json) -> None:
    report["environment"]["unilab"] = {
        "python": "3.10.1",
        "packages": {"unilab": "1.5.2"},
        "commits": {"unilab": "0123abc"},
        "motrixsim_build": {"version": "0.10.1", "build_id": "ff"},
        "command": ["eval", "--load-run", "mine"],
        "overrides": ["a=1", "+b=2"],
    }
    report["runs"][0]["workload"]["checkpoint"] = {"path": "logs/ppo/Task/mine/model_1.pt", "sha256": "aa"}
    told = rows(report)
    assert told["UniLab"]["value"] == "1.5.2, commit 0123abc" and told["UniLab run id"]["value"] == "mine"
    assert told["Hydra overrides"]["value"] == "a=1 +b=2" and told["UniLab's command"]["value"].startswith("eval ")
    assert told["Python"]["value"] == "3.10.1" and told["Motrix"]["value"] == "0.10.1, build id ff"
    assert told["Checkpoint"] | {"note": "sha256 aa", "value": "logs/ppo/Task/mine/model_1.pt"} == told["Checkpoint"]


def test_without_a_recording_every_row_says_why(report: Json) -> None:
    report["runs"] = [run for run in report["runs"] if run["mode"] == "none"]
    report["modes"] = {"none": report["modes"]["none"]}
    report["comparison"] = {"unknown": "no completed run of mode record; use --mode both", "rungs": []}
    report["verdict"] = judge(report["runs"], report["environment"], report["modes"])
    told = rows(report)
    assert {group: [row["item"] for row in told.values() if row["group"] == group] for group in ASKED} == ASKED
    for item in (*ASKED["Result"], *ASKED["Time per frame, drain included"], *ASKED["Video"]):
        assert told[item]["value"] is None and "mode record" in told[item]["note"], item
    assert told["Is the slowness expected?"]["value"] == OPEN


def test_a_program_of_ones_own_has_its_rows(report: Json) -> None:
    """It has one mode, custom: the rows are over that, and no advice names a mode that it has not."""
    report["runs"] = [run | {"mode": "custom"} for run in report["runs"] if run["mode"] == "record"]
    report["modes"] = {"custom": report["modes"]["record"]}
    report["comparison"] = {"unknown": "no completed run of mode record and none; use --mode both", "rungs": []}
    told = rows(report)
    for item in (*ASKED["Result"], *ASKED["Time per frame, drain included"], *ASKED["Video"]):
        assert told[item]["value"] is not None or item == "Resets per frame", item
    for item in ASKED["Against the baseline"]:
        assert told[item]["value"] is None and "has no modes" in told[item]["note"]
    assert "Over the quiet completed runs of mode custom." in render_markdown({**report, "benchmark": [*told.values()]})


def test_they_lead_the_report(report: Json) -> None:
    text = render_markdown(report)
    assert text.index("## The benchmark in rows") < text.index("## Warnings") < text.index("## Runs")
    for group, items in ASKED.items():
        assert f"{group}:" in text
        for item in items:
            assert f"| {item} |" in text
    told = rows(report)
    assert f"| Effective capture FPS | {told['Effective capture FPS']['value']:.2f} FPS |" in text


@pytest.mark.parametrize(
    ("adapter", "bucket", "answer", "owner"),
    [
        (GPU, "renderer_stall", AS_EXPECTED, "application optimisation"),
        (GPU, "renderer_gpu", PROBLEM, "Motrix renderer issue"),
        (GPU, "renderer_cpu", PROBLEM, "Motrix renderer issue"),
        (GPU, "python_overhead", NEITHER, "application optimisation"),
        (GPU, "encoder", NEITHER, "application optimisation"),
        (GPU, "simulation", NEITHER, "application optimisation"),
        (GPU, "system", HERE, "no action"),
        (GPU, "unexplained", OPEN, OPEN),
    ],
)
def test_judged_by_the_bucket_that_leads(report: Json, adapter: Json, bucket: str, answer: str, owner: str) -> None:
    changed = with_buckets(report, adapter, **{bucket: (0.8, 0.7, 0.9), "policy": (0.2, 0.1, 0.3)})
    told = judgement(changed)
    assert (told["answer"], told["owner"]) == (answer, owner) and told["reason"] and told["action"]


def test_unilab_is_named(report: Json) -> None:
    report["environment"]["unilab"] = {}
    changed = with_buckets(report, GPU, renderer_stall=(0.8, 0.7, 0.9))
    assert judgement(changed)["owner"] == "UniLab optimisation"


def test_a_software_adapter_says_nothing_of_the_renderer(report: Json) -> None:
    software = report["runs"][0]["adapter"]
    told = judgement(with_buckets(report, software, renderer_gpu=(0.8, 0.7, 0.9)))
    assert (told["answer"], told["owner"]) == (HERE, "no action") and software["name"] in told["reason"]
    report["environment"]["gpus"] = [{"name": "NVIDIA H100", "nvenc": False}]
    told = judgement(with_buckets(report, software, renderer_gpu=(0.8, 0.7, 0.9)))
    assert "libnvidia-gl" in told["action"], "a GPU without its Vulkan driver: that is what to do"


@pytest.mark.parametrize("bucket", ["renderer_gpu", "renderer_cpu", "renderer_stall"])
def test_on_a_software_adapter_all_owners_agree(report: Json, bucket: str) -> None:
    """The headline, the answer and the row never name the renderer or the application for a rasterizer on the CPU."""
    software = report["runs"][0]["adapter"]
    changed = with_buckets(report, software, **{bucket: (0.8, 0.7, 0.9)})
    told = judgement(changed)
    assert (told["answer"], told["owner"], changed["verdict"]["owner"]) == (HERE, "no action", "runtime set-up")
    assert told["action"] == changed["verdict"]["action"] and "Vulkan driver" in told["action"]


@pytest.mark.parametrize(
    ("running", "evidence", "starved"),
    [(1, "cpu counters", True), (9, "cpu counters", False), (1, "thread samples", False)],
)
def test_a_stall_on_a_busy_machine_is_not_told_as_one(report: Json, running: int, evidence: str, starved: bool) -> None:
    """Threads that want a core look idle to counters; the loop thread's own wait for one says how busy it was."""
    for run in report["runs"]:
        own = [("running", "native_or_python", "python_overhead", running), ("runnable", "run_queue", "system", 3)]
        run["causes"] = [{"state": state, "cause": cause, "bucket": bucket, "ns": ns, "evidence": "thread clock"}
                         for state, cause, bucket, ns in own]  # fmt: skip
        stall = {"state": "blocked", "cause": "nobody", "bucket": "renderer_stall", "ns": 9, "evidence": evidence}
        run["causes"].append(stall)
    changed = with_buckets(report, GPU, renderer_stall=(0.8, 0.7, 0.9))
    verdict, told = changed["verdict"], judgement(changed)
    assert verdict["starved"] is verdict["abstains"] is starved
    findings = [found["detail"] for found in verdict["preflight"] if found["finding"] == "busy machine"]
    assert findings == (
        ["the loop thread waited for a core 75% of the time that it wanted one"] if running == 1 else []
    )
    assert (told["answer"], told["owner"]) == ((OPEN, OPEN) if starved else (AS_EXPECTED, "application optimisation"))


def test_inside_the_bounds_it_abstains(report: Json) -> None:
    told = judgement(with_buckets(report, GPU, renderer_stall=(0.6, 0.3, 0.7), renderer_gpu=(0.4, 0.3, 0.7)))
    assert (told["answer"], told["owner"]) == (OPEN, OPEN)
    assert "Renderer stall, Renderer GPU may lead" in told["reason"] and "Nsight Systems" in told["action"]


def test_buckets_that_agree_need_not_be_told_apart(report: Json) -> None:
    changed = with_buckets(report, GPU, renderer_cpu=(0.6, 0.3, 0.7), renderer_gpu=(0.4, 0.3, 0.7))
    assert changed["verdict"]["abstains"] and judgement(changed)["answer"] == PROBLEM


def test_a_third_that_may_lead_counts(report: Json) -> None:
    bounds = {"renderer_cpu": (0.4, 0.2, 0.7), "renderer_gpu": (0.35, 0.2, 0.7), "encoder": (0.25, 0.1, 0.5)}
    assert judgement(with_buckets(report, GPU, **bounds))["answer"] == OPEN


@pytest.mark.parametrize(("added", "hi", "slow"), [(4.0, 6.0, False), (4.0, 30.0, True), (4.0, None, False)])
def test_what_adds_little_is_not_slow(report: Json, added: float, hi: float | None, slow: bool) -> None:
    changed = with_buckets(report, GPU, renderer_gpu=(0.8, 0.7, 0.9))
    entry = {"new": 100.0, "base": 96.0, "difference": added, "lo": hi and 1.0, "hi": hi, "ratio": 1.04}
    changed["comparison"] = {"unknown": None, "frame_with_drain_ns": entry, "repeats": [3, 3], "rungs": []}
    told = judgement(changed)
    assert told["answer"] == (PROBLEM if slow else NOT_SLOW)
    assert slow or told["owner"] == "no action"


def test_every_bucket_has_a_rule() -> None:
    for software in (True, False):
        for table in (RULES, JUDGEMENTS):
            buckets = [rule.bucket for rule in table if rule.software in (None, software)]
            assert sorted(buckets) == sorted(BUCKETS), "each exactly once"
