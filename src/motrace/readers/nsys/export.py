"""Reads what Nsight Systems writes: reports (through an exporter), SQLite, Parquet and Arrow exports.

See docs/nsys.md for what is read and by which rules.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow.ipc as ipc

from ...errors import MotraceError, reason
from ...escape import encodable
from .columnar import TABLE_NAME, ArrowSource, ParquetSource, opened
from .convert import convert, nvtx_table
from .source import READ_ERRORS, ExportSource
from .sqlite import SqliteSource
from .trace import NsysTrace, describe

__all__ = ["Exporter", "NsysTrace", "convert", "is_nsys_file", "nvtx_table", "open_trace"]

Exporter = Callable[[Path, Path], Path]
"""Called with a ``.nsys-rep`` and a folder to write into; returns the export. Runs ``nsys export``."""

REPORT = ".nsys-rep"
_MARKS = ("META_DATA_EXPORT", "EXPORT_META_DATA", "StringIds")
_SQLITE_MAGIC, _ARROW_MAGIC = b"SQLite format 3\0", b"\xff\xff\xff\xff"


def is_nsys_file(path: Path) -> bool:
    """Whether a file or folder looks like something that Nsight Systems wrote.

    By the suffix ``.nsys-rep``; for SQLite, Parquet and Arrow by the tables in it. A ``.sqlite`` that
    is not a database counts too, so that a damaged export is reported, not overlooked.
    """
    if path.is_dir():
        return any((path / f"{mark}.{suffix}").is_file() for mark in _MARKS for suffix in ("parquet", "arrow"))
    if not path.is_file():
        return False
    begins = _first_bytes(path)
    if begins == _SQLITE_MAGIC:
        with suppress(MotraceError, OSError):
            source = SqliteSource(path)
            cut_off = path.suffix == ".sqlite" and bool(source.damaged)
            return cut_off or any(mark in source.tables for mark in _MARKS)
    return path.suffix in (".sqlite", REPORT) or (begins.startswith(_ARROW_MAGIC) and _is_nsys_arrow(path))


def _first_bytes(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_SQLITE_MAGIC))
    return b""


def _is_nsys_arrow(path: Path) -> bool:
    try:
        with opened(path) as data:
            return TABLE_NAME in (ipc.open_stream(data).schema.metadata or {})
    except READ_ERRORS:
        return False


def open_trace(path: Path, scratch: Path, export: Exporter | None = None) -> NsysTrace:
    """Open what nsys wrote: ``.nsys-rep``, ``.sqlite``, ``.arrow``, or a folder of Parquet or Arrow files.

    ``scratch`` is a folder for files that are not kept; a report is exported into it by ``export``.
    What is damaged or missing becomes one of the trace's warnings. Raises MotraceError, with one
    line that says what to do, where nothing can be read.
    """
    source = _source(_export(path, scratch, export) if path.suffix == REPORT else path)
    trace = NsysTrace(path, encodable(path.name), source, scratch)
    for name in getattr(source, "damaged", ()):
        trace.warn(f"{name} is damaged")
    if not any(table in source.tables for table in _MARKS) and not any("_" in table for table in source.tables):
        why = "it is cut off: export it again" if trace.warnings else "it has none of its tables"
        raise MotraceError(f"{path.name}: not an export of Nsight Systems: {why}")
    describe(trace)
    return trace


def _source(path: Path) -> ExportSource:
    if not path.exists():
        raise MotraceError(f"{path.name}: there is no such file")
    if path.is_dir():
        if any(path.glob("*.parquet")):
            return ParquetSource(path)
        if any(path.glob("*.arrow")):
            return ArrowSource(path)
        raise MotraceError(f"{path.name}: a folder without Parquet or Arrow files: give the report or its export")
    if not path.stat().st_size:
        raise MotraceError(f"{path.name}: empty: the export failed; export the report again")
    if path.suffix == ".arrow" or _first_bytes(path).startswith(_ARROW_MAGIC):
        return ArrowSource(path)
    return SqliteSource(path)


def _export(path: Path, scratch: Path, export: Exporter | None) -> Path:
    how = (
        "where Nsight Systems at least as new as the report is installed, run "
        f"`nsys export -t sqlite -o {path.stem}.sqlite {path.name}` and analyse that file"
    )
    if not path.is_file():
        raise MotraceError(f"{path.name}: there is no such file")
    if not path.stat().st_size:
        raise MotraceError(f"{path.name}: empty: the recording failed; record again")
    if export is None:
        raise MotraceError(f"{path.name}: a report can't be read without Nsight Systems: {how}")
    try:
        return export(path, scratch)
    except (MotraceError, OSError, sqlite3.Error) as error:
        raise MotraceError(f"{reason(path.name, error).rstrip('.')}; {how}") from None
