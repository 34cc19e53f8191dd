"""The shape of ``play.json``: IsaacLab's benchmark bundle for playback, schema 1.2, checked value by value.

Field names, units and rules are IsaacLab's (docs/bundle.md says what is an extension of ours). A
value of a wrong type, a number that is not finite, or a broken rule raises ValueError, when a
bundle is made and when it is read.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from ...dataset.checked import Checked, made

SCHEMA_VERSION = "1.2"
Scalar = float | int | str | bool


@dataclass(frozen=True)
class MeanStd(Checked):
    """``mean`` (for throughputs an aggregate rate), sample standard deviation, the most (where that tells anything)."""

    mean: float
    std: float
    peak: float | None = None

    def rules(self) -> list[tuple[bool, str]]:
        """A peak is no less than the mean; deviations are not negative."""
        low = self.peak is not None and self.peak < self.mean - 1e-6
        return [(low, f"peak {self.peak} is below the mean {self.mean}"), (self.std < 0, "std is negative")]


@dataclass(frozen=True)
class GpuDeviceInfo(Checked):
    """A GPU; memory in GB of 1024^3 bytes."""

    name: str
    mem_gb: float
    compute_cap: str


@dataclass(frozen=True)
class Hardware(Checked):
    """The machine; ``hostname`` is always empty here."""

    hostname: str
    gpu_devices: list[GpuDeviceInfo]
    cpu_name: str
    cpu_count: int
    ram_gb: float


@dataclass(frozen=True)
class Versions(Checked):
    """Of software; ``git_*`` are motrace's own; ``isaaclab`` is empty, since none ran."""

    isaaclab: str
    isaacsim: str | None
    kit: str | None
    newton: str | None
    warp: str | None
    mjwarp: str | None
    torch: str
    rsl_rl: str | None
    rl_games: str | None
    skrl: str | None
    sb3: str | None
    git_commit: str | None
    git_branch: str | None
    git_dirty: bool
    numpy: str | None = None
    isaaclab_newton: str | None = None
    isaaclab_physx: str | None = None
    isaaclab_ov: str | None = None
    isaaclab_tasks: str | None = None
    isaaclab_rl: str | None = None
    ovrtx: str | None = None
    ovphysx: str | None = None
    mujoco: str | None = None
    cuda_bindings: str | None = None
    usd_core: str | None = None
    isaaclab_release: str | None = None


@dataclass(frozen=True)
class RunConfig(Checked):
    """Backends (``motrix`` is an extension) and what was asked of Hydra."""

    physics_backend: str
    rendering_backend: str = "none"
    presets: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BundleIdentity(Checked):
    """What was run, and when: ISO 8601 with an offset; ``duration_s`` lies between the two."""

    run_id: str
    framework: str | None
    config: RunConfig
    task: str
    seed: int
    start_time_utc: str
    end_time_utc: str
    duration_s: float
    status: Literal["completed", "interrupted", "crashed"]
    num_envs: int | None = None
    max_iterations: int | None = None

    def rules(self) -> list[tuple[bool, str]]:
        """The duration is what lies between begin and end."""
        start, end = (datetime.fromisoformat(text) for text in (self.start_time_utc, self.end_time_utc))
        between = max(0.0, (end - start).total_seconds())
        return [
            (self.duration_s < 0, "duration_s is negative"),
            (abs(self.duration_s - between) > 1e-3, f"duration_s {self.duration_s} is not {between}, end minus start"),
            (self.num_envs is not None and self.num_envs < 1, "num_envs is below 1"),
        ]


@dataclass(frozen=True)
class StartupTime(Checked):
    """Wall time of the parts of the start-up, s."""

    app_launch: float
    env_creation: float
    first_step: float
    python_imports: float | None = None
    task_config: float | None = None

    def rules(self) -> list[tuple[bool, str]]:
        """No time is negative."""
        return [((getattr(self, one.name) or 0) < 0, f"{one.name} is negative") for one in fields(self)]


