"""Profiles that the user made with their own tools, as sections of the report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .blocks import Grid, Section
from .format import ms, number, percent

Json = dict[str, Any]


def own_profiles(report: Json) -> Iterator[Section]:
    """One section for each file."""
    for told in report["profiles"]:
        yield Section(f"Your own {told['tool']} file {told['file']}", " ".join(_says(told)), _grids(told))


def _says(told: Json) -> Iterator[str]:
    if told["run"] is None:
        yield "Analysed alone: no run here is known to be the one it watched."
    elif told["joined_by"] is not None:
        yield f"It belongs to the run {told['run']}: {told['joined_by']}."
    yield f"Format: {told['format']}. Times: {told['times']}."
    if told["tool"] == "py-spy":
        yield f"{told['samples']:,} samples of together {number(told['seconds'])} s."
        if told["native"]:
            yield "Classes count what was sampled: without --idle py-spy leaves out threads that wait."
        else:
            yield "Recorded without native stacks (--native), so running time can't be split into classes."
    if told["tool"] == "VizTracer":
        forgot = "; its buffer was full, so that it forgot the first ones (--tracer_entries)" if told["forgot"] else ""
        yield f"{told['calls_seen']:,} calls of functions{forgot}. Tracing them costs time, short functions most."
    if told["tool"] == "Scalene":
        yield f"{told['lines_seen']} lines" + (f" of {number(told['seconds'])} s." if told["seconds"] else ".")


def _grids(told: Json) -> tuple[Grid, ...]:
    threads = tuple(
        (row["name"] or "–", str(row["tid"] or "–"), f"{row['samples']:,}", percent(row["share"]))
        for row in told.get("threads", [])
    )
    classes = tuple(
        (row["class"], "–" if row["samples"] is None else f"{row['samples']:,}", percent(row["share"]),
         "–" if row["lo"] is None else f"{percent(row['lo'])} to {percent(row['hi'])}")
        for row in told.get("classes", [])
    )  # fmt: skip
    grids = [
        Grid("What its samples were doing", ("class", "samples", "share", "95 %"), classes),
        _hot("Hot lines: where stacks end, native code counted to the line that called it", told.get("lines", [])),
        _hot("Functions, with what they called", told.get("functions", [])),
        _events("Functions by the time that they took themselves, without the calls inside", told.get("own_time", [])),
        Grid("Threads", ("thread", "id", "samples", "share"), threads, words=2),
        Grid("Lines (hints where to look: Scalene's split is not evidence)",
             ("line", "Python %", "native %", "system %", "copies, MB/s", "peak, MB"), tuple(
            (f"{row['file']}:{row['line']}", *(number(row[key], 1) for key in (
                "python_pct", "native_pct", "system_pct", "copy_mb_s", "peak_mb"))) for row in told.get("hints", [])
        )),
        _events("Annotations", told.get("ranges", [])),
        _events("GPU work", told.get("gpu_work", [])),
        _events("CPU operators (each with what it called)", told.get("operators", [])),
        _events("CUDA calls", told.get("calls", [])),
    ]  # fmt: skip
    return tuple(grid for grid in grids if grid.rows)


def _hot(title: str, rows: list[Json]) -> Grid:
    cells = tuple((row["name"], number(row["seconds"], 2), percent(row["share"])) for row in rows)
    return Grid(title, ("where", "s", "share"), cells)


def _events(title: str, rows: list[Json]) -> Grid:
    cells = tuple((row["name"], f"{row['count']:,}", ms(row["total_ns"])) for row in rows)
    return Grid(title, ("name", "times", "sum, ms"), cells)
