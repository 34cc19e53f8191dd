"""What rsl_rl needs of an environment."""

import numpy as np
import torch
from tensordict import TensorDict


class RslRlVecEnvWrapper:
    """An environment as rsl_rl sees it."""

    def __init__(self, env, device="cpu"):
        self.env, self.cfg, self.device, self.num_envs, self.num_actions = env, {}, device, env.num_envs, 2
        self.episode_length_buf, self.max_episode_length = torch.zeros(self.num_envs), 10
        self.reset()

    def get_observations(self):
        """Heights."""
        heights = torch.as_tensor(self.env._backend.heights(), dtype=torch.float32)[:, None]
        return TensorDict({"policy": heights}, batch_size=self.num_envs)

    def reset(self):
        """All of them anew."""
        self.env.reset(np.arange(self.num_envs))
        return self.get_observations(), {}

    def step(self, actions):
        """One step."""
        state = self.env.step(actions.numpy())
        return self.get_observations(), torch.as_tensor(state.reward), torch.as_tensor(state.terminated), {}
