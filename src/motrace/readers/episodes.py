"""Episodes of a run's environments (``episodes.json``) as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import runs
from ..errors import MotraceError
from ..record.episodes import COLUMNS, REASONS


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
        data = runs.read_json(path)
        try:
            columns = {name: list(data["episodes"][name]) for name in COLUMNS}
            found = cls(int(data["steps"]), int(data["envs"]), str(data["success"]), str(data["reward"]), columns)
            problem = found._problem()
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            raise MotraceError(f"{path.name} is damaged ({problem}): its episodes are left out")
        return found

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


def read_episodes(run_dir: Path) -> EpisodeFile | None:
    """The episodes of a run, None if it told of none. Raises MotraceError."""
    path = run_dir / runs.EPISODES_FILE
    return EpisodeFile.read(path) if path.exists() else None
