"""Motrix's headless renderer as UniLab uses it: one picture of all environments per call."""

from __future__ import annotations

import math

import numpy as np
from motrixsim import SceneData, SceneModel
from motrixsim.render import RenderApp, RenderSettings

from ..errors import MotraceError
from ..record.annotate import span
from .video import Picture

SPACING_M = 2.0


class MotrixCamera:
    """The system camera of a headless RenderApp."""

    def __init__(self, model: SceneModel, num_envs: int, width: int, height: int) -> None:
        """Launch the renderer. Takes a second: the constructor of RenderApp alone does."""
        model.cameras.set_system_render_target("image", width, height)
        settings = RenderSettings.performance()
        settings.enable_shadow = True
        # INFO makes the renderer print which Vulkan adapter it chose; it prints little else.
        self._app = RenderApp(log_level="INFO", headless=True)
        self.num_envs = num_envs
        self._side = side = math.ceil(math.sqrt(num_envs))
        self._offsets = [
            [(index % side - (side - 1) / 2) * SPACING_M, (index // side - (side - 1) / 2) * SPACING_M, 0.0]
            for index in range(num_envs)
        ]
        self._app.launch(model, batch=num_envs, render_offset=self._offsets, render_settings=settings)
        self._camera = self._app.system_camera
        self._overview()

    def _overview(self) -> None:
        self._camera.set_view([0.0, 0.0, 0.6], 2.4 + 1.6 * self._side, -20.0, 90.0)

    def look_at(self, env: int | None) -> None:
        """Show one environment and none of the others, or all (None), from the next picture on."""
        if env is None:
            self._app.set_all_scene_vis(True)
            self._overview()
        else:
            self._app.set_all_scene_vis(False)
            self._app.set_scene_vis([env], True)
            x, y, _ = self._offsets[env]
            self._camera.set_view([x, y, 0.6], 2.6, -20.0, 90.0)

    def capture(self, data: SceneData) -> Picture:
        """A picture (height, width, 4) of uint8 of the state in ``data``. Blocks until it is there.

        Spans: ``submit``, ``wait``, ``take``.
        """
        with span("submit"):
            task = self._camera.capture()
        with span("wait"):
            self._app.sync(data, wait=True)
        with span("take"):
            image = task.take_image()
            if image is None:
                raise MotraceError(f"the renderer gave no picture after sync(wait=True): its task is {task.state!r}")
            return np.asarray(image.pixels)

    def close(self) -> None:
        """End the renderer's threads."""
        self._app.close()
