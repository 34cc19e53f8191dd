"""All kinds of cases, and one case made, analysed and graded."""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motrace.analysis import analyse, exporter
from motrace.errors import MotraceError
from motrace.findings.model import Verdict
from motrace.ingest.discover import find

from . import exports, machines, profiled, recorded, traces
from .label import Kind, Label, Outcome, grade, said

KINDS: tuple[Kind, ...] = (
    *machines.KINDS, *exports.KINDS, *traces.KINDS, *recorded.KINDS, *profiled.KINDS,
)  # fmt: skip
WORST = (Outcome.CERTAIN_AND_WRONG, Outcome.WRONG, Outcome.ABSTAINED, Outcome.RIGHT)


@dataclass(frozen=True)
class Graded:
    """A case and how its verdict did. ``outcome`` None: it could not be made here."""

    kind: str
    number: int
    outcome: Outcome | None
    planted: str = ""
    expected: str = ""
    verdict: str = ""
    certain: bool = False
    open: bool = False

    def line(self) -> str:
        """For people."""
        outcome = "not made" if self.outcome is None else self.outcome.value
        return f"{self.kind} {self.number}: {outcome}; planted {self.planted}; right: {self.expected}; {self.verdict}"


def verdicts(folder: Path, scratch: Path) -> list[Verdict | None]:
    """The verdict of each experiment that is found in a folder; None: no report could be made."""
    try:
        found = find([folder], scratch / "found", exporter())
    except MotraceError:
        return [None]
    made: list[Verdict | None] = []
    for number, (home, sources) in enumerate(found.items()):
        try:
            made.append(analyse(home, sources, scratch / str(number)).report.verdict)
        except MotraceError:
            made.append(None)
    return made or [None]


def judged(kind: Kind, number: int, folder: Path, label: Label) -> Graded:
    """Analyse a case's files; of several experiments the worst verdict counts."""
    expected = " or ".join(sorted(one.value for one in label.holders)) or "to abstain"
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            found = verdicts(folder, Path(scratch))
        except Exception as error:  # noqa: BLE001  (a fault of motrace, which is what is looked for)
            crash = f"{type(error).__name__}: {str(error)[:120]}"
            return Graded(kind.name, number, Outcome.WRONG, label.planted, expected, crash)
    graded = [(grade(label, one), one) for one in found]
    outcome, worst = min(graded, key=lambda one: WORST.index(one[0]))
    certain = worst is not None and worst.certain
    return Graded(kind.name, number, outcome, label.planted, expected, said(worst), certain, not label.holders)


def made(kind: Kind, number: int, seed: int, folder: Path) -> Label | None:
    """Write a case's files into a new folder."""
    folder.mkdir(parents=True)
    return kind.make(folder, np.random.default_rng([seed, zlib.crc32(kind.name.encode()), number]), number)


def case(kind: Kind, number: int, seed: int, home: Path) -> Graded:
    """Make a case in a folder of its own below ``home``, analyse and grade it, and throw it away."""
    with tempfile.TemporaryDirectory(dir=home) as name:
        folder = Path(name) / "case"
        label = made(kind, number, seed, folder)
        if label is None:
            return Graded(kind.name, number, None)
        return judged(kind, number, folder, label)
