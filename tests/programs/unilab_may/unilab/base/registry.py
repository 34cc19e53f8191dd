"""Makes environments by name."""

from .backend.motrix.backend import MotrixBackend
from .np_env import NpEnv


def make(name, num_envs):
    """The environment of a task."""
    return NpEnv(MotrixBackend(num_envs))
