"""The shape of ``play.json``: IsaacLab's benchmark bundle for playback, schema 1.2, checked value by value.

Field names, units and rules are IsaacLab's (docs/bundle.md says what is an extension of ours). A
value of a wrong type, a number that is not finite, or a broken rule raises ValueError, when a
bundle is made and when it is read.
"""

from __future__ import annotations

import math
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ...dataset.typed_json import Json, JsonValue

SCHEMA_VERSION = "1.2"
LARGEST = sys.float_info.max
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
"""A finite number."""
Amount = Annotated[float, Meta(ge=0, le=LARGEST)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Scalar = Number | int | str | bool


class Checked:
    """Fields are of the types that they are annotated with, and ``rules`` hold."""

    def __post_init__(self) -> None:
        name, hints = type(self).__name__, typing.get_type_hints(type(self), include_extras=True)
        for one in fields(self):  # type: ignore[arg-type]
            try:
                msgspec.convert(msgspec.to_builtins(getattr(self, one.name)), hints[one.name])
            except msgspec.ValidationError as error:
                raise ValueError(f"{name}.{one.name}: {error}") from error
        for broken, what in self.rules():
            if broken:
                raise ValueError(f"{name}: {what}")

    def rules(self) -> list[tuple[bool, str]]:
        """Whether each rule between fields is broken, and what it says."""
        return []


@dataclass(frozen=True)
class MeanStd(Checked):
    """``mean`` (for throughputs an aggregate rate), sample standard deviation, the most (where that tells anything)."""

    mean: Number
    std: Amount
    peak: Number | None = None

    def rules(self) -> list[tuple[bool, str]]:
        """A peak is no less than the mean."""
        low = self.peak is not None and self.peak < self.mean - 1e-6
        return [(low, f"peak {self.peak} is below the mean {self.mean}")]


@dataclass(frozen=True)
class GpuDeviceInfo(Checked):
    """A GPU; memory in GB of 1024^3 bytes."""

    name: str
    mem_gb: Number
    compute_cap: str


@dataclass(frozen=True)
class Hardware(Checked):
    """The machine; ``hostname`` is always empty here."""

    hostname: str
    gpu_devices: list[GpuDeviceInfo]
    cpu_name: str
    cpu_count: int
    ram_gb: Number


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
    duration_s: Amount
    status: Literal["completed", "interrupted", "crashed"]
    num_envs: Positive | None = None
    max_iterations: int | None = None

    def rules(self) -> list[tuple[bool, str]]:
        """The duration is what lies between begin and end."""
        start, end = (datetime.fromisoformat(text) for text in (self.start_time_utc, self.end_time_utc))
        between = max(0.0, (end - start).total_seconds())
        wrong = abs(self.duration_s - between) > 1e-3
        return [(wrong, f"duration_s {self.duration_s} is not {between}, end minus start")]


@dataclass(frozen=True)
class StartupTime(Checked):
    """Wall time of the parts of the start-up, s."""

    app_launch: Amount
    env_creation: Amount
    first_step: Amount
    python_imports: Amount | None = None
    task_config: Amount | None = None


@dataclass(frozen=True)
class EnvironmentStepTiming(Checked):
    """``env.step()`` on the host's clock, or split at synchronised borders, which then must add up."""

    environment_step_time_s: MeanStd
    environment_step_fps: MeanStd
    simulation_step_time_s: MeanStd | None
    outside_simulation_step_time_s: MeanStd | None
    outside_simulation_step_fraction: Fraction | None
    environment_step_calls: Positive
    simulation_step_calls: int | None
    measurement_mode: Literal["host_return", "serialized_synchronized"]

    def rules(self) -> list[tuple[bool, str]]:
        """A split is complete or absent; its parts are the whole."""
        sim, outside = self.simulation_step_time_s, self.outside_simulation_step_time_s
        share, calls = self.outside_simulation_step_fraction, self.simulation_step_calls
        given = sum(part is not None for part in (sim, outside, share, calls))
        whole = self.environment_step_time_s.mean
        broken = [
            (whole <= 0 or self.environment_step_fps.mean <= 0, "step time and FPS must be above 0"),
            (given != (4 if self.measurement_mode == "serialized_synchronized" else 0),
             f"a split does not go with {self.measurement_mode}, or is not complete"),
        ]  # fmt: skip
        if sim is not None and outside is not None and share is not None and whole > 0:
            together = math.isclose(whole, sim.mean + outside.mean, rel_tol=1e-9, abs_tol=1e-12)
            fits = math.isclose(share, outside.mean / whole, rel_tol=1e-9, abs_tol=1e-12)
            broken.append((not together, "step time is not simulation plus outside"))
            broken.append((not fits, "the fraction is not outside by step time"))
        return broken


@dataclass(frozen=True)
class BundleRuntime(Checked):
    """An iteration is a frame of the loop; rates count environments."""

    startup_time_s: StartupTime
    iterations_completed: NotNegative
    total_wall_time_s: Amount
    steps_per_iteration: Positive
    iteration_time_s: MeanStd
    collection_fps: MeanStd
    total_fps: MeanStd
    iterations_per_s: MeanStd
    environment_step_timing: EnvironmentStepTiming | None = None


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
    success_rate: Fraction | None = None
    reward: MeanStd | None = None
    ep_length: MeanStd | None = None
    checkpoint_path: str | None = None
    video_path: str | None = None
    extra: dict[str, Scalar] | None = None
    schema_version: Annotated[str, Meta(pattern=r"^1\.")] = SCHEMA_VERSION

    def as_json(self) -> dict[str, Json]:
        """The form in which it is written."""
        made: dict[str, Json] = msgspec.to_builtins(self)
        return made

    @classmethod
    def from_json(cls, data: Mapping[str, JsonValue]) -> PlayBundle:
        """A bundle as written; keys that a later 1.x added are passed over. Raises ValueError."""
        return msgspec.convert(data, cls)
