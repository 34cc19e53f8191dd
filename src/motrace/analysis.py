"""From run folders to tables and the report: the session that every command and notebook shares."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from . import output, run_folder
from .attribution.run import analyse_run
from .attribution.runs_table import runs_table
from .attribution.tables import build_tables
from .attribution.windows import Trace
from .cautions import Caution, CautionCode, caution
from .collect.nsys import find_nsys
from .dataset.dataset import Dataset
from .dataset.facts import Environment, ExperimentManifest
from .dataset.profiles import UserProfile
from .dataset.tables import ExperimentKey
from .dataset.typed_json import convert
from .errors import MotraceError, left_out, reason
from .findings.compare import WITHOUT_EXPERIMENT
from .findings.experiment import experiment_report
from .findings.model import Report
from .findings.pools import composition_table, mark_pooled
from .findings.run_model import RunSummary
from .findings.run_summary import summarise
from .ingest.discover import RunSources, Sources, find
from .ingest.experiment_key import experiment_key
from .ingest.load_run import read_run
from .ingest.nsys import STREAM
from .own_paths import shortened
from .readers.nsys.export import Exporter
from .readers.recording import RunRecording
from .redaction import redacted
from .report.schema import encode, rewritten

REPORT_FILE, BUNDLE_FILE = "report.json", "play.json"
NOTHING = Dataset({})


@dataclass
class Analysis:
    """One experiment, analysed. ``report`` is what report.json holds."""

    home: Path
    report: Report
    dataset: Dataset
    _scratch: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.report.experiment

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The tables that are in memory."""
        return self.dataset.tables

    @property
    def events(self) -> Mapping[str, tuple[Path, ...]]:
        """The files of each event table."""
        return self.dataset.events


@dataclass
class _OneRun:
    """What analysing one run gives; crosses process borders."""

    summary: RunSummary | None
    dataset: Dataset
    problem: str | None
    profiles: list[UserProfile] = field(default_factory=list)
    name: str = ""


@dataclass(frozen=True)
class _Home:
    """The experiment that a run belongs to."""

    path: Path
    environment: Environment


def _one_run(source: RunSources, scratch: Path, phases: str | None, home: _Home) -> _OneRun:
    warnings: list[str] = []
    name = source.run_id or source.path.name
    with left_out(name, warnings):
        recording, trace = read_run(source, scratch, phases)
        try:
            return _analysed(recording, trace, home)
        except Exception as error:
            if trace is None or recording is None or source.is_trace:
                raise
            recording.warnings.append(reason("what profilers recorded of it is left out", error))
        return _analysed(recording, None, home)
    return _OneRun(None, NOTHING, warnings[0], name=name)


def _analysed(recording: RunRecording | None, trace: Trace | None, home: _Home) -> _OneRun:
    """Of a profile that belongs to no run no summary, but what it says and its tables."""
    events = {} if trace is None else trace.store.event_files()
    profiles = [] if trace is None else list(trace.profiles)
    if recording is None:
        return _OneRun(None, Dataset({}, events), None, profiles)
    analysis = analyse_run(recording, trace)
    manifest = rewritten(recording.manifest, redacted, partial(shortened, experiment=home.path))
    made = {"runs": runs_table(analysis, manifest, home.environment), **build_tables(analysis)}
    summary = summarise(analysis, made)
    if summary.residual_ns:
        raise MotraceError(
            f"{recording.run_id}: {summary.residual_ns} ns are attributed twice or not at all; "
            "no report is made of it. Please report this"
        )
    return _OneRun(summary, Dataset(made, events), None, profiles, recording.run_id)


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
    experiment, cautions = ExperimentManifest(), list[Caution]()
    if is_said := (home / run_folder.EXPERIMENT_FILE).exists():
        with left_out(run_folder.EXPERIMENT_FILE, warnings):
            data = run_folder.read_json(home / run_folder.EXPERIMENT_FILE)
            experiment = convert(ExperimentManifest, data, run_folder.EXPERIMENT_FILE, warnings)
    done: list[_OneRun] = []
    environment = experiment.environment or Environment()
    work = partial(_one_run, phases=phases, home=_Home(home, environment))
    key = experiment_key(home, experiment)
    runs = [replace(run, experiment=key) for run in sources.runs]
    for run, one in zip(runs, _map(runs, scratch, work, jobs)):
        done.append(one)
        progress(run.path.name)
    warnings += [one.problem for one in done if one.problem]
    usable = [one for one in done if one.summary is not None]
    if not is_said and not {one.summary.mode for one in done if one.summary} <= WITHOUT_EXPERIMENT:
        cautions.append(caution(CautionCode.NO_EXPERIMENT_FILE))
    profiles = [profile for one in done for profile in one.profiles]
    cautions = [*(caution(CautionCode.UNREADABLE, text=text) for text in warnings), *cautions]
    cautions += [warning for profile in profiles for warning in profile.warnings]
    report, good = _report_of_good(partial(_combined, home, key), experiment, usable, cautions, profiles)
    dataset = Dataset.joined(one.dataset for one in done if one.summary is None or one in good)
    runs_table = mark_pooled(dataset.tables["runs"], report.pools)
    pooled = {"runs": runs_table, "composition": composition_table(key, report.pools)}
    return Analysis(home, report, replace(dataset, tables={**dataset.tables, **pooled}))


