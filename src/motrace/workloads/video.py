"""Frame sinks, and what a finished video holds."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import MotraceError, not_installed
from ..record.annotate import span
from ..record.spans import Span
from ..run_folder import JsonObject, Manifest

Picture = NDArray[np.uint8]

BLANK_STD = 2.0
"""A picture whose channels all vary less than this (standard deviation, of 255) is blank."""

PROBE_WIDTH, PROBE_HEIGHT = 64, 36


def is_blank(picture: Picture) -> bool:
    """Whether a picture (height, width, 3 or 4) shows nothing but one colour."""
    return bool(picture[..., :3].reshape(-1, 3).std(axis=0).max() < BLANK_STD)


def use_bundled_ffmpeg() -> None:
    """Make mediapy use imageio-ffmpeg's binary, so that no system ffmpeg is needed. Takes 50 ms: it runs it once."""
    import imageio_ffmpeg
    import mediapy

    mediapy.set_ffmpeg(imageio_ffmpeg.get_ffmpeg_exe())


class BufferedSink:
    """Keeps every frame and encodes them all at the end, as UniLab does."""

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.fps = fps
        self.frames: list[Picture] = []

    def add(self, frame: Picture) -> None:
        """Take a frame (height, width, 3) of uint8; the caller gives up its array."""
        self.frames.append(frame)

    def close(self) -> int:
        """Encode what was added with ``mediapy.write_video``; returns the number of frames.

        ``use_bundled_ffmpeg`` must have been called, or an ffmpeg be on the PATH.
        Spans: ``encode``, with ``encode.write`` from the first frame's hand-over to the last's and
        ``encode.finish`` until the file is complete.
        """
        import mediapy

        if not self.frames:
            return 0
        finish = span("encode.finish")
        frames = _between(self.frames, finish)
        with span("encode"):
            try:
                mediapy.write_video(self.path, frames, fps=self.fps)
            except (RuntimeError, OSError) as error:
                raise MotraceError(_why_not_written(self.path, error)) from error
            finally:
                frames.close()
                finish.__exit__(None, None, None)
        return len(self.frames)


def _between(frames: list[Picture], finish: Span) -> Generator[Picture, None, None]:
    """Hand out frames inside ``encode.write``, and begin ``finish`` when the last one is written."""
    try:
        with span("encode.write"):
            yield from frames
    finally:
        finish.__enter__()


def _why_not_written(path: Path, error: Exception) -> str:
    lines = str(error).strip().splitlines()
    reason = next(
        (line for line in lines if "No space left" in line or "File too large" in line), lines[-1] if lines else ""
    )
    return (
        f"the encoder could not write {path.name}: {reason or type(error).__name__}; check the space left on the disk"
    )


@dataclass(frozen=True)
class VideoFacts:
    """What a video file holds, from decoding it."""

    path: str
    frames: int
    fps: float
    duration_s: float
    bytes: int
    width: int
    height: int
    blank_frames: int
    blank_first_frames: int
    distinct_frames: int

    def as_json(self) -> JsonObject:
        """The form in which run.json and report.json hold it."""
        return dict(self.__dict__)


def probe(path: Path) -> VideoFacts:
    """Decode a video, at thumbnail size, and count. Raises MotraceError where it can't be decoded."""
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise MotraceError(not_installed(error) or str(error)) from error
    try:
        reader = imageio_ffmpeg.read_frames(str(path))
        meta = next(reader)
        reader.close()
    except (OSError, RuntimeError, StopIteration) as error:
        raise MotraceError(
            f"{path.name} can't be decoded: {str(error).splitlines()[0] if str(error) else 'no frames'}"
        ) from error
    command = (
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        str(path),
        "-vf",
        f"scale={PROBE_WIDTH}:{PROBE_HEIGHT}",
    )
    raw = subprocess.run((*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"), capture_output=True).stdout
    size = PROBE_WIDTH * PROBE_HEIGHT * 3
    pictures = np.frombuffer(raw[: len(raw) // size * size], np.uint8).reshape(-1, PROBE_HEIGHT, PROBE_WIDTH, 3)
    width, height = meta["source_size"]
    blank = [is_blank(picture) for picture in pictures]
    return VideoFacts(
        path=path.name,
        frames=len(pictures),
        fps=float(meta["fps"]),
        duration_s=len(pictures) / float(meta["fps"]),
        bytes=path.stat().st_size,
        width=width,
        height=height,
        blank_frames=sum(blank),
        blank_first_frames=blank.index(False) if False in blank else len(blank),
        distinct_frames=len({picture.tobytes() for picture in pictures}),
    )


def missing_frames(manifest: Manifest, video: VideoFacts | None, unknown: str | None) -> str | None:
    """What is missing in the video of a run that says how many frames it should hold; None if nothing is."""
    expected = (manifest.get("workload") or {}).get("video_frames")
    if not expected or manifest.get("mode") != "record":
        return None
    if video is None:
        return f"it made {expected} frames and no video: {unknown}"
    return None if video.frames == expected else f"the video holds {video.frames} of {expected} frames"
