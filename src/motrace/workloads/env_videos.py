"""A video of each environment: the one camera goes from robot to robot, each picture straight to an encoder.

Motrix draws all environments with one system camera; a camera of the model itself exists once, in
the first environment. The view that is set applies to the very next picture, so the camera can go
round: one more capture per environment and step, and one encoder process each.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from motrixsim import SceneData

from ..errors import MotraceError
from ..record.annotate import span
from ..run_folder import JsonObject
from .motrix_camera import MotrixCamera

PATTERN = "env-{:03d}.mp4"


class EnvVideos:
    """Open for as long as frames come; frame i of each video is step i of the loop.

    Spans: ``env_videos`` in each frame, with the camera's own and ``encode.write``; at the end
    ``encode``, with ``encode.finish``.
    """

    def __init__(self, camera: MotrixCamera, run_dir: Path, size: tuple[int, int], fps: float) -> None:
        self._camera = camera
        self.paths = [run_dir / PATTERN.format(env) for env in range(camera.num_envs)]
        self._encoders = [_encoder(path, size, fps) for path in self.paths]
        self.frames = 0

    def film(self, data: SceneData) -> None:
        """A picture of each environment of the state in ``data``, each into its video. Raises MotraceError."""
        with span("env_videos"):
            for env, encoder in enumerate(self._encoders):
                self._camera.look_at(env)
                picture = self._camera.capture(data)
                with span("encode.write"):
                    assert encoder.stdin is not None, "it was opened with a pipe"
                    try:
                        encoder.stdin.write(np.ascontiguousarray(picture).data)
                    except OSError as error:
                        self.close()  # says what the encoder said
                        raise MotraceError(f"the encoder of {self.paths[env].name}: {error.strerror}") from error
            self._camera.look_at(None)
            self.frames += 1

    def close(self) -> JsonObject:
        """Complete the files; what the manifest holds of them. Raises MotraceError where one could not be written."""
        with span("encode"), span("encode.finish"):
            said = [encoder.communicate()[1].decode(errors="replace") for encoder in self._encoders]
        ended = list(zip(self.paths, self._encoders, said))
        self._encoders = []
        for path, encoder, words in ended:
            if encoder.returncode:
                last = (words.strip().splitlines() or ["it said nothing"])[-1]
                raise MotraceError(f"the encoder could not write {path.name}: {last[:200]}")
        return {"count": len(self.paths), "frames": self.frames, "pattern": PATTERN}


def _encoder(path: Path, size: tuple[int, int], fps: float) -> subprocess.Popen[bytes]:
    """An ffmpeg that takes RGBA pictures (width, height) through its pipe."""
    take = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "-")
    make = ("-an", "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-pix_fmt", "yuv420p", str(path))
    command = (imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *take, *make)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
