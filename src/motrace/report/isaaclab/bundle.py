"""``play.json``: a report in the shape of IsaacLab's play bundle (docs/bundle.md)."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

from .schema import (
    EnvironmentStepTiming,
    GpuDeviceInfo,
    Hardware,
    MeanStd,
    PlayBundle,
    Resources,
    RunConfig,
    RunIdentity,
    Runtime,
    Scalar,
    StartupTime,
    Versions,
)

Json = dict[str, Any]

MODE = "record"
GB = 1024**3
OURS = "motrix"
UNKNOWN = "unknown"


def play_bundle(report: Json) -> PlayBundle | None:
    """The bundle of a report's quiet runs of mode record; None where none completed. Raises ValueError."""
    pool = report["modes"].get(MODE)
    runs = [run for run in report["runs"] if pool is not None and run["run_id"] in pool["runs"]]
    if pool is None or not pool["frames"] or any(run["status"] != "completed" for run in runs):
        return None
    environment = report["environment"]
    foreign = environment.get("unilab") or environment
    told, checkpoint = pool["episodes"] or {}, runs[0]["workload"]["checkpoint"]
    video = next((f"{run['run_id']}/{run['video']['path']}" for run in runs if run["video"]), None)
    envs = (report["command"].get("options") or {}).get("num_envs") or 1
    return PlayBundle(
        run=_identity(report, runs),
        versions=_versions(foreign.get("packages") or {}, environment.get("motrace") or {}),
        hardware=_hardware(environment),
        runtime=_runtime(pool, envs),
        resources=_resources(pool["runtime"]),
        success_rate=told.get("success_rate"),
        reward=_stats(told.get("return")),
        ep_length=_stats(told.get("length")),
        checkpoint_path=checkpoint and checkpoint["path"],
        video_path=video,
        extra={name: value for name, value in _extra(report, pool, foreign).items() if value is not None},
    )


