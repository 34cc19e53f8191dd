"""``analyze --sums``: time by name of what Nsight Systems recorded, straight from its reports."""

from __future__ import annotations

from dataclasses import dataclass, fields
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
from ..report.blocks import Block, Column, Document, Text, Tone, numbers, table, words
from ..report.format import count, number, percent, short_ms
from . import complain
from .terminal import Terminal

FILE = "sums.csv"
ROWS = 20
"""How many names of each summary are printed; the file holds all."""


@dataclass(frozen=True)
class NameSum:
    """A row of a summary: the calls, ranges or operations of one name."""

    name: str
    count: int
    total_ns: int
    min_ns: int
    max_ns: int
    mean_ns: float
    median_ns: float
    std_ns: float
    share: float


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
        sums = summaries(trace)
        tables.append(sums.add_column(0, "trace", pa.array([encodable(str(path))] * sums.num_rows, pa.string())))
        console.rule(str(path))
        for text in trace.warnings:
            console.print(f"warning: {text}", style="yellow")
        _show(sums, console)
    if out is not None and tables:
        _write(pa.concat_tables(tables), Path(out), console)
    return max((error.exit_status for error in failures), default=0)


def _show(sums: pa.Table, console: Terminal) -> None:
    kinds = sums.select(["summary", "kind"]).group_by(["summary", "kind"], use_threads=False).aggregate([])
    blocks: list[Block] = []
    for entry in kinds.to_pylist():
        chosen = (pc.field("summary") == entry["summary"]) & (pc.field("kind") == entry["kind"])
        rows = sums.filter(chosen)
        shown = rows.slice(0, ROWS).select([field.name for field in fields(NameSum)])
        title = TITLES.get(entry["summary"], f"GPU, {entry['kind']}")
        title += ", start and end" if entry["kind"] == "start_end" else ""
        blocks.append(table(title, COLUMNS, [NameSum(**row) for row in shown.to_pylist()]))
        rest = rows.slice(ROWS)
        if rest.num_rows:
            share = percent(pc.sum(rest.column("share")).as_py())
            blocks.append(Text(f"and {rest.num_rows} more names, {share} of the time", Tone.NOTE))
    console.show(Document("", tuple(blocks) or (Text("no ranges, calls or GPU operations"),), ()))


def _us(ns: float) -> str:
    return number(ns / 1e3, 1)


COLUMNS: list[Column[NameSum]] = [
    numbers("share", lambda row: row.share, percent), numbers("total, ms", lambda row: row.total_ns, short_ms),
    numbers("count", lambda row: row.count, count), numbers("mean, us", lambda row: row.mean_ns, _us),
    numbers("median", lambda row: row.median_ns, _us), numbers("least", lambda row: row.min_ns, _us),
    numbers("most", lambda row: row.max_ns, _us), numbers("deviation", lambda row: row.std_ns, _us),
    words("name", lambda row: row.name),
]  # fmt: skip


def _write(sums: pa.Table, out: Path, console: Terminal) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with output.replacing(out / FILE) as temporary, temporary.open("wb") as file:
            csv.write_csv(sums, file)
    except OSError as error:
        raise MotraceError(f"{out} can't be written ({error.strerror}): choose another folder with --out") from error
    console.print()
    console.print(f"all {sums.num_rows} rows: {out / FILE}")
