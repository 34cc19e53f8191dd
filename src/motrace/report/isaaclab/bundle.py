"""``play.json``: a report in the shape of IsaacLab's play bundle (docs/bundle.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

from ...dataset.facts import Environment, OptionValues, ProjectVersion
from ...findings import run_model
from ...findings.model import Report
from ...findings.run_model import Pool, RunSummary
from ...findings.values import Spread
from .schema import (
    BundleIdentity,
    BundleResources,
    BundleRuntime,
    EnvironmentStepTiming,
    GpuDeviceInfo,
    Hardware,
    MeanStd,
    PlayBundle,
    RunConfig,
    Scalar,
    StartupTime,
    Versions,
)

MODE = "record"
GB = 1024**3
OURS = "motrix"
UNKNOWN = "unknown"


def play_bundle(report: Report) -> PlayBundle | None:
    """The bundle of a report's unprofiled runs of mode record; None where none completed. Raises ValueError."""
    pool = report.pool(MODE)
    runs = [] if pool is None else report.runs_named(pool.runs)
    if pool is None or not pool.frames or not all(run.completed for run in runs):
        return None
    environment, episodes = report.environment, pool.episodes
    packages = (environment.unilab or environment).packages or {}
    checkpoint = runs[0].workload.checkpoint
    video = next((f"{run.run_id}/{run.video.path}" for run in runs if run.video is not None), None)
    return PlayBundle(
        run=_identity(report, runs),
        versions=_versions(packages, environment.motrace),
        hardware=_hardware(environment),
        runtime=_runtime(pool, _number(report, "num_envs") or 1),
        resources=_resources(pool.runtime),
        success_rate=None if episodes is None else episodes.success_rate,
        reward=None if episodes is None else _stats(episodes.returns),
        ep_length=None if episodes is None else _stats(episodes.lengths),
        checkpoint_path=None if checkpoint is None else checkpoint.path,
        video_path=video,
        extra={name: value for name, value in _extra(report, pool).items() if value is not None},
    )


def _options(report: Report) -> OptionValues:
    return {} if report.command is None else report.command.options


def _number(report: Report, option: str) -> int | None:
    value = _options(report).get(option)
    return value if isinstance(value, int) else None


