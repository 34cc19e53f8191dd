"""The runs of a sweep: a grid of points, an experiment each, their repeats in turn so that drift cancels.

<out>/<name>/sweep.json               what was asked, the runs in their order, and what was found
<out>/<name>/e004-640x360/            a point: an experiment like any other
<out>/<name>/e004-640x360/02-record/  its run of round 2
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import msgspec

from .. import output, redaction, run_folder
from ..collect.registry import Settings
from ..dataset.typed_json import convert
from ..errors import MotraceError, UsageError
from ..findings.model import SCHEMA_VERSION
from ..findings.sweep_model import Sweep, SweepTurn
from ..report.schema import encode, rewritten
from ..run_folder import JsonObject
from ..workloads.options import Options
from .passes import Planned, run_all
from .terminal import Terminal

SWEEP_FILE = "sweep.json"
GIVE_UP = 2
"""A point that failed so often is not tried again."""
OF_POINTS = ("num_envs", "width", "height", "mode")
"""Options in which the points of a sweep differ, or that its manifest holds elsewhere."""

AdapterFacts = dict[str, str] | None


@dataclass(frozen=True)
class Point:
    """A point of the grid."""

    num_envs: int
    width: int
    height: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"e{self.num_envs:03d}-{self.width}x{self.height}"

    def of(self, options: Options) -> Options:
        """``options`` at this point. Raises UsageError where that can't be made."""
        return replace(options, num_envs=self.num_envs, width=self.width, height=self.height)


@dataclass(frozen=True)
class Turn:
    """One run that is to be made: a point, in a round (from 1)."""

    point: Point
    round: int


def grid(num_envs: Sequence[int], sizes: Sequence[tuple[int, int]]) -> tuple[Point, ...]:
    """Every number of environments at every size, in the order of the sizes."""
    return tuple(Point(count, *size) for size in sizes for count in num_envs)


def turns_of(points: Sequence[Point], repeat: int) -> list[Turn]:
    """Round by round through all points, forwards, then backwards, and so on: A B C C B A A B C.

    The repeats of each point then lie around one middle of time (exactly so for an even ``repeat``), so a drift
    that is linear in the number of runs made adds the same to every point's mean.
    """
    return [Turn(point, index + 1) for index in range(repeat) for point in (points if index % 2 == 0 else points[::-1])]


def numbers_of(text: str) -> list[int]:
    """``1,4,16`` as whole numbers, each once. Raises UsageError."""
    try:
        found = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise UsageError(f"--num-envs {text}: write whole numbers separated by commas, as in 1,4,16") from error
    return found


def attempts(home: Path, turn: Turn, mode: str) -> dict[str, str]:
    """The runs made of a turn so far: run id to status."""
    folder = home / turn.point.name
    found = sorted(folder.glob(f"{turn.round:02d}-{mode}*/{run_folder.RUN_FILE}"))
    return {path.parent.name: str(run_folder.read_json(path).get("status")) for path in found}


def statuses(home: Path, turns: Sequence[Turn], mode: str) -> tuple[SweepTurn, ...]:
    """What became of each turn, in order; ``not started`` where there is no run. The last attempt counts."""
    rows: list[SweepTurn] = []
    for turn in turns:
        made = attempts(home, turn, mode)
        done = [run_id for run_id, status in made.items() if status == run_folder.COMPLETED]
        last = next(reversed(done or list(made)), None)
        status = "not started" if last is None else made[last]
        rows.append(SweepTurn(turn.point.name, turn.round, last, status))
    return tuple(rows)


@dataclass(frozen=True)
class Made:
    """How the runs of a sweep ended."""

    failed: tuple[str, ...]
    interrupted: bool


