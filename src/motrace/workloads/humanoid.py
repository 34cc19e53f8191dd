"""The embedded default workload: humanoids on motrixsim, recorded by the Motrix renderer."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import mediapy  # noqa: F401  (imported here so that its time counts as imports, not as encoding)

from ..arrays import Array
from ..record.annotate import segment, span
from ..record.episodes import TRUNCATED, EpisodeLog
from ..run_folder import CHECKPOINT_FILE, VIDEO_FILE, JsonObject, sha256_of
from .env_videos import EnvVideos
from .humanoid_env import HumanoidEnv
from .loop import run_loop, warmup_rule
from .motrix_camera import MotrixCamera
from .options import RunContext
from .policy import MlpPolicy, load_policy, seeded_policy
from .video import use_bundled_ffmpeg


class HumanoidWorkload:
    """Spans of the start-up: ``environment``, ``checkpoint``, ``encoder``, ``renderer``; of the end: ``close``."""

    def __init__(self, context: RunContext) -> None:
        self.options = context.options
        self.run_dir = context.run_dir
        self.fps = float(HumanoidEnv.fps)
        self.camera: MotrixCamera | None = None
        self.videos: EnvVideos | None = None
        self.episodes = EpisodeLog(success=TRUNCATED, reward="(1 + z of the up axis) / 2; 0 when it falls")

    def run(self) -> JsonObject:
        """The whole run; see ``Workload.run``."""
        with span("environment"):
            self.env = HumanoidEnv(self.options.num_envs, self.options.seed)
        with span("checkpoint"):
            policy, checkpoint = self._policy()
            self.policy = policy.to_device()
        if self.options.mode == "record":
            with span("encoder"):
                use_bundled_ffmpeg()
        if self.options.mode != "none":
            with span("renderer"):
                self.camera = MotrixCamera(
                    self.env.model, self.options.num_envs, self.options.width, self.options.height
                )
        try:
            if self.options.video_per_env and self.options.mode == "record":
                self.videos = self._open_videos()
            facts = run_loop(self, self.options, self.run_dir / VIDEO_FILE)
            videos = self.videos.close() if self.videos is not None else None
            segment("shutdown")
            return {
                **asdict(facts),
                "env_videos": videos,
                "checkpoint": checkpoint,
                "device": self.policy.device,
                "falls": self.env.falls,
                "state_sha256": self.env.state_sha256(),
                "warmup_rule": warmup_rule(self.options),
            }
        finally:
            if self.camera is not None:
                with span("close"):
                    self.camera.close()
            self.episodes.write(self.run_dir)

    def _open_videos(self) -> EnvVideos:
        assert self.camera is not None, "mode record has a camera"
        with span("encoder"):
            return EnvVideos(self.camera, self.run_dir, (self.options.width, self.options.height), self.fps)

    def _policy(self) -> tuple[MlpPolicy, JsonObject]:
        given = self.options.checkpoint
        path = Path(given) if given else self.run_dir / CHECKPOINT_FILE
        if given:
            policy = load_policy(path)
        else:
            policy = seeded_policy(self.options.seed)
            policy.save(path)
        name = given or os.path.relpath(path, self.run_dir)
        return policy, {
            "path": name,
            "sha256": sha256_of(path),
            "origin": "given" if given else f"seed {self.options.seed}",
        }

    # -- what the loop drives (loop.Stage) ------------------------------------------------------

    def reset(self) -> None:
        """Back to the seed's state."""
        self.env.reset_all()
        self.episodes.reset()

    def act(self) -> Array:
        """Observe, and ask the policy."""
        return self.policy.act(self.env.observe())

    def step(self, actions: Array) -> None:
        """One control step."""
        self.env.step(actions)
        self.episodes.step(self.env.rewards, self.env.terminated, self.env.truncated)

    def capture(self) -> Array:
        """One picture of all environments."""
        assert self.camera is not None, "capture is not called in mode none"
        return self.camera.capture(self.env.data)

    def film(self) -> None:
        """A picture of each environment, with ``--video-per-env``."""
        if self.videos is not None:
            self.videos.film(self.env.data)
