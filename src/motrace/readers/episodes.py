"""Episodes of a run's environments as arrays: ``episodes.json``, of a killed run ``episodes.bin``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from .. import run_folder
from ..errors import MotraceError
from ..record import episodefile
from ..record.episodes import COLUMNS, END, REASONS, won
from ..record.wordlog import HEADER_WORDS
from .spans import read_words


class Episode(NamedTuple):
    """One environment's steps from ``start_step`` to ``end_step``; see the table ``episodes``."""

    env: int
    episode: int
    start_step: int
    end_step: int
    reason: str
    total_reward: float | None
    success: bool | None


@dataclass(frozen=True)
class EpisodeFile:
    """Episodes of a run, its ``steps`` and environments; what counts as success. Raises ValueError for nonsense."""

    steps: int
    envs: int
    success: str
    reward: str
    episodes: list[Episode]

    def __post_init__(self) -> None:
        if not {one.reason for one in self.episodes} <= set(REASONS):
            raise ValueError("an unknown reason")
        if not all(
            0 <= one.env < self.envs and 0 <= one.start_step <= one.end_step < self.steps for one in self.episodes
        ):
            raise ValueError("an episode that ends before it begins, or outside the run")
        if sum(one.end_step - one.start_step + 1 for one in self.episodes) != self.steps * self.envs:
            raise ValueError("its episodes do not cover each step of each environment once")

    @classmethod
    def read(cls, path: Path) -> EpisodeFile:
        """Read and check a file. Raises MotraceError where it does not make sense."""
        data = run_folder.read_json(path)
        try:
            columns = msgspec.convert(data["episodes"], dict[str, list[str | float | int | bool | None]])
            rows = zip(*(columns[name] for name in COLUMNS), strict=True)
            return msgspec.convert({**data, "episodes": list(rows)}, cls)
        except (KeyError, ValueError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _damaged(path: Path, problem: str) -> MotraceError:
    return MotraceError(f"{path.name} is damaged ({problem}): its episodes are left out")


def read_episodes(run_dir: Path) -> EpisodeFile | None:
    """The episodes of a run, None if it reported none. Raises MotraceError."""
    path = run_dir / run_folder.EPISODES_FILE
    if path.exists():
        return EpisodeFile.read(path)
    path = run_dir / episodefile.PATH
    return _read_unfinished(path) if path.exists() else None


def _read_unfinished(path: Path) -> EpisodeFile | None:
    """The episodes of a run that could not write them all: up to its last whole step, where the open ones end."""
    words = read_words(path, episodefile.MAGIC, "episode log")
    steps, envs = int(words[episodefile.STEPS]), int(words[episodefile.ENVS])
    first = episodefile.BLOCKS + 2 * envs
    if envs < 0 or first > len(words):
        raise _damaged(path, "it is too short")
    if not steps:
        return None
    text = words[HEADER_WORDS : episodefile.BLOCKS].tobytes().rstrip(b"\0").decode(errors="replace")
    success, _, reward = text.partition("\0")
    records = words[first:]
    records = records[: len(records) - len(records) % episodefile.RECORD_WORDS].reshape(-1, episodefile.RECORD_WORDS)
    records = records[(records[:, 0] == 1) & (records[:, 3] < steps)]
    if not ((records[:, 1] >= 0) & (records[:, 1] < envs)).all():
        raise _damaged(path, "an environment that is not there")
    returns = records[:, 5].copy().view(np.float64)
    ended = [(*row[1:4].tolist(), int(row[4]), value) for row, value in zip(records, returns.tolist())]
    begun = {env: 0 for env in range(envs)} | {env: end + 1 for env, _, end, _, _ in ended}
    at = episodefile.BLOCKS + (steps & 1) * envs
    open_returns = words[at : at + envs].copy().view(np.float64).tolist()
    last = REASONS.index(END)
    ended += [(env, begun[env], steps - 1, last, open_returns[env]) for env in range(envs) if begun[env] < steps]
    episodes: list[Episode] = []
    counts = [0] * envs
    for env, start, end, reason, value in sorted(ended):
        name = REASONS[reason] if 0 <= reason < len(REASONS) else "unknown"
        kept = value if np.isfinite(value) else None
        episodes.append(Episode(env, counts[env], start, end, name, kept, won(name, success)))
        counts[env] += 1
    try:
        return EpisodeFile(steps, envs, success, reward, episodes)
    except ValueError as error:
        raise _damaged(path, str(error)) from error
