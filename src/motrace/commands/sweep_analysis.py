"""Reads the runs of a sweep, fits them, writes sweep.json, sweep.md and sweep.html, and shows the short form."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from .. import analysis, output, redaction, run_folder
from ..cautions import Caution, CautionCode, caution
from ..errors import MotraceError
from ..findings.compare import usable
from ..findings.model import Report
from ..findings.sweep import measure, summarise_sweep
from ..findings.sweep_model import MeasuredRun, Sweep, SweepCommand
from ..ingest.discover import find
from ..report import html, markdown, sweep_document
from ..report.say import say
from ..report.schema import encode
from .sweep_runs import SWEEP_FILE
from .terminal import Terminal

FORMS = (("sweep.md", markdown.render), ("sweep.html", html.render))


def analyse_folder(folder: Path, console: Terminal) -> int:
    """``--analyze FOLDER``: fit, write, show. The exit status is 1 where nothing could be fitted."""
    sweep = read_sweep(folder)
    console.show(sweep_document.short(sweep))
    fits = sweep.results.fits if sweep.results is not None else ()
    if not any(one.fit for one in fits):
        raise MotraceError(f"{folder}: {fits[0].unknown}")
    console.print(f"report: {folder / 'sweep.html'}")
    return 0


def read_sweep(folder: Path) -> Sweep:
    """Analyse every experiment below ``folder`` and fit; writes the results there. Returns what sweep.json holds.

    The folder of a sweep, or any folder of experiments that run_record made. Raises MotraceError where there is
    no completed run, or where the experiments are not of one workload.
    """
    reports, warnings = _reports(folder)
    workloads = {_workload(report): report.experiment for report in reports}
    if len(workloads) > 1:
        kinds = ", ".join(sorted(f"{name} ({key[0]})" for key, name in workloads.items()))
        raise MotraceError(f"{folder} holds different workloads or arguments, which have no common fit: {kinds}")
    try:
        results = summarise_sweep([one for report in reports for one in _measured(report)], warnings)
    except MotraceError as error:
        raise MotraceError(f"{folder}: {error}") from error
    sweep = replace(_asked(folder, reports[0]), results=results)
    document = sweep_document.full(sweep)
    _write(folder / SWEEP_FILE, encode(sweep))
    for name, render in FORMS:
        _write(folder / name, render(document))
    return sweep


def _write(path: Path, text: str) -> None:
    try:
        output.write_text(path, text)
    except OSError as error:
        raise MotraceError(f"{path} can't be written ({error.strerror}): free some space") from error


def _measured(report: Report) -> list[MeasuredRun]:
    options = report.command.options if report.command is not None else {}
    modes = sorted({run.mode for run in report.runs})
    return [measure(run, report.experiment, options) for mode in modes for run in usable(report.runs, mode)]


def _reports(folder: Path) -> tuple[list[Report], list[Caution]]:
    """The report of each experiment below a folder, and why some can't be used."""
    reports: list[Report] = []
    warnings: list[Caution] = []
    with tempfile.TemporaryDirectory(prefix="motrace-") as scratch:
        found = find([folder], Path(scratch), analysis.exporter())
        for number, home in enumerate(sorted(found)):
            try:
                report = analysis.analyse(home, found[home], Path(scratch) / f"home{number}").report
            except MotraceError as error:
                warnings.append(caution(CautionCode.UNREADABLE, text=str(error)))
                continue
            if report.command is None or not {"num_envs", "width", "height"} <= set(report.command.options):
                warnings.append(caution(CautionCode.SIZE_UNKNOWN, experiment=report.experiment))
                continue
            reports.append(report)
            warnings += [
                caution(CautionCode.RUN_LEFT_OUT, run=f"{report.experiment}/{run.run_id}", status=run.status,
                        reason=run.status_reason or "no reason was recorded")
                for run in report.runs if not run.completed
            ]  # fmt: skip
    if not reports:
        why = "; ".join(say(one.code, one.values) for one in warnings)
        raise MotraceError(f"{folder}: no run can be used: {why or 'there is none'}")
    return reports, warnings


def _workload(report: Report) -> tuple[str, tuple[str, ...]]:
    options = report.command.options if report.command is not None else {}
    arguments = options.get("workload_args")
    return str(options.get("workload")), tuple(map(str, arguments if isinstance(arguments, list) else ()))


def _asked(folder: Path, report: Report) -> Sweep:
    """What a sweep was asked to do: its manifest, or one for a folder of experiments that no sweep made."""
    path = folder / SWEEP_FILE
    if path.exists():
        facts = redaction.redacted(run_folder.read_json(path))
        try:
            return msgspec.convert({**facts, "results": None}, Sweep)
        except msgspec.ValidationError as error:
            raise MotraceError(f"{path} can't be read ({error})") from error
    name = folder.resolve().name
    return Sweep(run_folder.SCHEMA_VERSION, name, None, run_folder.COMPLETED, SweepCommand(), None, report.environment)