def _identity(report: Json, runs: list[Json]) -> RunIdentity:
    options = report["command"].get("options") or {}
    words = (report["environment"].get("unilab") or {}).get("command", [])
    asked = dict(pairwise(words))
    workload = str(options.get("workload", UNKNOWN))
    task, seed = asked.get("--task", workload), options.get("seed", 0)
    framework = "rsl_rl" if asked.get("--algo") == "ppo" else None
    times = [run["utc"] or {"start": report["created_utc"], "end": report["created_utc"]} for run in runs]
    start, end = min(time["start"] for time in times), max(time["end"] for time in times)
    backend = OURS if workload in ("humanoid", "unilab") else UNKNOWN
    stamp = end.translate(str.maketrans("", "", ":-"))[:15]
    return RunIdentity(
        run_id=f"{framework or 'runtime'}_{backend}_{task}_{stamp}_seed{seed}",
        framework=framework,
        config=RunConfig(backend, backend, list(options.get("overrides") or [])),
        task=task,
        seed=seed,
        start_time_utc=start,
        end_time_utc=end,
        duration_s=(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(),
        status="completed",
        num_envs=options.get("num_envs"),
    )


def _versions(packages: Json, project: Json) -> Versions:
    return Versions(
        isaaclab="", isaacsim=None, kit=None, newton=None, warp=None, mjwarp=None,
        torch=packages.get("torch") or UNKNOWN, rsl_rl=packages.get("rsl-rl-lib"), rl_games=None, skrl=None, sb3=None,
        git_commit=project.get("commit"), git_branch=None, git_dirty=bool(project.get("dirty")),
        numpy=packages.get("numpy"), mujoco=packages.get("mujoco"),
    )  # fmt: skip


def _hardware(environment: Json) -> Hardware:
    gpus = [
        GpuDeviceInfo(gpu["name"], round(gpu["memory_bytes"] / GB, 2), gpu["compute_capability"])
        for gpu in environment.get("gpus") or []
    ]
    cores = environment.get("cpu_physical_cores") or environment.get("cpu_logical_cores") or 0
    memory = round((environment.get("memory_bytes") or 0) / GB, 2)
    return Hardware("", gpus, environment.get("cpu_model") or UNKNOWN, cores, memory)


def _stats(entry: Json | None, peak: bool = True, scale: float = 1.0, mean: float | None = None) -> MeanStd | None:
    """A spread as MeanStd; ``mean`` in place of its own, where that is an aggregate rate."""
    if entry is None:
        return None
    middle = entry["mean"] * scale if mean is None else mean
    return MeanStd(middle, entry["std"] * scale, entry["max"] * scale if peak else None)


def _must(stats: MeanStd | None) -> MeanStd:
    return stats if stats is not None else MeanStd(0.0, 0.0)


def _runtime(pool: Json, envs: int) -> Runtime:
    """Rates count environments: each frame is one step of all of them."""
    found, frames = pool["runtime"], pool["frames"]
    framed = found["frame_s"]["mean"] * frames
    wall = pool["recording_wall_ns"] / 1e9
    rate = frames / framed if framed else 0.0
    startup = found["startup_s"]
    step, steps = found["step_s"], found["steps_per_s"]
    timing = None
    if step is not None and steps is not None:
        fps = _must(_stats(steps, scale=envs, mean=envs / step["mean"]))
        timing = EnvironmentStepTiming(_must(_stats(step)), fps, None, None, None, step["count"], None, "host_return")
    return Runtime(
        startup_time_s=StartupTime(
            app_launch=_mean(startup["renderer"]) or 0.0,
            env_creation=_mean(startup["environment"]) or 0.0,
            first_step=_mean(found["first_frame_s"]) or 0.0,
            python_imports=_mean(startup["imports"]),
        ),
        iterations_completed=frames,
        total_wall_time_s=wall,
        steps_per_iteration=envs,
        iteration_time_s=_must(_stats(found["frame_s"])),
        collection_fps=_must(_stats(found["frames_per_s"], scale=envs, mean=envs * rate)),
        total_fps=_must(_stats(found["frames_per_s"], scale=envs, mean=envs * frames / wall if wall else 0.0)),
        iterations_per_s=_must(_stats(found["frames_per_s"], mean=rate)),
        environment_step_timing=timing,
    )


def _mean(entry: Json | None) -> float | None:
    return entry["mean"] if entry is not None else None


def _resources(found: Json) -> Resources:
    gpu = found["gpu"] or {}
    return Resources(
        gpu_util_pct=_stats(gpu.get("utilisation"), peak=False),
        gpu_mem_gb=_stats(gpu.get("memory_used"), scale=1 / GB),
        cpu_util_pct=_stats(found["cpu_pct"], peak=False),
        ram_gb=_stats(found["ram_bytes"], scale=1 / GB),
    )


def _extra(report: Json, pool: Json, foreign: Json) -> dict[str, Scalar | None]:
    """Headline scalars; those that are not known are left out."""
    verdict, environment, told = report["verdict"], report["environment"], pool["episodes"] or {}
    build, rows = foreign.get("motrixsim_build") or {}, {row["item"]: row["value"] for row in report["benchmark"]}
    phases: dict[str, Scalar | None] = {}
    for name, phase in pool["phases"].items():
        phases[f"phase_{name}_ms_mean"] = phase["mean_ns"] / 1e6
        phases[f"phase_{name}_ms_p50"] = phase["p50_ns"] / 1e6
        phases[f"phase_{name}_ms_p95"] = phase["p95_ns"] / 1e6
        phases[f"phase_{name}_share"] = phase["share"]
    return {
        "producer": f"motrace {(environment.get('motrace') or {}).get('version')}",
        "experiment": report["experiment"],
        "runs": len(pool["runs"]),
        "record_mode": MODE,
        "residual_ns": max(run["residual_ns"] for run in report["runs"]),
        "loop_fps": pool["loop_fps"],
        "effective_capture_fps": pool["effective_fps"],
        **phases,
        **{f"bucket_{name}_share": entry["share"] for name, entry in pool["buckets"].items()},
        "baseline_none_ms": rows["The same steps without a renderer (mode none)"],
        "recording_adds_ms": rows["Recording adds"],
        "verdict": verdict["bucket"],
        "verdict_abstains": verdict["abstains"],
        "expected": rows["Is the slowness expected?"],
        "owner": rows["Owner"],
        "reward_per_step": told.get("reward_per_step"),
        "episodes_open": told.get("open"),
        "resets_per_frame": told.get("resets_per_frame"),
        "unilab": rows["UniLab"],
        "motrixsim": build.get("version"),
        "motrixsim_build_id": build.get("build_id"),
        "vulkan_adapter": rows["Vulkan adapter"],
        "os": environment.get("os"),
        "kernel": environment.get("kernel"),
        "python": foreign.get("python"),
        "gpu_driver": environment.get("gpu_driver"),
        "cuda_driver": environment.get("cuda_driver"),
        "h264_encoder": environment.get("h264_encoder"),
    }
