"""Reads the runs of a sweep, fits them, writes sweep.json, sweep.md and sweep.html, and shows the short form."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from .. import analysis, output, redaction, run_folder
from ..errors import MotraceError
from ..findings.compare import usable
from ..findings.sweep import measure, summarise_sweep
from ..ingest.discover import find
from ..report.format import percent, short_ms
from ..report.scaling import QUANTITIES, TERMS, coefficient, findings, render_sweep_html, render_sweep_markdown
from .sweep_runs import SWEEP_FILE, write
from .terminal import Terminal

Json = dict[str, Any]
FORMS = (("sweep.md", render_sweep_markdown), ("sweep.html", render_sweep_html))


def analyse_folder(folder: Path, console: Terminal) -> int:
    """``--analyze FOLDER``: fit, write, show. The exit status is 1 where nothing could be fitted."""
    sweep = read_sweep(folder)
    show(sweep, console)
    fits = sweep["results"]["fits"]
    if not any(entry["fit"] for entry in fits):
        raise MotraceError(f"{folder}: {fits[0]['unknown']}")
    console.print(f"report: {folder / 'sweep.html'}")
    return 0


def read_sweep(folder: Path) -> Json:
    """Analyse every experiment below ``folder`` and fit; writes the results there. Returns what sweep.json holds.

    The folder of a sweep, or any folder of experiments that run_record made. Raises MotraceError where there is
    no completed run, or where the experiments are not of one workload.
    """
    reports, warnings = _reports(folder)
    workloads = {_workload(report): report["experiment"] for report in reports}
    if len(workloads) > 1:
        kinds = ", ".join(sorted(f"{name} ({key[0]})" for key, name in workloads.items()))
        raise MotraceError(f"{folder} holds different workloads or arguments, which have no common fit: {kinds}")
    measured = [
        {**measure(run, report["command"]["options"]), "run": f"{report['experiment']}/{run['run_id']}"}
        for report in reports
        for mode in sorted(report["modes"])
        for run in usable(report["runs"], mode)
    ]
    try:
        results = summarise_sweep(measured)
    except MotraceError as error:
        raise MotraceError(f"{folder}: {error}") from error
    results["warnings"] = [*warnings, *results["warnings"]]
    path = folder / SWEEP_FILE
    facts = redaction.redacted(run_folder.read_json(path)) if path.exists() else _facts(folder, reports[0])
    facts["results"] = results
    write(path, facts)
    _write_forms(folder, facts)
    return facts


def _write_forms(folder: Path, facts: Json) -> None:
    for name, render in FORMS:
        try:
            output.write_text(folder / name, render(facts))
        except OSError as error:
            raise MotraceError(f"{folder / name} can't be written ({error.strerror}): free some space") from error


def _reports(folder: Path) -> tuple[list[Json], list[str]]:
    """The report of each experiment below a folder, and why some can't be used."""
    reports: list[Json] = []
    warnings: list[str] = []
    with tempfile.TemporaryDirectory(prefix="motrace-") as scratch:
        found = find([folder], Path(scratch), analysis.exporter())
        for number, home in enumerate(sorted(found)):
            try:
                report = analysis.analyse(home, found[home], Path(scratch) / f"home{number}").report
            except MotraceError as error:
                warnings.append(str(error))
                continue
            if not {"num_envs", "width", "height"} <= set(report["command"].get("options") or {}):
                warnings.append(f"{report['experiment']}: its environments and size are not known; left out")
                continue
            reports.append(report)
            gone = [run for run in report["runs"] if run["status"] != run_folder.COMPLETED]
            warnings += [
                f"{report['experiment']}/{run['run_id']}: {run['status']}"
                f"{': ' + run['status_reason'] if run['status_reason'] else ''}; left out"
                for run in gone
            ]
    if not reports:
        raise MotraceError(f"{folder}: no run can be used: {'; '.join(warnings) or 'there is none'}")
    return reports, warnings


def _workload(report: Json) -> tuple[str, tuple[str, ...]]:
    options = report["command"]["options"]
    return str(options.get("workload")), tuple(options.get("workload_args") or ())


def _facts(folder: Path, report: Json) -> Json:
    """A manifest for a folder of experiments that no sweep made."""
    return {
        "schema_version": run_folder.SCHEMA_VERSION,
        "sweep": folder.resolve().name,
        "created_utc": None,
        "status": run_folder.COMPLETED,
        "command": {},
        "adapter": None,
        "environment": report["environment"],
        "runs": [],
        "results": None,
    }


def show(sweep: Json, console: Terminal) -> None:
    """The short form on the terminal."""
    results = sweep["results"]
    console.rule(sweep["sweep"])
    for text in results["warnings"]:
        console.print("warning: " + text, style="yellow")
    for index, entry in enumerate(results["fits"]):
        console.print(f"{QUANTITIES[entry['quantity']]}, mode {entry['mode']}", style="bold")
        if not index:  # the reports have it for the others too
            console.print(_points(entry))
        if entry["fit"] is not None:
            console.print(_terms(entry))
            console.print(_how_good(entry))
        for text in findings(entry) if not index else ():
            console.print(text)


def _how_good(entry: Json) -> str:
    left_out = entry["left_out_median"]
    others = "" if left_out is None else f"; each point from the others: median error {percent(left_out)}"
    fit = entry["fit"]
    return (
        f"R2 {fit['r_squared']:.4f}, residual {percent(fit['residual_sd'])}{others}; intervals rest on {fit['basis']}"
    )


def _points(entry: Json) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for title in ("envs", "size", "runs", "mean, ms", "± 95 %", "fitted, ms", "residual"):
        table.add_column(title, justify="left" if title == "size" else "right")
    for row in entry["points"]:
        table.add_row(*_cells(row))
    return table


def _cells(row: Json) -> tuple[str, ...]:
    half = None if row["lo_ns"] is None else row["hi_ns"] - row["mean_ns"]
    size = f"{row['width']}x{row['height']}"
    ends: tuple[Any, ...] = (
        short_ms(row["mean_ns"]),
        short_ms(half),
        short_ms(row["fitted_ns"]),
        percent(row["residual"]),
    )
    return (str(row["num_envs"]), size, str(row["runs"]), *ends)


def _terms(entry: Json) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("term")
    table.add_column("unit")
    for title in ("value", "95 % interval"):
        table.add_column(title, justify="right")
    for term in entry["fit"]["terms"]:
        label, unit, _ = TERMS[term["name"]]
        value, lo, hi = (coefficient(term[key], term["name"]) for key in ("value", "lo", "hi"))
        table.add_row(label, unit, value + (" (held)" if term["held_at_zero"] else ""), f"{lo} to {hi}")
    return table
