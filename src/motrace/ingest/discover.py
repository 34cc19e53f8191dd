"""What lies below a path: experiments, their runs, and the files of profilers, joined to the runs they watched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import run_folder
from ..dataset.tables import NO_EXPERIMENT, ExperimentKey
from ..errors import MotraceError, command, left_out
from ..escape import encodable
from ..readers.nsys.export import Exporter, NsysTrace
from .file_types import PassedOver, passed_over
from .join import RunIdentity, owners, run_identity
from .nsys import PREFERRED, opened
from .registry import NSYS, SOURCES, source_of
from .source import Head, Identity, ProfilerFile, Source

_OURS = {run_folder.EXPERIMENT_FILE, "sweep.json"}


@dataclass
class RunSources:
    """A run's folder, and the files of profilers that belong to it; ``who`` is None if only such a file saw it.

    ``run_id`` is what it is called where another run of its experiment has the same id; ``experiment`` says of which.
    """

    path: Path
    files: list[ProfilerFile] = field(default_factory=list)
    who: RunIdentity | None = None
    run_id: str | None = None
    experiment: ExperimentKey = NO_EXPERIMENT

    @property
    def is_trace(self) -> bool:
        """Whether it is not a folder of a run."""
        return self.who is None


@dataclass
class Sources:
    """An experiment: its runs, and warnings about what could not be used."""

    runs: list[RunSources] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find(
    paths: list[Path],
    scratch: Path,
    export: Exporter | None = None,
    problems: list[MotraceError] | None = None,
    passed: list[PassedOver] | None = None,
) -> dict[Path, Sources]:
    """Experiments below ``paths``, by folder. Raises MotraceError where there is none; ``problems`` gets it instead.
    ``passed`` gets the files in folders that are not read.

    A profiler's file may lie anywhere below the paths: it is joined to the run whose process it
    watched, by the run-id mark, the process id and the time. What belongs to no run is an
    experiment of its own, whose folder is the file.
    """
    runs: dict[Path, RunSources] = {}
    files: dict[Path, ProfilerFile] = {}
    found: dict[Path, Sources] = {}
    for path in paths:
        try:
            here, theirs = walk(path, passed)
        except MotraceError as error:
            if problems is None:
                raise
            problems.append(error)
            continue
        files |= {file.path: file for file in theirs}
        for home, known in homes(path, list(here)).items():
            new = {path: RunSources(path, here[path], run_identity(path)) for path in known if path not in runs}
            runs |= new
            found.setdefault(home, Sources()).runs += new.values()
    for number, forms in enumerate(_by_recording(list(files.values()))):
        _place(forms, found, scratch / f"trace{number}", export)
    for sources in found.values():
        _tell_apart(sources.runs)
    return found


def walk(
    root: Path, passed: list[PassedOver] | None = None
) -> tuple[dict[Path, list[ProfilerFile]], list[ProfilerFile]]:
    """The folders of runs at or below ``root``, with what our collectors wrote into them; and all files of profilers.

    Results of analyses are not looked at. ``passed`` gets the files that are not read. Raises MotraceError where there
    is nothing at all.
    """
    if not root.exists():
        raise MotraceError(f"{root}: no such file or folder")
    runs: dict[Path, list[ProfilerFile]] = {}
    alone = source_of(root)
    files = [ProfilerFile(root, alone)] if alone is not None else []
    if alone is None and not root.is_dir():
        raise MotraceError(f"{root}: {passed_over(root).why}")
    for directory, subdirectories, names in os.walk(root) if alone is None else ():
        here = Path(directory)
        kept = sorted(name for name in subdirectories if name != run_folder.ANALYSIS_DIR and not name.startswith("."))
        folders = [name for name in kept if NSYS.recognise(Head(here / name))]
        subdirectories[:] = [name for name in kept if name not in folders]
        if run_folder.is_run(names):
            runs[here] = [file for source in SOURCES for file in _collected(source, here)]
            own = {name for source in SOURCES for name in source.collected}
            names = [name for name in names if name not in own]
        there = [(here / name, source_of(here / name)) for name in (*folders, *sorted(names))]
        files += [ProfilerFile(path, source) for path, source in there if source is not None]
        if passed is not None:
            others = [passed_over(path) for path, source in there if source is None and path.name not in _OURS]
            passed += [one for one in others if one.of_a_tool or here not in runs]
    if not runs and not files:
        raise MotraceError(
            f"{root}: holds no recording (no {run_folder.RUN_FILE}, no spans-*.bin, no file of a profiler); "
            f"record one with `{command('run_record')}`"
        )
    return runs, files


def _collected(source: Source, run_dir: Path) -> list[ProfilerFile]:
    """What our collector left in a run's folder; of several forms the first."""
    there = [run_dir / name for name in source.collected if (run_dir / name).exists()]
    return [ProfilerFile(path, source, collected=True) for path in there[:1]]