def _identity(report: Report, runs: list[RunSummary]) -> BundleIdentity:
    options, unilab = _options(report), report.environment.unilab
    asked = dict(pairwise(unilab.command if unilab is not None else []))
    workload, seed = str(options.get("workload", UNKNOWN)), _number(report, "seed") or 0
    overrides = options.get("overrides")
    task, framework = asked.get("--task", workload), "rsl_rl" if asked.get("--algo") == "ppo" else None
    begun = report.created_utc or ""
    start, end = min(run.start_utc or begun for run in runs), max(run.end_utc or begun for run in runs)
    backend = OURS if workload in ("humanoid", "unilab") else UNKNOWN
    stamp = end.translate(str.maketrans("", "", ":-"))[:15]
    return BundleIdentity(
        run_id=f"{framework or 'runtime'}_{backend}_{task}_{stamp}_seed{seed}",
        framework=framework,
        config=RunConfig(backend, backend, [str(one) for one in overrides] if isinstance(overrides, list) else []),
        task=task,
        seed=seed,
        start_time_utc=start,
        end_time_utc=end,
        duration_s=(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(),
        status="completed",
        num_envs=_number(report, "num_envs"),
    )


def _versions(packages: Mapping[str, str | None], project: ProjectVersion | None) -> Versions:
    return Versions(
        isaaclab="", isaacsim=None, kit=None, newton=None, warp=None, mjwarp=None,
        torch=packages.get("torch") or UNKNOWN, rsl_rl=packages.get("rsl-rl-lib"), rl_games=None, skrl=None, sb3=None,
        git_commit=None if project is None else project.commit, git_branch=None,
        git_dirty=bool(project is not None and project.dirty),
        numpy=packages.get("numpy"), mujoco=packages.get("mujoco"),
    )  # fmt: skip


def _hardware(environment: Environment) -> Hardware:
    gpus = [
        GpuDeviceInfo(gpu.name, round(gpu.memory_bytes / GB, 2), gpu.compute_capability)
        for gpu in environment.gpus or []
    ]
    cores = environment.cpu_physical_cores or environment.cpu_logical_cores or 0
    memory = round((environment.memory_bytes or 0) / GB, 2)
    return Hardware("", gpus, environment.cpu_model or UNKNOWN, cores, memory)


def _stats(entry: Spread | None, peak: bool = True, scale: float = 1.0, mean: float | None = None) -> MeanStd | None:
    """A spread as MeanStd; ``mean`` in place of its own, where that is an aggregate rate."""
    if entry is None:
        return None
    middle = entry.mean * scale if mean is None else mean
    return MeanStd(middle, entry.std * scale, entry.max * scale if peak else None)


def _must(stats: MeanStd | None) -> MeanStd:
    return stats if stats is not None else MeanStd(0.0, 0.0)


def _runtime(pool: Pool, envs: int) -> BundleRuntime:
    """Rates count environments: each frame is one step of all of them."""
    found, frames = pool.runtime, pool.frames
    framed = found.frame_s.mean * frames if found.frame_s is not None else 0.0
    wall = pool.recording_wall_ns / 1e9
    rate = frames / framed if framed else 0.0
    step, steps = found.step_s, found.steps_per_s
    timing = None
    if step is not None and steps is not None:
        fps = _must(_stats(steps, scale=envs, mean=envs / step.mean))
        timing = EnvironmentStepTiming(_must(_stats(step)), fps, None, None, None, step.count, None, "host_return")
    return BundleRuntime(
        startup_time_s=StartupTime(
            app_launch=_mean(found.renderer_s) or 0.0,
            env_creation=_mean(found.environment_s) or 0.0,
            first_step=_mean(found.first_frame_s) or 0.0,
            python_imports=_mean(found.imports_s),
        ),
        iterations_completed=frames,
        total_wall_time_s=wall,
        steps_per_iteration=envs,
        iteration_time_s=_must(_stats(found.frame_s)),
        collection_fps=_must(_stats(found.frames_per_s, scale=envs, mean=envs * rate)),
        total_fps=_must(_stats(found.frames_per_s, scale=envs, mean=envs * frames / wall if wall else 0.0)),
        iterations_per_s=_must(_stats(found.frames_per_s, mean=rate)),
        environment_step_timing=timing,
    )


def _mean(entry: Spread | None) -> float | None:
    return entry.mean if entry is not None else None


def _resources(found: run_model.Runtime) -> BundleResources:
    return BundleResources(
        gpu_util_pct=_stats(found.gpu_utilisation_pct, peak=False),
        gpu_mem_gb=_stats(found.gpu_memory_bytes, scale=1 / GB),
        cpu_util_pct=_stats(found.cpu_pct, peak=False),
        ram_gb=_stats(found.ram_bytes, scale=1 / GB),
    )


def _extra(report: Report, pool: Pool) -> dict[str, Scalar | None]:
    """Headline scalars; those that are not known are left out."""
    environment, episodes, verdict, triage = report.environment, pool.episodes, report.verdict, report.triage
    measured = environment.unilab or environment
    build, project = measured.motrixsim_build, environment.motrace
    contrast = report.comparison.record_against_none
    adapter = next((run.adapter for run in report.runs if run.adapter is not None), None)
    phases: dict[str, Scalar | None] = {}
    for phase in pool.phases:
        phases[f"phase_{phase.phase}_ms_mean"] = phase.time.mean_ns / 1e6
        phases[f"phase_{phase.phase}_ms_p50"] = phase.time.p50_ns / 1e6
        phases[f"phase_{phase.phase}_ms_p95"] = phase.time.p95_ns / 1e6
        phases[f"phase_{phase.phase}_share"] = phase.share
    return {
        "producer": f"motrace {project.version if project is not None else None}",
        "experiment": report.experiment,
        "runs": len(pool.runs),
        "record_mode": MODE,
        "residual_ns": max(run.residual_ns for run in report.runs),
        "loop_fps": pool.loop_fps,
        "effective_capture_fps": pool.effective_fps,
        **phases,
        **{f"bucket_{one.bucket}_share": one.share for one in pool.buckets},
        "baseline_none_ms": None if contrast is None else contrast.frame_with_drain_ns.base / 1e6,
        "recording_adds_ms": None if contrast is None else contrast.frame_with_drain_ns.difference / 1e6,
        "verdict": None if verdict.leading is None else verdict.leading.bucket,
        "verdict_abstains": not verdict.certain,
        "expected": triage.answer.value,
        "owner": None if triage.owner is None else triage.owner.value,
        "reward_per_step": None if episodes is None else episodes.reward_per_step,
        "episodes_open": None if episodes is None else episodes.cut_off,
        "resets_per_frame": None if episodes is None else episodes.resets_per_frame,
        "unilab": (measured.packages or {}).get("unilab"),
        "motrixsim": None if build is None else build.version,
        "motrixsim_build_id": None if build is None else build.build_id,
        "vulkan_adapter": None if adapter is None else f"{adapter.name} ({adapter.device_type}, {adapter.driver})",
        "os": environment.os,
        "kernel": environment.kernel,
        "python": measured.python,
        "gpu_driver": environment.gpu_driver,
        "cuda_driver": environment.cuda_driver,
        "h264_encoder": environment.h264_encoder,
    }
