"""Which run a profiler's file belongs to.

It belongs to each run whose process it names, at the run's time; else to the run in whose folder it lies, unless its
own ids or times say otherwise; else, where it names no process, to the only run of its experiment, if that ran then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import run_folder
from ..dataset.facts import RunManifest
from ..dataset.typed_json import convert
from ..errors import left_out
from ..escape import encodable
from ..readers.spans import SpanLogFile
from ..record.spans import START
from .source import Identity

SAME_TIME_NS = 60 * 10**9
"""A file and a run whose clocks are further apart than this are not of the same time."""


@dataclass(frozen=True)
class RunIdentity:
    """As far as the run's folder tells; ``born_ns`` and ``last_ns`` (UTC) are None where no log says."""

    run_id: str
    pids: frozenset[int] = frozenset()
    tids: frozenset[int] = frozenset()
    born_ns: int | None = None
    last_ns: int | None = None

    def near(self, start_ns: int, end_ns: int) -> bool:
        """Whether [start, end] (UTC) is of the run's time; False if that is not known."""
        if self.born_ns is None or self.last_ns is None:
            return False
        return start_ns - SAME_TIME_NS <= self.last_ns and self.born_ns <= end_ns + SAME_TIME_NS


def run_identity(path: Path) -> RunIdentity:
    """Of the run in the folder ``path``; what can't be read is left out."""
    manifest = RunManifest()
    logs: list[SpanLogFile] = []
    for file in (path / run_folder.RUN_FILE, *sorted(path.glob("spans-*.bin"))):
        with left_out(file.name, []):  # the reader of the run will say what is wrong with it
            if file.name != run_folder.RUN_FILE:
                logs.append(SpanLogFile.read(file))
            elif file.exists():
                manifest = convert(RunManifest, run_folder.read_json(file), file.name, [])
    born = min((log.created_utc_ns for log in logs), default=None)
    last = max(
        (log.created_utc_ns - log.created_ns + max(log.created_ns, int(log.records[:, START].max())) for log in logs
         if len(log.records)), default=born,
    )  # fmt: skip
    pids, tids = frozenset(log.pid for log in logs), frozenset(log.tid for log in logs)
    return RunIdentity(encodable(manifest.run_id or path.name), pids, tids, born, last)


def owners(file: Path, says: Identity, by_home: dict[Path, dict[Path, RunIdentity]]) -> tuple[list[Path], str]:
    """The runs that a file watched, and why; else none, and what spoke against the run in whose folder it lies.

    Several where it names processes of several (``py-spy record --subprocesses`` around ``run_record``).
    ``by_home`` are the run folders of each experiment.
    """
    identities = {run: who for known in by_home.values() for run, who in known.items()}
    above = [run for run in identities if run.resolve() in file.resolve().parents]
    around = max(above, key=lambda run: len(run.resolve().parts), default=None)
    named = [run for run, who in identities.items() if _names(says, who) and _same_time(says, who, run == around)]
    if named:
        return named, "its process" + (" and time" if says.utc_ns is not None else "")
    if not says.by_folder:
        return [], ""
    if around is not None:
        against = _against(says, identities[around])
        return ([around], "the folder it lies in") if against is None else ([], f"it is {against} {around.name}")
    near = [known for home, known in by_home.items() if known and home.resolve() in file.resolve().parents]
    if not says.pids and not says.tids and len(near) == 1 and len(near[0]) == 1:
        ((run, who),) = near[0].items()
        if _same_time(says, who, False):
            return [run], "the experiment it lies in has one run, of that time"
    return [], ""


def _names(says: Identity, who: RunIdentity) -> bool:
    """Whether a file names a process or thread of a run."""
    if says.marks:
        return any(run_id == who.run_id and pid in who.pids for run_id, pid in says.marks)
    return bool(says.pids & who.pids or says.tids & who.tids)


def _same_time(says: Identity, who: RunIdentity, lies_in_it: bool) -> bool:
    """Whether a file is of a run's time: by its own clock, by motrace's marks, or by when it was written."""
    if says.utc_ns is not None and who.born_ns is not None:
        return who.near(*says.utc_ns) or (lies_in_it and says.by_folder)
    if says.marks or says.ours:
        return True
    written = says.written_ns
    return says.by_folder and (lies_in_it or (written is not None and who.near(written, written)))


def _against(says: Identity, who: RunIdentity) -> str | None:
    """Why a file in a run's folder is not the run's."""
    if (says.pids or says.tids) and (who.pids or who.tids) and not _names(says, who):
        return "of another process than"
    if says.utc_ns is not None and who.born_ns is not None and not who.near(*says.utc_ns):
        return "of another time than"
    return None
