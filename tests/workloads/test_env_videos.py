"""A video of each environment: every step in it, its own robot in it, and none of the others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from motrace.analysis import load
from motrace.errors import MotraceError, UsageError
from motrace.findings.benchmark_codes import BenchmarkItem
from motrace.workloads.env_videos import EnvVideos
from motrace.workloads.options import Options
from motrace.workloads.video import probe
from tests.commands.test_record_errors import one_line
from tests.reports import phases, rows

FRAMES, ENVS, SIZE = 6, 3, (96, 72)


class Camera:
    """Pictures of the environment it looks at: all of one brightness."""

    num_envs = ENVS

    def __init__(self) -> None:
        self.at: int | None = None

    def look_at(self, env: int | None) -> None:
        """Turn to an environment."""
        self.at = env

    def capture(self, data: int) -> np.ndarray[Any, Any]:
        """A picture that tells the environment and the step."""
        assert self.at is not None
        return np.full((SIZE[1], SIZE[0], 4), 60 * self.at + 4 * data, np.uint8)


def brightness(path: Path) -> list[float]:
    """Mean of each frame of a video."""
    command = (imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo")
    raw = subprocess.run((*command, "-pix_fmt", "gray", "-"), capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE[0] * SIZE[1]).mean(axis=1).tolist()


def test_frame_i_is_step_i_of_its_own_environment(tmp_path: Path) -> None:
    camera = Camera()
    videos = EnvVideos(camera, tmp_path, SIZE, 50.0)  # type: ignore[arg-type]
    for step in range(FRAMES):
        videos.film(step)
        assert camera.at is None, "back to the picture of all"
    assert videos.close() == {"count": ENVS, "frames": FRAMES, "pattern": "env-{:03d}.mp4"}
    for env, path in enumerate(videos.paths):
        assert brightness(path) == pytest.approx([60 * env + 4 * step for step in range(FRAMES)], abs=3)


def test_an_encoder_that_can_not_write_says_so(tmp_path: Path) -> None:
    videos = EnvVideos(Camera(), tmp_path / "no such folder", SIZE, 50.0)  # type: ignore[arg-type]

    def film_all() -> None:
        for step in range(100):
            videos.film(step)
        videos.close()

    with pytest.raises(MotraceError, match=r"the encoder could not write env-000\.mp4: .*No such file"):
        film_all()


@pytest.mark.motrix
def test_on_the_real_renderer(run_program: Callable, tmp_path: Path) -> None:
    words = ("--video-per-env", "--mode", "both", "--frames", FRAMES, "--warmup", 2, "--num-envs", ENVS)
    run_program("-m", "tools.run_record", "--out", tmp_path, "--name", "x", "--size", "96x72", *words)
    run_dir = tmp_path / "x" / "01-record"
    told = json.loads((run_dir / "run.json").read_text())["workload"]
    assert told["env_videos"] == {"count": ENVS, "frames": FRAMES, "pattern": "env-{:03d}.mp4"}
    for env in range(ENVS):
        facts = probe(run_dir / f"env-{env:03d}.mp4")
        assert (facts.frames, facts.width, facts.height, facts.fps, facts.blank_frames) == (FRAMES, *SIZE, 50, 0)
    assert probe(run_dir / "play_video.mp4").frames == FRAMES
    assert not list((tmp_path / "x" / "02-none").glob("*.mp4"))
    one = load(tmp_path / "x")
    report = one.report
    run = report.runs[0]
    assert run.residual_ns == 0 and report.same_states is True, "filming changes nothing in the simulation"
    spans = one.tables["spans"].to_pandas().query("run == '01-record' and frame >= 0")
    counts = spans["name"].value_counts()
    assert counts["env_videos"] == FRAMES and counts["capture"] >= FRAMES + 2, "warm-up is not filmed"
    for item, phase in ((BenchmarkItem.ENV_VIDEOS, "env_videos"), (BenchmarkItem.CAPTURE, "capture")):
        assert rows(report)[item].value == pytest.approx(phases(run)[phase].time.total_ns / FRAMES / 1e6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workload": "unilab"}, "unilab draws all environments with a camera that motrace can't move"),
        ({"num_envs": 65}, "use --num-envs 64 or less"),
    ],
)
def test_where_it_can_not_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Options(video_per_env=True, **given)
    assert message in str(error.value) and str(error.value).startswith("--video-per-env: ")


def test_not_for_programs_of_others(run_program: Callable, tmp_path: Path) -> None:
    words = ("--instrument", tmp_path / "x.toml", "--video-per-env", "--", "python", "x.py")
    done = run_program("-m", "tools.run_record", *words, check=False)
    assert done.returncode == 2 and "--video-per-env is for workloads" in one_line(done)
