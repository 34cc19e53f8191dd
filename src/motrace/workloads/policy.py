"""The humanoid's policy: a torch MLP in rsl_rl's checkpoint layout."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from ..arrays import Array
from ..errors import MotraceError

OBSERVATIONS, ACTIONS, HIDDEN = 160, 29, (512, 256, 128)
STATE_KEY = "actor_state_dict"
PREFIX = "mlp."


class MlpPolicy:
    """160 observations to 29 actions through 512, 256, 128 ELU units; on CUDA where there is one."""

    def __init__(self) -> None:
        sizes = (OBSERVATIONS, *HIDDEN, ACTIONS)
        layers: list[torch.nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ELU()]
        self.network = torch.nn.Sequential(*layers[:-1])
        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    def to_device(self) -> MlpPolicy:
        """Move the network to the device that acts."""
        self.network.to(self.device)
        return self

    def act(self, observations: Array) -> Array:
        """Actions (N, 29) float32 for observations (N, 160) float32; waits for the device."""
        with torch.inference_mode():
            actions = self.network(torch.from_numpy(observations).to(self.device))
            return np.asarray(actions.cpu().numpy())

    def save(self, path: Path) -> None:
        """Write a checkpoint. Raises OSError."""
        state = {PREFIX + key: value.cpu() for key, value in self.network.state_dict().items()}
        torch.save({STATE_KEY: state}, path)


def seeded_policy(seed: int) -> MlpPolicy:
    """The policy that ``seed`` makes: untrained, and always the same."""
    torch.manual_seed(seed)
    return MlpPolicy()


def load_policy(path: Path) -> MlpPolicy:
    """Read a checkpoint: ours, or one that rsl_rl wrote for an actor of this shape.

    Raises MotraceError where the file is missing, is not a checkpoint, or has another shape.
    """
    if not path.is_file():
        what = "a folder; give the checkpoint file in it" if path.is_dir() else "no such file"
        raise MotraceError(f"--checkpoint {path}: {what}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different type for every way a file can be wrong
        raise MotraceError(f"--checkpoint {path}: {_why_not(error)}") from error
    state = checkpoint.get(STATE_KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise MotraceError(f"--checkpoint {path}: holds no {STATE_KEY!r}; give one that rsl_rl or motrace wrote")
    weights = {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
    policy = MlpPolicy()
    expected = {key: tuple(value.shape) for key, value in policy.network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    if found != expected:
        wrong = next(key for key in sorted({*found, *expected}) if found.get(key) != expected.get(key))
        raise MotraceError(
            f"--checkpoint {path}: {PREFIX}{wrong} is {found.get(wrong, 'missing')}, "
            f"this policy ({OBSERVATIONS}-{'-'.join(map(str, HIDDEN))}-{ACTIONS}) needs {expected.get(wrong, 'none')}"
        )
    policy.network.load_state_dict(weights)
    return policy


def _why_not(error: Exception) -> str:
    """Torch's own words run over pages, and advise to load without a check."""
    if isinstance(error, PermissionError):
        return "it may not be read"
    return (
        f"not a torch checkpoint of plain tensors ({type(error).__name__}); it may be cut off, or another kind of file"
    )
