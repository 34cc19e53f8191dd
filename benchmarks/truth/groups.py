"""What a program's time truly was, with the oracle's error. Standard library only: the measured program writes it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ANY = "*"
"""The cause of time that the oracle does not know: it may belong to any row."""
Wanted = Callable[[str, str, str], bool]
"""Whether a phase, a state and a cause belong to a row."""


@dataclass
class TrueGroup:
    """Time of one phase and state: ``ns``, wrong by ``error_ns`` at most, and what each cause is of it: least, most."""

    phase: str
    state: str
    ns: int = 0
    error_ns: int = 0
    causes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, cause: str, lo_ns: int, hi_ns: int) -> None:
        """Add to a cause."""
        lo, hi = self.causes.get(cause, (0, 0))
        self.causes[cause] = (lo + max(0, lo_ns), hi + max(0, lo_ns, hi_ns))

    def part(self, wanted: Wanted) -> tuple[int, int]:
        """Least and most of the time whose cause is wanted."""
        mine = [bounds for cause, bounds in self.causes.items() if wanted(self.phase, self.state, cause)]
        others = [bounds for cause, bounds in self.causes.items() if not wanted(self.phase, self.state, cause)]
        unknown = self.causes.get(ANY, (0, 0))[1]
        most_others, least_others = sum(hi for _, hi in others), sum(lo for lo, _ in others)
        lo = max(sum(lo for lo, _ in mine), self.ns - self.error_ns - most_others) if mine else 0
        hi = sum(hi for _, hi in mine) if others else self.ns + self.error_ns
        hi = min(hi, self.ns + self.error_ns - least_others) if mine else unknown
        return max(0, lo), max(0, lo, hi)


@dataclass(frozen=True)
class TrueRun:
    """What the oracle of one process wrote. ``wanted_ns``: how long its workers waited for a core."""

    program: str
    pid: int
    wall_ns: int
    frames: int
    wanted_ns: int
    groups: Sequence[TrueGroup]

    def write(self, folder: Path) -> None:
        """Write it, as a whole or not at all."""
        path = folder / f"truth-{self.pid}.json"
        path.with_suffix(".part").write_text(json.dumps(asdict(self), indent=1))
        os.replace(path.with_suffix(".part"), path)


@dataclass(frozen=True)
class TrueShare:
    """A true share of the wall time: least and most."""

    lo: float
    hi: float

    @property
    def middle(self) -> float:
        """The middle of the two."""
        return (self.lo + self.hi) / 2

    @property
    def error(self) -> float:
        """How far the truth may be from the middle."""
        return (self.hi - self.lo) / 2


def read(folder: Path) -> dict[int, TrueRun]:
    """What the oracles wrote into a folder, by process id."""
    runs = {}
    for path in folder.glob("truth-*.json"):
        data = json.loads(path.read_text())
        groups = [
            TrueGroup(**{**one, "causes": {name: (lo, hi) for name, (lo, hi) in one["causes"].items()}})
            for one in data["groups"]
        ]
        runs[data["pid"]] = TrueRun(**{**data, "groups": groups})
    return runs


def share(runs: Iterable[TrueRun], wanted: Wanted) -> TrueShare:
    """The true share of what is wanted, over several runs."""
    lo = hi = wall = 0
    for run in runs:
        parts = [group.part(wanted) for group in run.groups]
        lo, hi, wall = lo + sum(one for one, _ in parts), hi + sum(one for _, one in parts), wall + run.wall_ns
    return TrueShare(lo / wall, min(1.0, hi / wall))
