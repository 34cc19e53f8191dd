"""``analyze --sums``: time by name of what Nsight Systems recorded, straight from its reports."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from .. import output
from ..analysis import exporter
from ..errors import MotraceError
from ..escape import encodable
from ..ingest.discover import each_trace
from ..readers.nsys.stats import summaries
from ..report.format import percent, short_ms
from .terminal import Terminal, complain

FILE = "sums.csv"
ROWS, NAME_CHARS = 20, 80
"""How much of each summary is printed; the file holds all."""
TITLES = {"nvtx": "NVTX ranges", "cuda": "CUDA calls", "vulkan": "Vulkan calls", "osrt": "OS runtime calls"}


def print_sums(paths: list[Path], scratch: Path, out: str | None) -> int:
    """Print the sums of every trace at or below ``paths``; with ``out`` write all rows to OUT/sums.csv too.

    A trace that can't be read does not stop the others. Returns the exit status; raises MotraceError.
    """
    console = Terminal()
    tables: list[pa.Table] = []
    failures: list[MotraceError] = []
    for path, trace in each_trace(paths, scratch, exporter()):
        if isinstance(trace, MotraceError):
            failures.append(trace)
            complain("analyze", f"{path}: {trace}")
            continue
        table = summaries(trace)
        tables.append(table.add_column(0, "trace", pa.array([encodable(str(path))] * table.num_rows, pa.string())))
        console.rule(str(path))
        for text in trace.warnings:
            console.print(f"warning: {text}", style="yellow")
        _show(table, console)
    if out is not None and tables:
        _write(pa.concat_tables(tables), Path(out), console)
    return max((error.exit_status for error in failures), default=0)


def _show(table: pa.Table, console: Terminal) -> None:
    kinds = table.select(["summary", "kind"]).group_by(["summary", "kind"], use_threads=False).aggregate([])
    for entry in kinds.to_pylist():
        chosen = (pc.field("summary") == entry["summary"]) & (pc.field("kind") == entry["kind"])
        rows = table.filter(chosen)
        title = TITLES.get(entry["summary"], f"GPU, {entry['kind']}")
        console.print()
        console.print(title + (", start and end" if entry["kind"] == "start_end" else ""), style="bold")
        for line in _printed(rows.slice(0, ROWS)):
            console.print(line)
        rest = rows.slice(ROWS)
        if rest.num_rows:
            console.print(
                f"and {rest.num_rows} more names, {percent(pc.sum(rest.column('share')).as_py())} of the time"
            )
    if not table.num_rows:
        console.print("no ranges, calls or GPU operations")


def _printed(rows: pa.Table) -> list[str]:
    lines = ["   share    total, ms       count     mean, us    median     least      most   deviation  name"]
    for row in rows.to_pylist():
        times = [f"{row[f'{what}_ns'] / 1e3:,.1f}" for what in ("mean", "median", "min", "max", "std")]
        widths = zip(times, (12, 9, 9, 9, 11))
        name = row["name"] if len(row["name"]) <= NAME_CHARS else row["name"][: NAME_CHARS - 1] + "…"
        lines.append(
            f"{percent(row['share']):>8} {short_ms(row['total_ns']):>12} {row['count']:>11,} "
            + " ".join(f"{time:>{width}}" for time, width in widths)
            + f"  {name}"
        )
    return lines


def _write(table: pa.Table, out: Path, console: Terminal) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with output.replacing(out / FILE) as temporary, temporary.open("wb") as file:
            csv.write_csv(table, file)
    except OSError as error:
        raise MotraceError(f"{out} can't be written ({error.strerror}): choose another folder with --out") from error
    console.print()
    console.print(f"all {table.num_rows} rows: {out / FILE}")
