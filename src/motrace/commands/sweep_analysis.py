"""Reads the runs of a sweep, fits them, writes sweep.json, sweep.md and sweep.html, and shows the short form."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from .. import analysis, output, run_folder
from ..cautions import Caution, CautionCode, caution
from ..dataset.facts import OptionValues
from ..errors import MotraceError
from ..findings.compare import usable
from ..findings.model import Report
from ..findings.sweep import measure, summarise_sweep
from ..findings.sweep_model import Sweep
from ..ingest.discover import find
from ..report import html, markdown
from ..report.say import say
from ..report.sweep_document import full, short
from .sweep_runs import SWEEP_FILE, load, write
from .terminal import Terminal


def analyse_folder(folder: Path, console: Terminal) -> int:
    """``--analyze FOLDER``: fit, write, show. The exit status is 1 where nothing could be fitted."""
    sweep = read_sweep(folder)
    console.show(short(sweep))
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
    measured = [
        measure(run, report.experiment, _options(report))
        for report in reports
        for mode in sorted({pool.key.mode for pool in report.pools})
        for run in usable(report.runs, mode)
    ]
    try:
        results = summarise_sweep(measured, warnings)
    except MotraceError as error:
        raise MotraceError(f"{folder}: {error}") from error
    path = folder / SWEEP_FILE
    if path.exists():
        sweep = load(path)
    else:  # a folder of experiments that no sweep made
        environment = reports[0].environment
        sweep = Sweep(sweep=folder.resolve().name, status=run_folder.COMPLETED, environment=environment)
    sweep = write(path, replace(sweep, results=results))
    document = full(sweep)
    for name, text in (("sweep.md", markdown.render(document)), ("sweep.html", html.render(document))):
        try:
            output.write_text(folder / name, text)
        except OSError as error:
            raise MotraceError(f"{folder / name} can't be written ({error.strerror}): free some space") from error
    return sweep


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
            if not {"num_envs", "width", "height"} <= set(_options(report)):
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


def _options(report: Report) -> OptionValues:
    return {} if report.command is None else report.command.options


def _workload(report: Report) -> tuple[str, tuple[str, ...]]:
    options = _options(report)
    arguments = options.get("workload_args")
    return str(options.get("workload")), tuple(map(str, arguments)) if isinstance(arguments, list) else ()