def _report_of_good(
    combined: Callable[..., Report],
    experiment: ExperimentManifest,
    usable: list[_OneRun],
    cautions: list[Caution],
    profiles: list[UserProfile],
) -> tuple[Report, list[_OneRun]]:
    """The report and the runs in it: a run of which alone no report can be made is left out with a warning.

    Raises MotraceError where nothing is left.
    """
    try:
        return combined(experiment, usable, cautions, profiles), usable
    except Exception:  # noqa: BLE001  (one of them holds what it should not: which?)
        good: list[_OneRun] = []
        bad: list[str] = []
        for one in usable:
            with left_out(one.name, bad):
                combined(ExperimentManifest(), [one], [], [])
                good.append(one)
        cautions = [*cautions, *(caution(CautionCode.UNREADABLE, text=text) for text in bad)]
        return combined(experiment, good, cautions, profiles), good


def _combined(
    home: Path,
    key: ExperimentKey,
    experiment: ExperimentManifest,
    usable: list[_OneRun],
    cautions: list[Caution],
    profiles: list[UserProfile],
) -> Report:
    """The report of an experiment. Raises MotraceError where it has no run left."""
    if not usable and not profiles:
        why = "; ".join(str(one.values.get("text", one.code.value)) for one in cautions)
        begin = f"{home.parent}{os.sep}" if home.is_file() else f"{home}: nothing can be analysed: "
        raise MotraceError(begin + why)  # of a file, the reason begins with its name
    joined = Dataset.joined(one.dataset for one in usable).tables
    summaries = [one.summary for one in usable if one.summary is not None]
    report = experiment_report(key, experiment, summaries, joined, cautions, profiles)
    return rewritten(report, redacted, partial(shortened, experiment=home))


def _map(sources: list[RunSources], scratch: Path, work: Callable[..., _OneRun], jobs: int) -> Iterator[_OneRun]:
    folders = [scratch / f"{number:03d}" for number in range(len(sources))]
    if jobs <= 1 or len(sources) <= 1:
        yield from map(work, sources, folders)
        return
    with ProcessPoolExecutor(min(jobs, len(sources))) as pool:
        begun = [pool.submit(work, source, folder) for source, folder in zip(sources, folders)]
        for source, folder, one in zip(sources, folders, begun):
            try:
                yield one.result()
            except BrokenExecutor:  # a process was killed, but of which run? Each again, in a process of its own
                yield _alone(work, source, folder)


def _alone(work: Callable[..., _OneRun], source: RunSources, folder: Path) -> _OneRun:
    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(work, source, folder).result()
        except BrokenExecutor:
            return _OneRun(
                None, NOTHING, f"{source.path.name}: the process that analysed it was killed (out of memory?)"
            )


def write(analysis: Analysis, out: Path, named: Path | None = None) -> None:
    """Write tables, report.json, report.md, report.html and play.json to ``out``. Raises MotraceError.

    ``named`` is the folder at or above ``out`` that the user named, and which may be a link; None: ``out`` itself.
    """
    from .report import document, html, markdown

    report, made = analysis.report, analysis.tables
    try:
        output.folder(named or out, *(out.relative_to(named).parts if named else ()))
        (out / BUNDLE_FILE).unlink(missing_ok=True)  # of an analysis before this one
        analysis.dataset.write(out)
        shown = document.full(report, made["frames"], made["frame_phases"])
        for name, text in (
            (REPORT_FILE, encode(report)),
            ("report.md", markdown.render(shown)),
            ("report.html", html.render(shown)),
        ):
            output.write_text(out / name, text)
        _write_bundle(report, out / BUNDLE_FILE)
    except OSError as error:
        raise MotraceError(f"{out} can't be written ({error.strerror}): choose another folder with --out") from error


def _write_bundle(report: Report, path: Path) -> None:
    """Write play.json, where a run of mode record completed, and read it back. Raises MotraceError, OSError."""
    from .report.isaaclab.bundle import play_bundle
    from .report.isaaclab.schema import PlayBundle

    try:
        bundle = play_bundle(report)
        if bundle is None:
            return
        run_folder.write_json(path, bundle.as_json())
        if PlayBundle.from_json(run_folder.read_json(path)) != bundle:
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
