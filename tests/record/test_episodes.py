"""Episodes: as many as there were, each step in exactly one, returned as summed one by one."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import motrace
from motrace.errors import MotraceError, UsageError
from motrace.readers.episodes import EpisodeFile, read_episodes
from motrace.readers.run import load_run
from motrace.record.episodes import COLUMNS, EpisodeLog
from motrace.record.instrument import Instrument
from motrace.record.table import parse

HERE = "tests.record.test_episodes"


class Env:
    """Two environments; each ends on its own schedule."""

    def __init__(self) -> None:
        self.count = 0
        self.reset()

    def reset(self) -> None:
        """All begin anew."""

    def step(self, action: float) -> None:
        """Ends the first environment every third step, the second, by time, every fourth."""
        self.count += 1
        self.reward = np.array([action, 2 * action], np.float32)
        self.terminated = np.array([self.count % 3 == 0, False])
        self.truncated = np.array([False, self.count % 4 == 0])


def columns_of(found: EpisodeFile) -> dict[str, list[Any]]:
    """Episodes by column, as the file holds them."""
    return {name: [row[at] for row in found.episodes] for at, name in enumerate(COLUMNS)}


def written(log: EpisodeLog, folder: Path) -> dict[str, list[Any]]:
    """What a log writes, read back."""
    log.write(folder)
    found = read_episodes(folder)
    assert found is not None and found.steps == log.steps
    return columns_of(found)


steps = st.lists(
    st.tuples(
        st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.booleans(), st.booleans()), min_size=3, max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@given(steps)
def test_each_step_is_in_one_episode(tmp_path_factory: pytest.TempPathFactory, happened: list[Any]) -> None:
    """Against adding up one environment at a time."""
    log = EpisodeLog(success="truncated")
    expected = []
    open_: list[list[float]] = [[], [], []]
    for number, (envs, everything_resets) in enumerate(happened):
        rewards, terminated, truncated = (np.array(column) for column in zip(*envs))
        log.step(rewards.astype(np.float32), terminated, truncated)
        for env, (reward, by_task, by_time) in enumerate(envs):
            open_[env].append(reward)
            if by_task or by_time:
                expected.append((env, number, "terminated" if by_task else "truncated", open_[env]))
                open_[env] = []
        if everything_resets:
            log.reset()
            expected += [(env, number, "reset", rewards) for env, rewards in enumerate(open_) if rewards]
            open_ = [[], [], []]
    expected += [(env, len(happened) - 1, "end", rewards) for env, rewards in enumerate(open_) if rewards]
    columns = written(log, tmp_path_factory.mktemp("episodes"))
    won = {"truncated": True, "terminated": False}
    assert list(zip(columns["env"], columns["end_step"], columns["reason"], columns["success"])) == [
        (env, end, reason, won.get(reason)) for env, end, reason, _ in sorted(expected, key=lambda one: one[:2])
    ]
    for (_, end, _, rewards), start, value in zip(
        sorted(expected, key=lambda one: one[:2]), columns["start_step"], columns["return"]
    ):
        assert start == end + 1 - len(rewards)
        assert value == pytest.approx(math.fsum(np.float32(reward) for reward in rewards), abs=1e-2)


@given(steps)
@settings(deadline=None, max_examples=50)
def test_a_killed_run_tells_the_same(tmp_path_factory: pytest.TempPathFactory, happened: list[Any]) -> None:
    """What lies on the disk after any step, read as after SIGKILL, is what the end would have told then."""
    folder = tmp_path_factory.mktemp("killed")
    folder = motrace.start(folder)
    try:
        log = EpisodeLog(success="truncated", reward="how far it went")
        for envs, everything_resets in happened:
            rewards, terminated, truncated = (np.array(column) for column in zip(*envs))
            log.step(rewards.astype(np.float32), terminated, truncated)
            if everything_resets:
                log.reset()
        early = read_episodes(folder)
        assert not (folder / "episodes.json").exists()
        log.write(folder)
    finally:
        motrace.stop()
    assert early == read_episodes(folder) and early is not None and early.steps == len(happened)
    assert not (folder / "episodes.bin").exists(), "one file tells, not two"


def test_sigkill(tmp_path: Path) -> None:
    """Of a process that is killed in the middle of a step every whole step is known."""
    program = (
        "import os, sys, numpy as np, motrace\n"
        "from motrace.record.episodes import EpisodeLog\n"
        "motrace.start(sys.argv[1])\n"
        "log = EpisodeLog('terminated', 'ones')\n"
        "for turn in range(10):\n"
        "    with motrace.frame():\n"
        "        if turn == 7: os.kill(os.getpid(), 9)\n"
        "        log.step(np.ones(2), np.array([turn == 4, False]), np.zeros(2, bool))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "run"])
    assert done.returncode == -signal.SIGKILL
    run = load_run(tmp_path / "run" / "01")
    assert run.episodes is not None and run.episodes.steps == 7
    assert (run.episodes.success, run.episodes.reward) == ("terminated", "ones")
    assert columns_of(run.episodes) == {
        "env": [0, 0, 1], "episode": [0, 1, 0], "start_step": [0, 5, 0], "end_step": [4, 6, 6],
        "reason": ["terminated", "end", "end"], "return": [5.0, 2.0, 7.0], "success": [True, None, None],
    }  # fmt: skip


@pytest.mark.parametrize(("word", "value"), [(17, 1 << 40), (17, -1), (66 + 1, 1), (66 + 4, 7)])
def test_a_damaged_log_is_refused(recording: Path, word: int, value: int) -> None:
    log = EpisodeLog()
    for turn in range(3):
        log.step(np.ones(1), np.array([turn == 1]), np.zeros(1, bool))
    assert read_episodes(recording) is not None
    data = bytearray((recording / "episodes.bin").read_bytes())
    data[8 * word : 8 * word + 8] = value.to_bytes(8, "little", signed=True)
    (recording / "episodes.bin").write_bytes(data)
    with pytest.raises(MotraceError, match=r"episodes\.bin is damaged .+: its episodes are left out"):
        read_episodes(recording)


def test_a_return_that_is_no_number_is_null(tmp_path: Path) -> None:
    log = EpisodeLog()
    log.step(np.array([np.nan, 1.0]), np.array([False, False]), np.array([False, True]))
    assert written(log, tmp_path)["return"] == [None, 1.0]
    assert json.loads((tmp_path / "episodes.json").read_text())["episodes"]["success"] == [None, None]


def test_tensors_are_brought_to_the_host(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    log = EpisodeLog()
    ended = torch.tensor([[True], [False]])
    log.step(torch.tensor([1.5, 2.5], requires_grad=True), ended, torch.zeros(2, dtype=torch.uint8))
    columns = written(log, tmp_path)
    assert columns["return"] == [1.5, 2.5] and columns["reason"] == ["terminated", "end"]


def test_no_step_no_file(tmp_path: Path) -> None:
    log = EpisodeLog()
    log.reset()
    log.write(tmp_path)
    assert read_episodes(tmp_path) is None


def test_from_outside(tmp_path: Path) -> None:
    """A program's own environments, by a table that says where its rewards and endings are."""
    table = {
        "phases": {f"{HERE}.Env.step": "step"},
        "episodes": {
            "at": f"{HERE}.Env.step",
            "reward": "self.reward",
            "terminated": "self.terminated",
            "truncated": "self.truncated",
            "resets": f"{HERE}.Env.reset",
            "success": "truncated",
        },
    }
    with Instrument(parse(table, "the test")) as made:
        env = Env()
        for _ in range(7):
            env.step(0.5)
    assert made.warnings == []
    columns = written(made.episodes, tmp_path)
    assert columns["env"] == [0, 0, 0, 1, 1] and columns["start_step"] == [0, 3, 6, 0, 4]
    assert columns["end_step"] == [2, 5, 6, 3, 6] and columns["return"] == [1.5, 1.5, 0.5, 4.0, 3.0]
    assert columns["reason"] == ["terminated", "terminated", "end", "truncated", "end"]


