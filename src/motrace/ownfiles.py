"""Files that users made with their own py-spy, Scalene or torch.profiler: found, and given to the run they watched.

A file belongs to a run whose process it names, at the run's time; else to the run in whose folder it lies, unless
its own ids or times say otherwise; else, where it tells neither, to the only run of its experiment, if that ran then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import runs
from .escape import encodable
from .readers.identity import RunIdentity, run_identity
from .readers.nsys import is_nsys_file
from .readers.pyspy_formats import read_any
from .readers.recognise import PYSPY, SCALENE, recognise
from .readers.scalene import when
from .readers.torch_events import extent

SAME_TIME_NS = 60 * 10**9
"""A file and a run whose clocks are further apart than this are not of the same time."""
COLLECTED = frozenset(("py-spy.speedscope.json", "py-spy.chrometrace.json", "scalene.json", "torch.json"))
"""What our own collectors write into a run's folder."""
_OUR_FRAMES = ("(motrace/record/", "(motrace/workloads/")


@dataclass(frozen=True)
class OwnFile:
    """A user's file: which tool wrote it, and why it is of this run (``joined_by``; None: of none)."""

    path: Path
    tool: str
    joined_by: str | None = None

    @property
    def name(self) -> str:
        """The file's name, for tables and messages."""
        return encodable(self.path.name)


@dataclass(frozen=True)
class Told:
    """What a file tells of the process it watched; empty and None where it does not.

    ``utc_ns`` is its begin and end; ``written_ns`` when it was last written; ``ours``: motrace's frames are in it.
    """

    pids: frozenset[int] = frozenset()
    tids: frozenset[int] = frozenset()
    utc_ns: tuple[int, int] | None = None
    written_ns: int = 0
    ours: bool = False


def find_own(root: Path) -> Iterator[OwnFile]:
    """The users' files at or below ``root``, sorted; not what our collectors wrote, nor results of analyses."""
    if root.is_file():
        tool = recognise(root)
        if tool is not None:
            yield OwnFile(root, tool)
        return
    for directory, subdirectories, files in os.walk(root):
        here = Path(directory)
        subdirectories[:] = sorted(
            name for name in subdirectories
            if name != runs.ANALYSIS_DIR and not name.startswith(".") and not is_nsys_file(here / name)
        )  # fmt: skip
        collected = COLLECTED if _is_run(here) else frozenset()
        for name in sorted(set(files) - collected):
            tool = recognise(here / name)
            if tool is not None:
                yield OwnFile(here / name, tool)


def _is_run(folder: Path) -> bool:
    return (folder / runs.RUN_FILE).exists() or any(folder.glob("spans-*.bin"))


def look_into(file: OwnFile) -> Told:
    """What a file says of its process. Raises MotraceError where it can't be read."""
    written_ns = file.path.stat().st_mtime_ns
    if file.tool == PYSPY:
        profile = read_any(file.path)
        pids = frozenset(thread.pid for thread in profile.threads if thread.pid)
        tids = frozenset(thread.tid for thread in profile.threads if thread.tid)
        ours = any(mark in frame for stack in profile.stacks for frame in stack for mark in _OUR_FRAMES)
        return Told(pids, tids, None, written_ns, ours)
    if file.tool == SCALENE:
        return Told(utc_ns=when(file.path), written_ns=written_ns)
    found, utc_ns = extent(file.path)
    return Told(found, frozenset(), utc_ns, written_ns)


def owners(file: OwnFile, told: Told, by_home: dict[Path, list[Path]]) -> tuple[list[Path], str]:
    """The runs that a file watched, and why; else none, and what spoke against the run in whose folder it lies.

    Several where it names processes of several (``py-spy record --subprocesses`` around ``run_record``).

    ``by_home`` are the run folders of each experiment.
    """
    identities = {run: run_identity(run) for known in by_home.values() for run in known}
    above = [run for run in identities if run.resolve() in file.path.resolve().parents]
    around = max(above, key=lambda run: len(run.resolve().parts), default=None)
    named = [run for run, who in identities.items() if _names(told, who) and (run == around or _same_time(told, who))]
    if named:
        return named, "its process" + (" and time" if told.utc_ns is not None else "")
    if around is not None:
        against = _against(told, identities[around])
        return ([around], "the folder it lies in") if against is None else ([], f"it is {against} {around.name}")
    if told.pids or told.tids:
        return [], ""
    near = [known for home, known in by_home.items() if home.resolve() in file.path.resolve().parents]
    if len(near) == 1 and len(near[0]) == 1 and _same_time(told, identities[near[0][0]]):
        return [near[0][0]], "the experiment it lies in has one run, of that time"
    return [], ""


def _names(told: Told, who: RunIdentity) -> bool:
    """Whether a file names a process or thread of a run."""
    return bool(told.pids & who.pids or told.tids & who.tids)


def _same_time(told: Told, who: RunIdentity) -> bool:
    """Whether a file is of a run's time, by its own clock, else by its frames or by when it was written."""
    if told.utc_ns is not None:
        return who.near(*told.utc_ns, SAME_TIME_NS)
    return told.ours or who.near(told.written_ns, told.written_ns, SAME_TIME_NS)


def _against(told: Told, who: RunIdentity) -> str | None:
    """Why a file in a run's folder is not the run's."""
    if (told.pids or told.tids) and (who.pids or who.tids) and not _names(told, who):
        return "of another process than"
    if told.utc_ns is not None and who.born_ns is not None and not who.near(*told.utc_ns, SAME_TIME_NS):
        return "of another time than"
    return None
