"""From run folders to tables and the report: the session that every command and notebook shares."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from . import output, runs, tables
from .collect.nsys import find_nsys
from .errors import MotraceError
from .joining import read_run
from .model.benchmark import benchmark_rows
from .model.compare import record_against_none, rungs, same_states
from .model.episodes import mode_episodes
from .model.modes import pool_modes
from .model.observers import observers_cost
from .model.run import analyse_run
from .model.run_tables import build_tables
from .model.runtime import mode_runtimes
from .model.summary import summarise
from .model.verdict import judge
from .own_paths import shortened
from .ownfiles import OwnFile
from .ownprofiles import read_own
from .readers.events import EventStore
from .readers.nsys import Exporter
from .redaction import redacted
from .sources import STREAM, RunSources, Sources, find, name_of

Json = dict[str, Any]
BUNDLE_FILE = "play.json"
NO_RUN: Json = {
    "preflight": [],
    "bucket": None,
    "abstains": True,
    "why": "a profile alone: where a loop's time went needs a recorded run",
    "next": "record the program (python -m tools.run_record --instrument WHAT.toml -- python PROGRAM), "
    "and profile that run",
}


@dataclass
class Analysis:
    """One experiment, analysed. ``report`` is what report.json holds.

    ``events`` are the files of each event table, which may be larger than memory.
    """

    home: Path
    report: Json
    tables: dict[str, pa.Table] = field(repr=False)
    events: dict[str, list[Path]] = field(default_factory=dict, repr=False)
    _scratch: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.report["experiment"])


@dataclass
class _OneRun:
    """What analysing one run gives; crosses process borders."""

    summary: Json | None
    tables: dict[str, pa.Table]
    problem: str | None
    events: dict[str, list[Path]] = field(default_factory=dict)
    profiles: list[Json] = field(default_factory=list)


def _one_run(source: RunSources, scratch: Path, phases: str | None) -> _OneRun:
    try:
        recording, trace = read_run(source, scratch, phases)
        analysis = analyse_run(recording, trace)
        made = build_tables(analysis)
        summary = summarise(analysis, made)
    except MotraceError as error:
        return _OneRun(None, {}, str(error))
    if summary["residual_ns"]:
        raise MotraceError(
            f"{source.path.name}: {summary['residual_ns']} ns are attributed twice or not at all; "
            "no report is made of it. Please report this"
        )
    events = {} if trace is None else {name: trace.store.files(name) for name in trace.store.counts()}
    profiles = [] if trace is None else list(trace.profiles)
    return _OneRun(summary, made, None, events, profiles)


def _one_file(file: OwnFile, scratch: Path) -> _OneRun:
    """A user's profile that belongs to no run: no summary, for it holds no run, but what it tells and its tables."""
    try:
        own = read_own(file, file.path.name, scratch)
    except MotraceError as error:
        return _OneRun(None, {}, str(error))
    store = EventStore(tuple(part.folder for part in own.parts))
    return _OneRun(None, {}, None, {name: store.files(name) for name in store.counts()}, [own.told])


def analyse(
    home: Path,
    sources: Sources,
    scratch: Path,
    jobs: int = 1,
    progress: Callable[[str], None] = lambda text: None,
    phases: str | None = None,
) -> Analysis:
    """Analyse an experiment. A run that can't be read becomes a warning; raises MotraceError if none can.

    ``scratch`` receives the event tables, see ``Analysis.events``.
    """
    warnings: list[str] = list(sources.warnings)
    experiment: Json = {}
    if (home / runs.EXPERIMENT_FILE).exists():
        try:
            experiment = runs.read_json(home / runs.EXPERIMENT_FILE)
        except MotraceError as error:
            warnings.append(str(error))
    elif not all(run.is_trace for run in sources.runs):
        warnings.append(f"no {runs.EXPERIMENT_FILE}: the command and the environment are not known")
    done: list[_OneRun] = []
    for run, one in zip(sources.runs, _map(sources.runs, scratch, phases, jobs)):
        done.append(one)
        progress(run.path.name)
    done += [_one_file(file, scratch / f"file{number}") for number, file in enumerate(sources.files)]
    warnings += [one.problem for one in done if one.problem]
    usable = [one for one in done if one.summary is not None]
    profiles = [told for one in done for told in one.profiles]
    if not usable and not profiles:
        raise MotraceError(f"{home.name}: nothing can be analysed: " + "; ".join(warnings))
    joined = tables.one_below_the_other([one.tables for one in usable] or [tables.no_rows()])
    clocks = joined["clocks"].to_pylist()
    summaries = [one.summary for one in usable if one.summary is not None]
    report = _report(home, experiment, summaries, joined, clocks, warnings, profiles)
    events: dict[str, list[Path]] = {}
    for one in done:
        for name, files in one.events.items():
            events.setdefault(name, []).extend(files)
    return Analysis(home, report, joined, events)