def test_what_is_not_there_is_one_warning() -> None:
    at = f"{HERE}.Env.step"
    table = {"episodes": {"at": at, "reward": "self.no_such", "terminated": "self.terminated", "truncated": "self.x"}}
    with Instrument(parse(table, "the test")) as made:
        env = Env()
        env.step(1.0)
        env.step(1.0)
    assert env.count == 2 and made.episodes.steps == 0
    (warning,) = made.warnings
    assert warning.startswith(f"episodes are not known: a step of {at}: AttributeError")


def test_an_argument_of_another_name_is_told_with_those_there_are() -> None:
    at = f"{HERE}.Env.step"
    table = {"episodes": {"at": at, "reward": "env.reward", "terminated": "self.terminated", "truncated": "self.x"}}
    with Instrument(parse(table, "the test")) as made:
        Env().step(1.0)
    (warning,) = made.warnings
    assert warning.endswith("LookupError: it has no argument env, but self, action")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"at": "a.b", "reward": "r", "terminated": "t"}, "[episodes] truncated is missing"),
        ({"at": "a.b", "reward": "r", "terminated": "t", "truncated": "u", "success": "won"}, "success is one of"),
        ({"at": "a.b", "done": "r"}, "there is no key 'done'"),
    ],
)
def test_a_table_that_makes_no_sense(given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse({"episodes": given}, "the file")
    assert message in str(error.value) and str(error.value).startswith("the file: ")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("reason", ["vanished", "end"]),
        ("end_step", [0, 9]),
        ("start_step", [1, 0]),
        ("env", [0]),
        ("env", [0, "x"]),
        ("episode", None),
    ],
)
def test_a_damaged_file_is_left_out_with_a_warning(recording: Path, column: str, values: Any) -> None:
    with motrace.frame():
        pass
    log = EpisodeLog()
    log.step(np.ones(2), np.zeros(2, bool), np.zeros(2, bool))
    log.write(recording)
    path = recording / "episodes.json"
    data = json.loads(path.read_text())
    assert read_episodes(recording) is not None
    data["episodes"][column] = values
    path.write_text(json.dumps(data))
    with pytest.raises(MotraceError, match=r"episodes\.json is damaged \(.+\): its episodes are left out"):
        read_episodes(recording)
    motrace.stop()
    run = load_run(recording)
    assert run.episodes is None and any("its episodes are left out" in text for text in run.warnings)
