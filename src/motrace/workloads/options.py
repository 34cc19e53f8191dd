"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import cast

from ..errors import UsageError, close_to
from ..run_folder import JsonObject, JsonValue
from .process import ProcessCommand, worker

MODES = ("record", "capture", "none")
"""record: everything. capture: pictures are made and dropped. none: the same steps, no renderer."""

UNILAB = "unilab"
DEFAULT_WORKLOAD = "humanoid"
MOST_SEED = (1 << 63) - 1
"""torch takes no more."""
MOST_VIDEOS = 64
"""Environments that get a video of their own: each has an encoder process."""
BUILT_IN = {
    DEFAULT_WORKLOAD: "motrace.workloads.humanoid:HumanoidWorkload",
    UNILAB: "motrace.workloads.unilab:UniLab",  # in an interpreter of its own
}


@dataclass(frozen=True)
class Options:
    """Options of one run; the same for every run of an experiment, but for ``mode``."""

    workload: str = DEFAULT_WORKLOAD
    mode: str = "record"
    frames: int = 60
    warmup: int = 5
    num_envs: int = 4
    width: int = 320
    height: int = 180
    seed: int = 0
    checkpoint: str | None = None
    python: str | None = None
    workload_args: tuple[str, ...] = ()
    video_per_env: bool = False

    def __post_init__(self) -> None:
        module_name, _, class_name = BUILT_IN.get(self.workload, self.workload).partition(":")
        if not module_name or not class_name:
            near = close_to(self.workload, BUILT_IN)
            raise UsageError(f"--workload {self.workload}: give {', '.join(BUILT_IN)} or MODULE:CLASS{near}")
        if self.mode not in MODES:
            raise UsageError(f"--mode {self.mode}: choose all, both, record, capture or none")
        for name, least in (("frames", 1), ("warmup", 0), ("num_envs", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be at least {least}")
        if min(self.width, self.height) < 16 or max(self.width, self.height) > 8192:
            raise UsageError(f"--size {self.width}x{self.height}: each side must be between 16 and 8192 pixels")
        if self.width % 2 or self.height % 2:
            even = f"{self.width + self.width % 2}x{self.height + self.height % 2}"
            raise UsageError(
                f"--size {self.width}x{self.height}: H.264 needs an even width and height; use --size {even}"
            )
        self._check_videos()
        if not 0 <= self.seed <= MOST_SEED:
            raise UsageError(f"--seed {self.seed}: must be between 0 and {MOST_SEED}")

    def _check_videos(self) -> None:
        if not self.video_per_env:
            return
        if self.workload != DEFAULT_WORKLOAD:
            raise UsageError(
                f"--video-per-env: {self.workload} draws all environments with a camera that motrace can't move; "
                f"use it with --workload {DEFAULT_WORKLOAD}"
            )
        if self.num_envs > MOST_VIDEOS:
            raise UsageError(
                f"--video-per-env: each environment has an encoder process: use --num-envs {MOST_VIDEOS} or less"
            )

    def with_mode(self, mode: str) -> Options:
        """The same options in another mode."""
        return replace(self, mode=mode)

    def environment(self) -> JsonObject:
        """What belongs to the environment's description beyond our own; nothing here."""
        return {}

    def warnings(self) -> tuple[str, ...]:
        """What to know before it is run; nothing here."""
        return ()

    def as_json(self) -> JsonObject:
        """The form in which manifests hold them."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, JsonValue]) -> Options:
        """Options as a manifest holds them; unknown keys are ignored."""
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        values["workload_args"] = tuple(cast("list[str]", values.get("workload_args", ())))
        return cls(**values)  # type: ignore[arg-type]  # as ``as_json`` wrote them

    def command(self, run_dir: Path) -> ProcessCommand:
        """The process of a run: motrace's own worker, in its own environment."""
        return worker(self.as_json(), run_dir)


@dataclass(frozen=True)
class RunContext:
    """What a workload is given."""

    options: Options
    run_dir: Path


@dataclass(frozen=True)
class Preset:
    """Options that belong together."""

    name: str
    about: str
    num_envs: int
    width: int
    height: int
    frames: int
    warmup: int


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("quick", "for a software adapter: minutes on two cores", 4, 320, 180, 60, 10),
        Preset("unilab", "UniLab's own defaults for the G1 dance", 16, 1280, 720, 1000, 10),
    )
}
