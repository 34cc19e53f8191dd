"""From run folders to tables and the report: the session that every command and notebook shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from . import runs, tables
from .errors import MotraceError
from .model.compare import record_against_none, rungs, same_states
from .model.modes import pool_modes
from .model.run import analyse_run
from .model.run_tables import build_tables
from .model.summary import summarise
from .model.verdict import judge
from .readers.run import load_run

Json = dict[str, Any]


@dataclass
class Analysis:
    """One experiment, analysed. ``report`` is what report.json holds."""

    home: Path
    report: Json
    tables: dict[str, pa.Table] = field(repr=False)

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


def _one_run(path: Path) -> _OneRun:
    try:
        analysis = analyse_run(load_run(path))
        made = build_tables(analysis)
        summary = summarise(analysis, made)
    except MotraceError as error:
        return _OneRun(None, {}, str(error))
    if summary["residual_ns"]:
        raise MotraceError(
            f"{path.name}: {summary['residual_ns']} ns are attributed twice or not at all; "
            "no report is made of it. Please report this"
        )
    return _OneRun(summary, made, None)


def find(paths: list[Path]) -> dict[Path, list[Path]]:
    """Experiments below ``paths`` and their runs. Raises MotraceError where there is none."""
    found: dict[Path, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise MotraceError(f"{path}: no such file or folder")
        if not path.is_dir():
            raise MotraceError(f"{path}: not a folder; give the folder of an experiment, or one above it")
        here = runs.find_experiments(path)
        if not here:
            raise MotraceError(
                f"{path}: holds no recording (no {runs.RUN_FILE}, no spans-*.bin); "
                "record one with `python -m tools.run_record`"
            )
        for home, run_dirs in here.items():
            found.setdefault(home, []).extend(
                directory for directory in run_dirs if directory not in found.get(home, [])
            )
    return found


def analyse(
    home: Path, run_dirs: list[Path], jobs: int = 1, progress: Callable[[str], None] = lambda text: None
) -> Analysis:
    """Analyse an experiment. A run that can't be read becomes a warning; raises MotraceError if none can."""
    warnings: list[str] = []
    experiment: Json = {}
    if (home / runs.EXPERIMENT_FILE).exists():
        try:
            experiment = runs.read_json(home / runs.EXPERIMENT_FILE)
        except MotraceError as error:
            warnings.append(str(error))
    else:
        warnings.append(f"no {runs.EXPERIMENT_FILE}: the command and the environment are not known")
    done: list[_OneRun] = []
    for run_dir, one in zip(run_dirs, _map(run_dirs, jobs)):
        done.append(one)
        progress(run_dir.name)
    warnings += [one.problem for one in done if one.problem]
    usable = [one for one in done if one.summary is not None]
    if not usable:
        raise MotraceError(f"{home.name}: no run can be analysed: " + "; ".join(warnings))
    summaries = [one.summary for one in usable if one.summary is not None]
    joined = _joined([one.tables for one in usable])
    environment = experiment.get("environment") or {}
    if not (experiment.get("environment") or {}):
        environment = {"unknown": {"environment": f"no {runs.EXPERIMENT_FILE}"}}
    if same_states(summaries) is False:
        warnings.append("the runs did not end in the same simulation state: they did not do the same work")
    warnings += _experiment_warnings(experiment)
    report = {
        "schema_version": runs.SCHEMA_VERSION,
        "experiment": experiment.get("experiment", home.name),
        "created_utc": experiment.get("created_utc"),
        "environment": environment,
        "command": experiment.get("command") or {},
        "runs": summaries,
        "modes": pool_modes(summaries, joined["frames"]),
        "same_states": same_states(summaries),
        "comparison": {**record_against_none(summaries), "rungs": rungs(summaries)},
        "what_if": [],
        "verdict": judge(summaries, environment),
        "clocks": [row for one in usable for row in one.tables["clocks"].to_pylist()],
        "warnings": warnings + _run_warnings(summaries),
    }
    return Analysis(home, report, joined)


def _map(run_dirs: list[Path], jobs: int) -> Iterator[_OneRun]:
    if jobs <= 1 or len(run_dirs) <= 1:
        yield from map(_one_run, run_dirs)
        return
    with ProcessPoolExecutor(min(jobs, len(run_dirs))) as pool:
        yield from pool.map(_one_run, run_dirs)


def _run_warnings(summaries: list[Json]) -> list[str]:
    """Warnings of the runs; one that several share is said once."""
    whose: dict[str, list[str]] = {}
    for summary in summaries:
        for text in summary["warnings"]:
            whose.setdefault(text, []).append(summary["run_id"])
    return [f"{', '.join(run_ids)}: {text}" for text, run_ids in whose.items()]


def _experiment_warnings(experiment: Json) -> list[str]:
    free = (experiment.get("environment") or {}).get("disk_free_bytes")
    if free is not None and free < 1 << 30:
        return [f"low disk: {free / 1e6:.0f} MB were free when the experiment began"]
    return []


def _joined(parts: list[dict[str, pa.Table]]) -> dict[str, pa.Table]:
    """The tables of all runs, one below the other; a phase that a run has not took 0 ns there."""
    joined = {
        name: pa.concat_tables([part[name] for part in parts]).unify_dictionaries()
        for name in parts[0]
        if name != "frames"
    }
    fixed = tables.frames_schema(()).names
    phases = sorted({name for part in parts for name in part["frames"].column_names if name not in fixed})
    schema = tables.frames_schema(phases)
    same = []
    for part in parts:
        frames = part["frames"]
        zero = pa.array(np.zeros(frames.num_rows, np.int64))
        columns = [frames[name] if name in frames.column_names else zero for name in schema.names]
        same.append(pa.table(columns, schema=schema))
    joined["frames"] = pa.concat_tables(same).unify_dictionaries()
    for name, table in joined.items():
        tables.check(table, schema if name == "frames" else tables.SCHEMAS[name])
    return joined


def write(analysis: Analysis, out: Path) -> None:
    """Write tables, report.json, report.md and report.html to ``out``. Raises MotraceError."""
    from .report.html import render_html
    from .report.markdown import render_markdown

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, table in sorted(analysis.tables.items()):
            tables.write(table, out / f"{name}.parquet")
        runs.write_json(out / "report.json", analysis.report)
        for name, text in (
            ("report.md", render_markdown(analysis.report)),
            ("report.html", render_html(analysis.report, analysis.tables)),
        ):
            temporary = out / f"{name}.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(out / name)
    except OSError as error:
        raise MotraceError(f"{out} can't be written ({error.strerror}): choose another folder with --out") from error


def load(path: str | Path, jobs: int = 1) -> Analysis:
    """Analyse the experiment at ``path``, without writing anything: for notebooks.

    Raises MotraceError where there is none, or several.
    """
    found = find([Path(path)])
    if len(found) > 1:
        names = ", ".join(sorted(str(home) for home in found))
        raise MotraceError(f"{path} holds {len(found)} experiments: choose one of {names}")
    ((home, run_dirs),) = found.items()
    return analyse(home, run_dirs, jobs)