def homes(root: Path, run_dirs: list[Path]) -> dict[Path, list[Path]]:
    """Runs by the folder of their experiment.

    That is the nearest folder at or above a run that holds experiment.json (``root`` may itself be a run of one), else
    the run's parent folder, or the run's own where that is ``root``, or has numbered runs in it (``motrace.start`` once
    recorded into the folder itself).
    """
    experiments: dict[Path, list[Path]] = {}
    above = {root, *(run_dir.parent for run_dir in run_dirs if run_folder.is_numbered(run_dir))}
    for run_dir in run_dirs:
        around = (run_dir, *run_dir.parents)
        home = next((path for path in around if (path / run_folder.EXPERIMENT_FILE).exists()), None)
        if home is None:
            home = run_dir if run_dir in above else run_dir.parent
        experiments.setdefault(home, []).append(run_dir)
    return experiments


def _tell_apart(known: list[RunSources]) -> None:
    """Runs of one id (what ``motrace.start`` gives where it is not named) are called by their folders."""
    ids = [run.who.run_id if run.who is not None else run.path.name for run in known]
    for run, run_id in zip(known, ids):
        if not run.is_trace and ids.count(run_id) > 1:
            alike = [other for other in known if other.path.name == run.path.name]
            run.run_id = encodable(run.path.name if len(alike) == 1 else f"{run.path.parent.name}/{run.path.name}")


def each_trace(
    paths: list[Path], scratch: Path, export: Exporter | None = None
) -> Iterator[tuple[Path, NsysTrace | MotraceError]]:
    """What Nsight Systems wrote at or below ``paths``, opened, each recording once; or why it can't be read.

    Raises MotraceError where a path is not there, or holds none.
    """
    files: dict[Path, ProfilerFile] = {}
    for path in paths:
        if not path.exists():
            raise MotraceError(f"{path}: no such file or folder")
        found = []
        with left_out(path.name, []):
            found = [file for file in walk(path)[1] if file.source is NSYS]
        if not found:
            raise MotraceError(f"{path}: neither a report of Nsight Systems (.nsys-rep or an export) nor above one")
        files |= {file.path: file for file in found}
    for number, forms in enumerate(_by_recording(list(files.values()))):
        ready, _, problems = _prepared(forms, scratch / f"trace{number}", export)
        if ready is None:
            yield forms[0].path, MotraceError("; ".join(problems))
            continue
        trace = opened(ready)
        trace.warnings[:0] = problems
        yield ready.path, trace


def _by_recording(files: list[ProfilerFile]) -> list[list[ProfilerFile]]:
    """Each recording's forms, the one that is read best first: a report of Nsight Systems and its exports are one."""

    def rank(file: ProfilerFile) -> int:
        suffix = "" if file.path.is_dir() else file.path.suffix
        return PREFERRED.index(suffix) if suffix in PREFERRED else len(PREFERRED)

    recordings: dict[tuple[Path, str], list[ProfilerFile]] = {}
    for file in files:
        path = file.path
        name = path.name
        if file.source is NSYS:
            name = name.removesuffix("_pqtdir") if path.is_dir() else path.stem
        recordings.setdefault((path.parent.resolve(), f"{file.source.name} {name}"), []).append(file)
    return [sorted(recordings[key], key=rank) for key in sorted(recordings)]


def _prepared(
    forms: list[ProfilerFile], folder: Path, export: Exporter | None
) -> tuple[ProfilerFile | None, Identity, list[str]]:
    """The first form of a recording that can be read, what it says, and what is wrong with those before it."""
    folder.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    for file in forms:
        with left_out(file.name, problems):
            ready = file.source.prepare(file, folder, export)
            return ready, ready.source.identity(ready), problems
    return None, Identity(), problems


def _place(forms: list[ProfilerFile], found: dict[Path, Sources], scratch: Path, export: Exporter | None) -> None:
    """Give a recording to the runs it watched; else it is an experiment of its own, whose folder is the file.

    What can't be read is a warning of the experiment that it lies in, else one of its own.
    """
    file, says, problems = _prepared(forms, scratch, export)
    path = forms[0].path if file is None else file.path
    if problems:
        found.setdefault(_around(forms[0].path, found) or path, Sources()).warnings.extend(problems)
    if file is None:
        return
    runs = {home: {run.path: run.who for run in sources.runs if run.who} for home, sources in found.items()}
    watched, why = owners(path, says, runs)
    for run in (run for sources in found.values() for run in sources.runs if run.path in watched):
        run.files.append(replace(file, joined_by=why))
    if not watched:
        alone = found.setdefault(path, Sources())
        alone.warnings += [f"{path.name}: not joined to the run in whose folder it lies: {why}"] if why else []
        alone.runs.append(RunSources(path, [file]))


def _around(file: Path, found: dict[Path, Sources]) -> Path | None:
    """The folder of the experiment that a file lies in."""
    around = [home for home in found if home.resolve() in file.resolve().parents and home.is_dir()]
    return max(around, key=lambda home: len(home.parts), default=None)
