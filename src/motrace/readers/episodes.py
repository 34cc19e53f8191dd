"""Episodes of a run's environments as arrays: ``episodes.json``, of a killed run ``episodes.bin``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import run_folder
from ..errors import MotraceError
from ..record import episodefile
from ..record.episodes import COLUMNS, END, REASONS, won
from ..record.wordlog import HEADER_WORDS
from .spans import read_words


@dataclass(frozen=True)
class EpisodeFile:
    """``columns`` of equal length, one entry per episode; ``steps`` of the whole run; what counts as success."""

    steps: int
    envs: int
    success: str
    reward: str
    columns: dict[str, list[Any]]

    @classmethod
    def read(cls, path: Path) -> EpisodeFile:
        """Read and check a file. Raises MotraceError where it does not make sense."""
        data: dict[str, Any] = run_folder.read_json(path)
        try:
            columns = {name: list(data["episodes"][name]) for name in COLUMNS}
            found = cls(int(data["steps"]), int(data["envs"]), str(data["success"]), str(data["reward"]), columns)
            problem = found._problem()
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            raise _damaged(path, problem)
        return found

    def checked(self, path: Path) -> EpisodeFile:
        """Itself. Raises MotraceError where it does not make sense."""
        problem = self._problem()
        if problem:
            raise _damaged(path, problem)
        return self

    def _problem(self) -> str:
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) != 1:
            return "its columns differ in length"
        if not set(self.columns["reason"]) <= set(REASONS):
            return "an unknown reason"
        spans = list(zip(self.columns["env"], self.columns["start_step"], self.columns["end_step"]))
        if not all(0 <= env < self.envs and 0 <= start <= end < self.steps for env, start, end in spans):
            return "an episode that ends before it begins, or outside the run"
        if sum(end - start + 1 for _, start, end in spans) != self.steps * self.envs:
            return "its episodes do not cover each step of each environment once"
        return ""


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
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    counts = [0] * envs
    for env, start, end, reason, value in sorted(ended):
        name = REASONS[reason] if 0 <= reason < len(REASONS) else "unknown"
        kept = value if np.isfinite(value) else None
        for column, cell in zip(COLUMNS, (env, counts[env], start, end, name, kept, won(name, success))):
            columns[column].append(cell)
        counts[env] += 1
    return EpisodeFile(steps, envs, success, reward, columns).checked(path)
