"""The simulation and the renderer."""

import tempfile
from pathlib import Path

import motrixsim
import numpy as np
from motrixsim.render import RenderApp, RenderSettings

from .playback import run_motrix_playback

SCENE = """<mujoco><worldbody><light pos="0 0 3"/><geom type="plane" size="5 5 .1"/>
<body name="base" pos="0 0 1"><freejoint/><geom type="sphere" size=".2"/></body></worldbody></mujoco>"""


class MotrixBackend:
    """One sphere per environment."""

    def __init__(self, num_envs):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "scene.xml")
            path.write_text(SCENE)
            self._model = motrixsim.load_model(str(path))
        self.num_envs, self._render_app = num_envs, None
        self._data = motrixsim.SceneData(self._model, batch=[num_envs])

    def heights(self):
        """Of the spheres, m."""
        return np.asarray(self._data.dof_pos)[:, 2].copy()

    def put_up(self, indices):
        """Spheres where they began."""
        chosen = np.zeros(self.num_envs, bool)
        chosen[indices] = True
        self._data[chosen].reset(self._model)

    def step(self, ctrl, substeps):
        """Physics."""
        for _ in range(substeps):
            self._model.step(self._data)

    def init_renderer(self, spacing=1.0, *, headless=False, capture=False, width=1280, height=720):
        """Make the renderer."""
        self._model.cameras.set_system_render_target("image", int(width), int(height))
        self._render_app = RenderApp(headless=headless)
        offsets = [[spacing * index, 0.0, 0.0] for index in range(self.num_envs)]
        self._render_app.launch(
            self._model, batch=self.num_envs, render_offset=offsets, render_settings=RenderSettings.performance()
        )

    def capture_video_frame(self):
        """A picture (height, width, 3)."""
        task = self._render_app.system_camera.capture()
        self._render_app.sync(data=self._data, wait=True)
        return np.ascontiguousarray(np.asarray(task.take_image().pixels)[..., :3])

    def run_playback(self, **given):
        """Record."""
        return run_motrix_playback(backend=self, **given)