@dataclass(frozen=True)
class EnvironmentStepTiming(Checked):
    """``env.step()`` on the host's clock, or split at synchronised borders, which then must add up."""

    environment_step_time_s: MeanStd
    environment_step_fps: MeanStd
    simulation_step_time_s: MeanStd | None
    outside_simulation_step_time_s: MeanStd | None
    outside_simulation_step_fraction: float | None
    environment_step_calls: int
    simulation_step_calls: int | None
    measurement_mode: Literal["host_return", "serialized_synchronized"]

    def rules(self) -> list[tuple[bool, str]]:
        """A split is complete or absent; its parts are the whole."""
        sim, outside = self.simulation_step_time_s, self.outside_simulation_step_time_s
        share, calls = self.outside_simulation_step_fraction, self.simulation_step_calls
        given = sum(part is not None for part in (sim, outside, share, calls))
        whole = self.environment_step_time_s.mean
        broken = [
            (self.environment_step_calls <= 0, "there are no calls"),
            (whole <= 0 or self.environment_step_fps.mean <= 0, "step time and FPS must be above 0"),
            (given != (4 if self.measurement_mode == "serialized_synchronized" else 0),
             f"a split does not go with {self.measurement_mode}, or is not complete"),
        ]  # fmt: skip
        if sim is not None and outside is not None and share is not None and whole > 0:
            together = math.isclose(whole, sim.mean + outside.mean, rel_tol=1e-9, abs_tol=1e-12)
            fits = math.isclose(share, outside.mean / whole, rel_tol=1e-9, abs_tol=1e-12)
            broken.append((not together, "step time is not simulation plus outside"))
            broken.append((not fits or not 0 <= share <= 1, "the fraction is not outside by step time"))
        return broken


@dataclass(frozen=True)
class BundleRuntime(Checked):
    """An iteration is a frame of the loop; rates count environments."""

    startup_time_s: StartupTime
    iterations_completed: int
    total_wall_time_s: float
    steps_per_iteration: int
    iteration_time_s: MeanStd
    collection_fps: MeanStd
    total_fps: MeanStd
    iterations_per_s: MeanStd
    environment_step_timing: EnvironmentStepTiming | None = None

    def rules(self) -> list[tuple[bool, str]]:
        """Counts and times are not negative."""
        return [
            (self.iterations_completed < 0, "iterations_completed is negative"),
            (self.total_wall_time_s < 0, "total_wall_time_s is negative"),
            (self.steps_per_iteration < 1, "steps_per_iteration is below 1"),
        ]


@dataclass(frozen=True)
class BundleResources(Checked):
    """What was used; null (an extension) where it was not measured."""

    gpu_util_pct: MeanStd | None
    gpu_mem_gb: MeanStd | None
    cpu_util_pct: MeanStd | None
    ram_gb: MeanStd | None


@dataclass(frozen=True)
class PlayBundle(Checked):
    """The whole of ``play.json``; ``extra`` holds scalars alone and is not part of the stable schema."""

    run: BundleIdentity
    versions: Versions
    hardware: Hardware
    runtime: BundleRuntime
    resources: BundleResources
    success_rate: float | None = None
    reward: MeanStd | None = None
    ep_length: MeanStd | None = None
    checkpoint_path: str | None = None
    video_path: str | None = None
    extra: dict[str, Scalar] | None = None
    schema_version: str = SCHEMA_VERSION

    def rules(self) -> list[tuple[bool, str]]:
        """A rate is a share; the version is one that can be read."""
        share = self.success_rate
        return [
            (share is not None and not 0 <= share <= 1, f"success_rate {share} is not a share"),
            (self.schema_version.split(".")[0] != "1", f"schema_version {self.schema_version} is not 1.x"),
        ]

    def as_json(self) -> dict[str, Any]:
        """The form in which it is written."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> PlayBundle:
        """A bundle as written; keys that a later 1.x added are passed over. Raises ValueError."""
        return made(cls, data, cls.__name__)
