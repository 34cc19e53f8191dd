"""Episodes of batched environments: where each began and ended, why, and what it returned.

Kept while the program runs, at the cost of adding one array per step; written at the end, and with each
step into a file that survives SIGKILL. Standard library only: arrays are NumPy's or torch's, and do their
own arithmetic.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

from .. import run_folder
from ..run_folder import JsonObject
from . import annotate
from .episodefile import EpisodeWriter
from .opaque import HostArray, SomeArray, host

TERMINATED, TRUNCATED, RESET, END = "terminated", "truncated", "reset", "end"
REASONS = (TERMINATED, TRUNCATED, RESET, END)
"""The task ended it (a fall), its time limit did, everything was reset, the recording ended."""
COLUMNS = ("env", "episode", "start_step", "end_step", "reason", "return", "success")


class EpisodeLog:
    """Receives every step of ``num_envs`` environments; steps are counted from 0, over the whole run.

    ``success`` names the ending that counts as one (``terminated`` or ``truncated``; empty: not
    known); ``reward`` says in words what the reward is.
    """

    def __init__(self, success: str = "", reward: str = "") -> None:
        self.success = success
        self.reward = reward
        self.steps = 0
        self._rows: list[tuple[int, int, int, int, str, float | None, bool | None]] = []
        self._returns: HostArray | None = None  # of each environment, since its episode began
        self._begun: list[int] = []
        self._counts: list[int] = []
        self._file: EpisodeWriter | None = None

    def step(self, reward: SomeArray, terminated: SomeArray, truncated: SomeArray) -> None:
        """Take the rewards (num_envs,) of a step, and which environments (num_envs,) it ended, and why."""
        gained = _row(reward)
        if self._returns is None:
            self._returns = gained.astype("float64")
            self._begun, self._counts = [self.steps] * len(gained), [0] * len(gained)
            self._file = self._new_file(len(gained))
        else:
            self._returns = self._returns + gained
        ended = [_row(flags).astype(bool).tobytes() for flags in (terminated, truncated)]
        if 1 in ended[0] or 1 in ended[1]:
            for env, (by_task, by_time) in enumerate(zip(*ended)):
                if by_task or by_time:
                    self._close(env, self.steps, TERMINATED if by_task else TRUNCATED)
                    self._begun[env] = self.steps + 1
        self.steps += 1
        if self._file is not None:
            self._file.stepped(self.steps, self._returns)

    def _new_file(self, envs: int) -> EpisodeWriter | None:
        """The file that survives SIGKILL; none where nothing is recorded, or the disk is full."""
        directory = annotate.recording_directory()
        try:
            return EpisodeWriter(directory, envs, self.success, self.reward) if directory is not None else None
        except OSError:  # a second log of this run, or no room: the end tells, if it comes
            return None

    def _close(self, env: int, step: int, reason: str) -> None:
        assert self._returns is not None, "a step has begun it"
        value = float(self._returns[env])
        begun, count = self._begun[env], self._counts[env]
        self._rows.append(
            (env, count, begun, step, reason, value if math.isfinite(value) else None, won(reason, self.success))
        )
        self._counts[env] += 1
        self._returns[env] = 0.0
        if self._file is not None and reason != END:
            self._file.ended(env, begun, step, REASONS.index(reason), value)

    def reset(self) -> None:
        """Everything begins anew; episodes without a step leave no trace."""
        self._close_all(RESET)

    def _close_all(self, reason: str) -> None:
        for env, begun in enumerate(self._begun):
            if begun < self.steps:
                self._close(env, self.steps - 1, reason)
                self._begun[env] = self.steps

    def write(self, run_dir: Path) -> None:
        """Close what is open, and write it all to the run's folder; nothing if there was no step. Raises OSError."""
        if not self.steps:
            return
        self._close_all(END)
        columns = zip(COLUMNS, zip(*sorted(self._rows)))
        data: JsonObject = {"schema_version": run_folder.SCHEMA_VERSION, "steps": self.steps, "envs": len(self._begun)}
        rules: JsonObject = {"success": self.success, "reward": self.reward}
        episodes: JsonObject = {name: list(values) for name, values in columns}
        run_folder.write_json(run_dir / run_folder.EPISODES_FILE, {**data, **rules, "episodes": episodes})
        if self._file is not None:
            self._file.remove()
            self._file = None


def _row(values: SomeArray) -> HostArray:
    return cast(HostArray, host(values)).reshape(-1)


def won(reason: str, success: str) -> bool | None:
    """Whether an episode that ended for ``reason`` is a success; None where that is not known."""
    return reason == success if success and reason in (TERMINATED, TRUNCATED) else None