def _report(
    home: Path,
    experiment: Json,
    summaries: list[Json],
    joined: dict[str, pa.Table],
    clocks: list[Json],
    warnings: list[str],
    profiles: list[Json],
) -> Json:
    """What report.json holds: everything that is computed of several runs, and what was recorded of all."""
    environment = experiment.get("environment") or {}
    if not environment:
        environment = {"unknown": {"environment": f"no {runs.EXPERIMENT_FILE}"}}
    same = same_states(summaries)
    if same is False:
        warnings.append("the runs did not end in the same simulation state: they did not do the same work")
    warnings += _experiment_warnings(experiment)
    cost = observers_cost(summaries)
    modes = pool_modes(summaries, joined["frames"], cost)
    for name, found in (("episodes", mode_episodes(summaries, joined)), ("runtime", mode_runtimes(summaries, joined))):
        for mode, told in found.items():
            modes[mode][name] = told
    report = {
        "schema_version": runs.SCHEMA_VERSION,
        "experiment": experiment.get("experiment", name_of(home)),
        "created_utc": experiment.get("created_utc"),
        "environment": environment,
        "command": experiment.get("command") or {},
        "runs": summaries,
        "modes": modes,
        "same_states": same,
        "comparison": {**record_against_none(summaries), "rungs": rungs(summaries)},
        "observers": cost,
        "profiles": profiles,
        "what_if": [],
        "verdict": judge(summaries, environment, modes, cost) if summaries else NO_RUN,
        "clocks": clocks,
        "warnings": warnings + _run_warnings(summaries),
    }
    whole = {**report, "benchmark": benchmark_rows(report) if summaries else []}
    return dict(shortened(redacted(whole), home))


def _map(sources: list[RunSources], scratch: Path, phases: str | None, jobs: int) -> Iterator[_OneRun]:
    folders = [scratch / f"{number:03d}" for number in range(len(sources))]
    work = partial(_one_run, phases=phases)
    if jobs <= 1 or len(sources) <= 1:
        yield from map(work, sources, folders)
        return
    with ProcessPoolExecutor(min(jobs, len(sources))) as pool:
        yield from pool.map(work, sources, folders)


def _run_warnings(summaries: list[Json]) -> list[str]:
    """Warnings of the runs; one that several share is said once."""
    whose: dict[str, list[str]] = {}
    for summary in summaries:
        for text in summary["warnings"]:
            whose.setdefault(text, []).append(summary["run_id"])
    return [f"{', '.join(run_ids)}: {text}" for text, run_ids in whose.items()]


def _experiment_warnings(experiment: Json) -> list[str]:
    """What the recording warned of before its runs began."""
    told = [str(text) for text in (experiment.get("command") or {}).get("warnings") or []]
    free = (experiment.get("environment") or {}).get("disk_free_bytes")
    if free is not None and free < 1 << 30:
        told.append(f"low disk: {free / 1e6:.0f} MB were free when the experiment began")
    return told


def write(analysis: Analysis, out: Path, named: Path | None = None) -> None:
    """Write tables, report.json, report.md, report.html and play.json to ``out``. Raises MotraceError.

    ``named`` is the folder at or above ``out`` that the user named, and which may be a link; None: ``out`` itself.
    """
    from .report.html import render_html
    from .report.markdown import render_markdown

    try:
        output.folder(named or out, *(out.relative_to(named).parts if named else ()))
        for name in (*(f"{name}.parquet" for name in (*analysis.tables, *tables.EVENT_TABLES)), BUNDLE_FILE):
            (out / name).unlink(missing_ok=True)  # of an analysis before this one
        for name, table in sorted(analysis.tables.items()):
            if table.num_rows or (analysis.report["runs"] and name not in tables.SPARSE_TABLES):
                tables.write(table, out / f"{name}.parquet")
        for name, files in sorted(analysis.events.items()):
            tables.concatenate(files, out / f"{name}.parquet")
        runs.write_json(out / "report.json", analysis.report)
        for name, text in (
            ("report.md", render_markdown(analysis.report)),
            ("report.html", render_html(analysis.report, analysis.tables)),
        ):
            output.write_text(out / name, text)
        _write_bundle(analysis.report, out / BUNDLE_FILE)
    except OSError as error:
        raise MotraceError(f"{out} can't be written ({error.strerror}): choose another folder with --out") from error


def _write_bundle(report: Json, path: Path) -> None:
    """Write play.json, where a run of mode record completed, and read it back. Raises MotraceError, OSError."""
    from .report.bundle import play_bundle
    from .report.bundle_schema import PlayBundle

    try:
        bundle = play_bundle(report)
        if bundle is None:
            return
        runs.write_json(path, bundle.as_json())
        if PlayBundle.from_json(runs.read_json(path)) != bundle:
            raise ValueError("it does not read back as it was written")
    except ValueError as error:
        raise MotraceError(f"{path.name} would break its schema ({error}). Please report this") from error


def exporter() -> Exporter:
    """Exports a ``.nsys-rep`` with the Nsight Systems installed here; raises MotraceError where there is none."""

    def export(report: Path, folder: Path) -> Path:
        nsys = find_nsys()
        if nsys is None:
            raise MotraceError(f"{report.name}: Nsight Systems is not installed here")
        if report.suffix == STREAM:
            stream, report = report, folder / f"{report.stem}.nsys-rep"
            nsys.import_stream(stream, report, keep=True)
        return nsys.export(report, folder)

    return export


def load(path: str | Path, jobs: int = 1, phases: str | None = None) -> Analysis:
    """Analyse the experiment at ``path``, without writing anything there: for notebooks.

    Raises MotraceError where there is none, or several.
    """
    scratch = tempfile.TemporaryDirectory(prefix="motrace-")
    found = find([Path(path)], Path(scratch.name), exporter())
    if len(found) > 1:
        names = ", ".join(sorted(str(home) for home in found))
        raise MotraceError(f"{path} holds {len(found)} experiments: choose one of {names}")
    ((home, sources),) = found.items()
    one = analyse(home, sources, Path(scratch.name), jobs, phases=phases)
    one._scratch = scratch  # its event tables live as long as it does
    return one
