"""What lies below a path: experiments, their runs, and the files of profilers, joined to the runs they watched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import run_folder
from ..errors import MotraceError, left_out
from ..readers.nsys.export import Exporter, NsysTrace, is_nsys_file, nvtx_table, open_trace
from ..vocabulary import NVTX_DOMAIN, RUN_MARK
from .file_types import TORCH
from .match_runs import SAME_TIME_NS, OwnFile, find_own, look_into, owners
from .run_identity import run_identity

STREAM = ".qdstrm"
"""What nsys leaves behind where it did not find its importer."""
SUFFIXES = (".sqlite", ".nsys-rep", ".arrow", STREAM)
_PREFERRED = ("", ".sqlite", ".arrow", ".nsys-rep", STREAM)
"""Of one recording in several forms; "" is a folder of tables."""


@dataclass(frozen=True)
class TraceFile:
    """A file or folder that Nsight Systems wrote; ``export`` is what was made of it, itself if nothing had to be."""

    path: Path
    export: Path
    scratch: Path

    def open(self) -> NsysTrace:
        """Open it (again). Raises MotraceError."""
        trace = open_trace(self.export, self.scratch)
        trace.name = self.path.name
        return trace


@dataclass
class RunSources:
    """A run's folder, the traces and users' own profiles that belong to it; ``is_trace`` if only a profiler saw it.

    ``run_id`` is what it is called where another run of its experiment has the same id; ``experiment`` is its name.
    """

    path: Path
    traces: list[TraceFile] = field(default_factory=list)
    files: list[OwnFile] = field(default_factory=list)
    is_trace: bool = False
    run_id: str | None = None
    experiment: str = ""


@dataclass
class Sources:
    """An experiment: its runs, users' profiles that belong to none, and warnings about what could not be used."""

    runs: list[RunSources] = field(default_factory=list)
    files: list[OwnFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find(
    paths: list[Path], scratch: Path, export: Exporter | None = None, problems: list[MotraceError] | None = None
) -> dict[Path, Sources]:
    """Experiments below ``paths``, by folder. Raises MotraceError where there is none; ``problems`` gets it instead.

    A profiler's file may lie anywhere below the paths: it is joined to the run whose process it
    watched, by the run-id mark, the process id and the time. What belongs to no run is an
    experiment of its own, whose folder is the file.
    """
    found: dict[Path, Sources] = {}
    files: list[Path] = []
    own: dict[Path, OwnFile] = {}
    for path in paths:
        try:
            here, traces, theirs = _below(path)
        except MotraceError as error:
            if problems is None:
                raise
            problems.append(error)
            continue
        files += [file for file in traces if file not in files]
        own |= {file.path: file for file in theirs}
        for home, run_dirs in here.items():
            known = found.setdefault(home, Sources()).runs
            known += [RunSources(one) for one in run_dirs if one not in [other.path for other in known]]
    for forms in _by_recording(files):
        _place(forms, found, scratch, export)
    for one in own.values():
        _place_own(one, found)
    for sources in found.values():
        _tell_apart(sources.runs)
    return found


def _below(path: Path) -> tuple[dict[Path, list[Path]], list[Path], list[OwnFile]]:
    """Experiments, traces of Nsight Systems and users' files at or below a path. Raises MotraceError."""
    if not path.exists():
        raise MotraceError(f"{path}: no such file or folder")
    alone = _is_trace(path)
    theirs = [] if alone else list(find_own(path))
    if not path.is_dir() and not alone and not theirs:
        raise MotraceError(
            f"{path}: neither a folder, nor a report of Nsight Systems (.nsys-rep or an export of it), nor a file "
            "of py-spy, Scalene or torch.profiler"
        )
    here = {} if alone or not path.is_dir() else run_folder.find_experiments(path)
    traces = [path] if alone else list(find_traces(path))
    if not here and not traces and not theirs:
        raise MotraceError(
            f"{path}: holds no recording (no {run_folder.RUN_FILE}, no spans-*.bin, no file of a profiler); "
            "record one with `python -m tools.run_record`"
        )
    return here, traces, theirs


def _tell_apart(known: list[RunSources]) -> None:
    """Runs of one id (what ``motrace.start`` gives, unless told) are called by their folders."""
    ids = [run_identity(run.path).run_id for run in known]
    for run, run_id in zip(known, ids):
        if not run.is_trace and ids.count(run_id) > 1:
            alike = [other for other in known if other.path.name == run.path.name]
            run.run_id = run.path.name if len(alike) == 1 else f"{run.path.parent.name}/{run.path.name}"


def name_of(home: Path) -> str:
    """What an experiment is called: its folder's name, a trace's without suffix, any other file's with it."""
    resolved = home.resolve()
    return resolved.stem if resolved.is_file() and is_nsys_file(resolved) else resolved.name


def each_trace(
    paths: list[Path], scratch: Path, export: Exporter | None = None
) -> Iterator[tuple[Path, NsysTrace | MotraceError]]:
    """What Nsight Systems wrote at or below ``paths``, opened, each recording once; or why it can't be read.

    Raises MotraceError where a path is not there, or holds none.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise MotraceError(f"{path}: no such file or folder")
        found = [path] if _is_trace(path) else list(find_traces(path)) if path.is_dir() else []
        if not found:
            raise MotraceError(f"{path}: neither a report of Nsight Systems (.nsys-rep or an export) nor above one")
        files += [file for file in found if file not in files]
    for number, forms in enumerate(_by_recording(files)):
        folder = scratch / f"trace{number}"
        folder.mkdir()
        opened, trace, problems = _open(forms, folder, export)
        if opened is None or trace is None:
            yield forms[0], MotraceError("; ".join(problems))
            continue
        trace.warnings[:0] = problems
        yield opened.path, trace


def find_traces(root: Path) -> Iterator[Path]:
    """Files and folders below ``root`` that Nsight Systems wrote, sorted; results of analyses are not looked at."""
    if _is_trace(root):
        yield root
        return
    for directory, subdirectories, files in os.walk(root):
        here = Path(directory)
        subdirectories[:] = sorted(
            name for name in subdirectories if name != run_folder.ANALYSIS_DIR and name[0] != "."
        )
        folders = [name for name in subdirectories if is_nsys_file(here / name) or name.endswith(SUFFIXES)]
        subdirectories[:] = [name for name in subdirectories if name not in folders]
        yield from (here / name for name in folders)
        yield from (here / name for name in sorted(files) if name.endswith(SUFFIXES) and _is_trace(here / name))


def _is_trace(path: Path) -> bool:
    return path.suffix == STREAM or is_nsys_file(path)


def _by_recording(files: list[Path]) -> list[list[Path]]:
    """Each recording's report and its exports, the one that is read best first."""

    def suffix(path: Path) -> str:
        return "" if path.is_dir() else path.suffix

    recordings: dict[tuple[Path, str], list[Path]] = {}
    for path in files:
        name = path.name.removesuffix("_pqtdir") if path.is_dir() else path.stem
        recordings.setdefault((path.parent.resolve(), name), []).append(path)
    return [sorted(recordings[key], key=lambda path: _PREFERRED.index(suffix(path))) for key in sorted(recordings)]


def _open(
    forms: list[Path], folder: Path, export: Exporter | None
) -> tuple[TraceFile | None, NsysTrace | None, list[str]]:
    """The first form of a recording that can be read, opened, and what is wrong with those before it."""
    problems: list[str] = []
    for file in forms:
        with left_out(file.name, problems):
            opened = TraceFile(file, _exported(file, folder, export), folder)
            return opened, opened.open(), problems
    return None, None, problems


def _place(forms: list[Path], found: dict[Path, Sources], scratch: Path, export: Exporter | None) -> None:
    """Open a trace and give it to the runs it watched, else make it a run.

    What can't be read is a warning of the experiment that it lies in, else one of its own.
    """
    file = forms[0]
    folder = scratch / f"trace{sum(len(sources.runs) for sources in found.values())}-{file.stem[:40]}"
    folder.mkdir(parents=True, exist_ok=True)
    opened, trace, problems = _open(forms, folder, export)
    home = _around(file, found) or (file if opened is None else opened.path)
    watched: list[RunSources] = []
    if opened is not None and trace is not None:
        before = len(problems)
        with left_out(opened.path.name, problems):
            runs_here = [run for sources in found.values() for run in sources.runs if not run.is_trace]
            watched = [run for run in runs_here if watches(trace, run)]
        opened = opened if len(problems) == before else None
    if problems:
        found.setdefault(home, Sources()).warnings.extend(problems)
    if opened is None:
        return
    for run in watched:
        run.traces.append(opened)
    if not watched:
        found.setdefault(opened.path, Sources()).runs.append(RunSources(opened.path, [opened], is_trace=True))


def _around(file: Path, found: dict[Path, Sources]) -> Path | None:
    """The folder of the experiment that a file lies in."""
    around = [home for home in found if home.resolve() in file.resolve().parents and home.is_dir()]
    return max(around, key=lambda home: len(home.parts), default=None)


def _place_own(file: OwnFile, found: dict[Path, Sources]) -> None:
    """Give a user's file to the runs that it watched; else it is an experiment of its own, whose folder is the file."""
    known = {home: [run.path for run in sources.runs if not run.is_trace] for home, sources in found.items()}
    problems: list[str] = []
    with left_out(file.path.name, problems):
        watched, why = owners(file, look_into(file), {home: paths for home, paths in known.items() if paths})
    if problems:
        found.setdefault(_around(file.path, found) or file.path, Sources()).warnings.extend(problems)
        return
    for run in (run for sources in found.values() for run in sources.runs if run.path in watched):
        run.files.append(replace(file, joined_by=why))
    if not watched:
        mine = found.setdefault(file.path, Sources())
        mine.warnings += [f"{file.path.name}: not joined to the run in whose folder it lies: {why}"] if why else []
        if file.tool == TORCH:
            mine.runs.append(RunSources(file.path, files=[file], is_trace=True))
        else:
            mine.files.append(file)


def _exported(file: Path, folder: Path, export: Exporter | None) -> Path:
    """What is read of a file: its export, where it is a report. Raises MotraceError."""
    if file.suffix == STREAM:
        if export is None:
            raise MotraceError(
                f"{file.name}: not imported; where Nsight Systems is installed, run `QdstrmImporter -i {file.name}`"
            )
        return export(file, folder)
    source = open_trace(file, folder, export).source
    return getattr(source, "path", None) or file


def watches(trace: NsysTrace, run: RunSources) -> bool:
    """Whether a trace recorded the process of a run."""
    who = run_identity(run.path)
    run_id, pids, born_ns = who.run_id, who.pids, who.born_ns
    if not pids:
        return False
    marks = run_marks(trace)
    near = born_ns is None or trace.utc_start_ns is None or _overlaps(trace, born_ns)
    if marks:
        return near and any(name == run_id and pid in pids for name, pid in marks)
    return near and born_ns is not None and trace.utc_start_ns is not None and bool(pids & set(trace.profiled))


def _overlaps(trace: NsysTrace, born_ns: int) -> bool:
    start = trace.utc_start_ns or 0
    return start - SAME_TIME_NS <= born_ns <= start + (trace.duration_ns or 0) + SAME_TIME_NS


def run_marks(trace: NsysTrace) -> set[tuple[str, int]]:
    """(run id, pid) of each run-id mark in a trace."""
    table = nvtx_table(trace, NVTX_DOMAIN)
    names = table.column("name").cast("string").to_pylist()
    return {
        (name.removeprefix(RUN_MARK), pid)
        for name, pid in zip(names, table.column("pid").to_pylist())
        if name.startswith(RUN_MARK)
    }