class Recorder:
    """Makes the runs of a sweep; every state it goes through is in sweep.json."""

    def __init__(self, home: Path, sweep: Sweep, options: Options, settings: Settings, stall_timeout_s: float) -> None:
        self.home, self.sweep, self.options = home, sweep, options
        self.settings, self.stall_timeout_s = settings, stall_timeout_s
        self.mode = options.mode
        self.took_s: dict[Point, float] = {}

    def record(self, turns: Sequence[Turn], console: Terminal) -> Made:
        """Make every run that is not there yet. A failure is a warning, and the rest goes on; Ctrl-C ends it."""
        failed: dict[Point, int] = {}
        problems: list[str] = []
        interrupted = False
        self.save(turns, run_folder.RUNNING)
        try:
            for number, turn in enumerate(turns, 1):
                if run_folder.COMPLETED in attempts(self.home, turn, self.mode).values():
                    continue
                if failed.get(turn.point, 0) >= GIVE_UP:
                    console.print(f"[{number}/{len(turns)}] {turn.point.name}: not tried again")
                    continue
                about = f"{turn.point.name}, round {turn.round}{self._left(turns[number - 1 :])}"
                console.print(f"[{number}/{len(turns)}] {about}")
                began = time.monotonic()
                problem, interrupted = self._turn(turn, console)
                self.took_s[turn.point] = time.monotonic() - began
                self.save(turns, run_folder.RUNNING)
                if interrupted:
                    break
                if problem is not None:
                    failed[turn.point] = failed.get(turn.point, 0) + 1
                    problems.append(f"{turn.point.name}: {problem}")
                    console.print(f"warning: {problems[-1]}; the other points go on")
        except KeyboardInterrupt:  # between two runs
            interrupted = True
        self.save(
            turns, run_folder.INTERRUPTED if interrupted else run_folder.CRASHED if problems else run_folder.COMPLETED
        )
        return Made(tuple(problems), interrupted)

    def save(self, turns: Sequence[Turn], status: str) -> None:
        """Write sweep.json. Raises MotraceError."""
        runs = statuses(self.home, turns, self.mode)
        self.sweep = write(self.home / SWEEP_FILE, replace(self.sweep, status=status, runs=runs))

    def _left(self, turns: Sequence[Turn]) -> str:
        """How long it may take yet, in words; each point as last time, others like the mean; nothing at first."""
        if not self.took_s:
            return ""
        mean = sum(self.took_s.values()) / len(self.took_s)
        missing = [turn for turn in turns if run_folder.COMPLETED not in attempts(self.home, turn, self.mode).values()]
        left = sum(self.took_s.get(turn.point, mean) for turn in missing)
        return f"; about {left / 60:.0f} min left" if left >= 90 else f"; about {left:.0f} s left"

    def _turn(self, turn: Turn, console: Terminal) -> tuple[str | None, bool]:
        """One run: why it failed (None if it did not), and whether it was interrupted."""
        folder = self.home / turn.point.name
        made = attempts(self.home, turn, self.mode)
        suffix = f"-again{len(made)}" if made else ""
        planned = Planned(f"{turn.round:02d}-{self.mode}{suffix}", self.mode)
        options = turn.point.of(self.options)
        self._describe(folder, options, planned, run_folder.RUNNING)
        done = run_all(folder, (planned,), options, self.settings, self.stall_timeout_s, console)
        ended = done.runs[0][1]
        status = ended.status if ended is not None else "not started"
        self._describe(folder, options, planned, status)
        interrupted = done.interrupted or status == run_folder.INTERRUPTED
        problem = (
            None if status == run_folder.COMPLETED or ended is None else f"{planned.run_id} {status}: {ended.reason}"
        )
        return problem, interrupted

    def _describe(self, folder: Path, options: Options, planned: Planned, status: str) -> None:
        """Write the point's experiment.json, with this run in it."""
        path = folder / run_folder.EXPERIMENT_FILE
        try:
            output.folder(self.home, folder.name)
        except OSError as error:
            raise MotraceError(f"{folder} can't be made ({error.strerror}): free some space") from error
        before = run_folder.read_json(path) if path.exists() else {}
        entry = {**planned.as_json(), "status": status}
        made = cast("list[JsonObject]", before.get("runs", []))
        listed = [one for one in made if one["run_id"] != planned.run_id]
        sweep = self.sweep
        command = {**msgspec.to_builtins(sweep.command), "options": _of_experiment(options)}
        facts: JsonObject = {
            "schema_version": run_folder.SCHEMA_VERSION, "experiment": f"{sweep.sweep}-{folder.name}",
            "experiment_id": before.get("experiment_id") or run_folder.new_id(),
            "created_utc": sweep.created_utc, "adapter": msgspec.to_builtins(sweep.adapter),
            "environment": msgspec.to_builtins(sweep.environment), "command": command, "status": status,
            "runs": [*listed, entry],
        }  # fmt: skip
        with _writing(path):
            run_folder.write_manifest(path, facts)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MotraceError(f"{path} can't be written ({error.strerror}): free some space, then --resume") from error


def write(path: Path, sweep: Sweep) -> Sweep:
    """Write sweep.json, without the values of credentials. Returns what it holds. Raises MotraceError."""
    sweep = rewritten(sweep, redaction.redacted)
    with _writing(path):
        output.write_text(path, encode(sweep))
    return sweep


def load(path: Path) -> Sweep:
    """Read sweep.json; its results are made anew. Raises MotraceError."""
    facts = {**run_folder.read_json(path), "schema_version": SCHEMA_VERSION, "results": None}
    return convert(Sweep, facts, path.name, [])


def _of_experiment(options: Options) -> JsonObject:
    return {key: value for key, value in options.as_json().items() if key != "mode"}


def shared_options(options: Options) -> JsonObject:
    """The options that all points of a sweep share, as its manifest holds them."""
    return {key: value for key, value in options.as_json().items() if key not in OF_POINTS and key != "overrides"}
