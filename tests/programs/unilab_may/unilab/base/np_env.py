"""Environments on NumPy arrays."""

from types import SimpleNamespace

import numpy as np


class NpEnv:
    """Spheres that fall; one that lies on the floor is put up again."""

    def __init__(self, backend):
        self._backend, self.num_envs, self.state = backend, backend.num_envs, None

    def reset(self, indices):
        """Put spheres up again."""
        self._backend.put_up(indices)

    def step(self, actions):
        """One step of all of them; what ended is reset at once."""
        self._backend.step(actions, 3)
        heights = self._backend.heights()
        never = np.zeros(self.num_envs, bool)
        self.state = SimpleNamespace(reward=heights, terminated=heights < 0.9, truncated=never)
        if self.state.terminated.any():
            self._reset_done_envs()
        return self.state

    def _reset_done_envs(self):
        self.reset(np.flatnonzero(self.state.terminated))

    def run_playback(self, **given):
        """As the backend does it."""
        return self._backend.run_playback(env=self, **given)
