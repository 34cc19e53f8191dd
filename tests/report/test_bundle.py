"""play.json: what is written reads back, in IsaacLab's shape, and values that make no sense are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motrace.analysis import Analysis, load, write
from motrace.dataset.facts import Gpu
from motrace.errors import MotraceError
from motrace.findings.model import Report
from motrace.findings.run_model import Pool
from motrace.findings.values import EpisodeStatistics, ResetCost, Spread
from motrace.report.isaaclab.bundle import play_bundle
from motrace.report.isaaclab.schema import BundleIdentity, EnvironmentStepTiming, MeanStd, PlayBundle
from tests.conftest import ROOT
from tests.reports import phases

Json = dict[str, Any]

# IsaacLab's PlayBundle, schema 1.2: every field that it has, by path.
FIELDS = {
    "": "run versions hardware runtime resources success_rate reward ep_length checkpoint_path video_path extra "
        "schema_version",
    "run": "run_id framework config task seed start_time_utc end_time_utc duration_s status num_envs max_iterations",
    "run.config": "physics_backend rendering_backend presets",
    "versions": "isaaclab isaacsim kit newton warp mjwarp torch rsl_rl rl_games skrl sb3 git_commit git_branch "
                "git_dirty numpy isaaclab_newton isaaclab_physx isaaclab_ov isaaclab_tasks isaaclab_rl ovrtx ovphysx "
                "mujoco cuda_bindings usd_core isaaclab_release",
    "hardware": "hostname gpu_devices cpu_name cpu_count ram_gb",
    "runtime": "startup_time_s iterations_completed total_wall_time_s steps_per_iteration iteration_time_s "
               "collection_fps total_fps iterations_per_s environment_step_timing",
    "runtime.startup_time_s": "app_launch env_creation first_step python_imports task_config",
    "runtime.iteration_time_s": "mean std peak",
    "runtime.environment_step_timing": "environment_step_time_s environment_step_fps simulation_step_time_s "
        "outside_simulation_step_time_s outside_simulation_step_fraction environment_step_calls simulation_step_calls "
        "measurement_mode",
    "resources": "gpu_util_pct gpu_mem_gb cpu_util_pct ram_gb",
}  # fmt: skip


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """A committed recording: three runs of record, three of none, 4 environments."""
    return load(ROOT / "traces" / "demo-llvmpipe")


@pytest.fixture(scope="module")
def bundle(analysis: Analysis) -> PlayBundle:
    made = play_bundle(analysis.report)
    assert made is not None
    return made


def at(data: Any, path: str) -> Any:
    """What is in nested objects at a dotted path."""
    for name in path.split(".") if path else ():
        data = data[name]
    return data


def test_it_reads_back_as_it_was_written(analysis: Analysis, bundle: PlayBundle, tmp_path: Path) -> None:
    write(analysis, tmp_path)
    text = (tmp_path / "play.json").read_text()
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert PlayBundle.from_json(data) == bundle
    assert data["schema_version"] == "1.2"
    for path, names in FIELDS.items():
        assert sorted(at(data, path)) == sorted(names.split()), path


def test_values_are_those_of_the_report(analysis: Analysis, bundle: PlayBundle) -> None:
    pool = analysis.report.pool("record")
    assert pool is not None
    runtime, envs, frame, by_name = bundle.runtime, 4, pool.frame, phases(pool)
    assert runtime.iterations_completed == pool.frames and runtime.steps_per_iteration == envs
    assert runtime.iteration_time_s.mean == pytest.approx(frame.mean_ns / 1e9, rel=1e-6)
    assert runtime.iteration_time_s.peak == pytest.approx(frame.max_ns / 1e9)
    assert runtime.total_wall_time_s == pytest.approx(pool.recording_wall_ns / 1e9)
    assert runtime.total_fps.mean == pytest.approx(envs * (pool.effective_fps or 0))
    assert runtime.collection_fps.mean == pytest.approx(envs * pool.frames / (frame.total_ns / 1e9))
    assert runtime.total_fps.mean < runtime.collection_fps.mean <= (runtime.collection_fps.peak or 0)
    timing = runtime.environment_step_timing
    assert timing is not None and timing.environment_step_calls == pool.frames
    assert timing.environment_step_time_s.mean == pytest.approx(by_name["step"].time.mean_ns / 1e9, rel=1e-6)
    first = analysis.report.runs[0]
    assert bundle.run.start_time_utc == first.start_utc and bundle.run.num_envs == envs
    assert bundle.run.duration_s > first.run_wall_ns / 1e9
    assert bundle.hardware.hostname == "" and bundle.versions.torch
    assert bundle.checkpoint_path and bundle.video_path == "01-record/play_video.mp4"
    extra = bundle.extra or {}
    assert extra["phase_capture_ms_p50"] == by_name["capture"].time.p50_ns / 1e6
    assert extra["residual_ns"] == 0 and extra["owner"] == "setup"
    assert all(isinstance(value, int | float | str | bool) for value in extra.values())


def with_pool(report: Report, change: Callable[[Pool], Pool]) -> Report:
    """The report with its pool of mode record changed."""
    return replace(report, pools=tuple(change(one) if one.key.mode == "record" else one for one in report.pools))


def test_gpus_and_episodes_where_they_are_known(analysis: Analysis) -> None:
    spread = Spread(2.0, 1.0, 1.0, 3.0, 2)
    memory = Spread(*(value * 1024**3 for value in (2.0, 1.0, 1.0, 3.0)), 2)
    nothing = ResetCost(None, None)
    episodes = EpisodeStatistics(4, 2, 2, 0, 2, 0.5, spread, spread, 0.1, 0, None, None, nothing, nothing)

    def change(pool: Pool) -> Pool:
        runtime = replace(pool.runtime, gpu_utilisation_pct=spread, gpu_memory_bytes=memory)
        return replace(pool, episodes=episodes, runtime=runtime)

    environment = replace(analysis.report.environment, gpus=[Gpu("H200", 141 * 1024**3, "9.0")])
    made = play_bundle(replace(with_pool(analysis.report, change), environment=environment))
    assert made is not None and made.reward == MeanStd(2.0, 1.0, 3.0) and made.success_rate == 0.5
    assert made.resources.gpu_util_pct == MeanStd(2.0, 1.0, None) and made.resources.gpu_mem_gb == made.reward
    assert made.hardware.gpu_devices[0].mem_gb == 141.0
    assert PlayBundle.from_json(json.loads(json.dumps(made.as_json()))) == made


def test_without_a_completed_run_of_record_there_is_none(analysis: Analysis, tmp_path: Path) -> None:
    report = analysis.report
    assert play_bundle(replace(report, pools=())) is None
    cut = replace(report, runs=tuple(replace(run, status="interrupted") for run in report.runs))
    assert play_bundle(cut) is None
    write(analysis, tmp_path)
    write(Analysis(analysis.home, cut, analysis.dataset), tmp_path)
    assert not (tmp_path / "play.json").exists(), "the one of an analysis before this one is gone"


def test_a_report_that_would_break_it_is_refused(analysis: Analysis, tmp_path: Path) -> None:
    def change(pool: Pool) -> Pool:
        return replace(pool, runtime=replace(pool.runtime, frame_s=Spread(1.0, float("nan"), 1.0, 1.0, 1)))

    with pytest.raises(MotraceError, match=r"the report would break its schema .*pools.*std"):
        write(Analysis(analysis.home, with_pool(analysis.report, change), analysis.dataset), tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema_version", "2.0", "matching regex"),
        ("success_rate", 1.5, "<= 1.0"),
        ("run.status", "fine", "Invalid enum value 'fine'"),
        ("run.duration_s", -1.0, ">= 0.0"),
        ("run.duration_s", 1e6, "end minus start"),
        ("run.start_time_utc", "yesterday", "Invalid isoformat"),
        ("run.seed", "0", "Expected `int`, got `str`"),
        ("run.seed", True, "Expected `int`, got `bool`"),
        ("run.num_envs", 0, ">= 1"),
        ("run.config.presets", "one", "Expected `array`, got `str`"),
        ("versions.torch", None, "Expected `str`, got `null`"),
        ("hardware.gpu_devices", [{"name": "x"}], "missing required field `mem_gb`"),
        ("runtime.iteration_time_s.peak", 1e-9, "is below the mean"),
        ("runtime.iteration_time_s.std", -1.0, ">= 0.0"),
        ("runtime.iteration_time_s", 3.0, "Expected `object`, got `float`"),
        ("runtime.total_fps.mean", float("inf"), "Expected `float` <="),
        ("runtime.total_fps.mean", float("nan"), "Expected `float` >="),
        ("runtime.total_wall_time_s", -1.0, ">= 0.0"),
        ("runtime.startup_time_s.first_step", -0.1, ">= 0.0"),
        ("runtime.environment_step_timing.environment_step_calls", 0, ">= 1"),
        ("runtime.environment_step_timing.simulation_step_calls", 3, "does not go with host_return"),
        ("runtime.environment_step_timing.measurement_mode", "guessed", "Invalid enum value 'guessed'"),
        ("extra", {"phases": {"a": 1}}, "got `object`"),
        ("extra", {"nan": float("nan")}, "Expected `float` >="),
    ],
)
def test_bad_values_are_refused(bundle: PlayBundle, path: str, value: Any, message: str) -> None:
    """The message says what is wrong, and in which object or field."""
    data = bundle.as_json()
    parent, _, name = path.rpartition(".")
    at(data, parent)[name] = value
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        PlayBundle.from_json(data)
    assert f"$.{parent}" in str(caught.value)


def test_what_is_missing_is_refused_and_what_is_new_is_passed_over(bundle: PlayBundle) -> None:
    data: Any = bundle.as_json()
    data["schema_version"], data["later"], data["resources"]["devices"] = "1.7", {"x": 1}, {}
    assert PlayBundle.from_json(data) == replace(bundle, schema_version="1.7")
    del data["runtime"]["total_fps"]
    with pytest.raises(ValueError, match="missing required field `total_fps`"):
        PlayBundle.from_json(data)


def test_a_bundle_of_wrong_parts_can_not_be_made(bundle: PlayBundle) -> None:
    with pytest.raises(ValueError, match=r"PlayBundle\.reward"):
        replace(bundle, reward=3.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"BundleIdentity\.status"):
        replace(bundle.run, status="running")  # type: ignore[arg-type]
    assert isinstance(bundle.run, BundleIdentity)


numbers = st.floats(1e-6, 1e3)


@given(numbers, st.floats(0, 10), st.one_of(st.none(), numbers))
def test_a_peak_is_no_less_than_the_mean(mean: float, std: float, peak: float | None) -> None:
    if peak is not None and peak < mean - 1e-6:
        with pytest.raises(ValueError, match="is below the mean"):
            MeanStd(mean, std, peak)
    else:
        assert MeanStd(mean, std, peak).peak == peak


@given(numbers, st.floats(0, 1), st.floats(-0.5, 0.5).filter(lambda by: abs(by) > 1e-6))
def test_a_split_step_adds_up(whole: float, share: float, wrong: float) -> None:
    """Environment time is simulation plus outside, to 1e-9; anything else is refused."""
    outside = whole * share

    def timing(outside_s: float, fraction: float) -> EnvironmentStepTiming:
        parts = (MeanStd(whole, 0.0), MeanStd(1 / whole, 0.0), MeanStd(whole - outside, 0.0), MeanStd(outside_s, 0.0))
        return EnvironmentStepTiming(*parts, fraction, 1, 1, "serialized_synchronized")

    assert timing(outside, outside / whole).environment_step_time_s.mean == whole
    with pytest.raises(ValueError, match="not simulation plus outside"):
        timing(outside + wrong * whole, outside / whole)
    with pytest.raises(ValueError, match="fraction"):
        timing(outside, outside / whole + wrong)
