"""What an Nsight Systems export says about itself: version, clock, processes, threads, GPUs, complaints."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from .enums import LAUNCHER, NSYS_THREAD, SEVERITIES
from .source import NULL, READ_ERRORS, ExportSource, Ints, Query, first_rows, rows_of
from .strings import Strings

_Number = TypeVar("_Number", int, Ints)
_MOST_DIAGNOSTICS = 10
INSTALL_FOLDER = 170
"""TARGET_INFO_SYSTEM_ENV.nameEnum of where the recorder is installed, in a folder that bears its version."""
_VERSION = re.compile(r"(?<![\d.])20\d\d\.\d+(?:\.\d+)*")
_LONGEST_DIAGNOSTIC = 300
OVERHEAD = ("PROFILER_OVERHEAD", "CUPTI_ACTIVITY_KIND_OVERHEAD")
NEVER_ENDS = 1 << 60
"""No time or duration is this long, ns: 36 years."""


def pid_of(global_id: _Number) -> _Number:
    """Process ids of global thread or process ids; the upper bits are host and virtual machine."""
    return (global_id >> 24) & 0xFFFFFF


def tid_of(global_tid: _Number) -> _Number:
    """Thread ids of global thread ids."""
    return global_tid & 0xFFFFFF


@dataclass
class NsysTrace:
    """An export, opened. Its times are ns from the start of the session.

    ``product_version`` is the exporter's, ``recorder_version`` the recorder's, if the export says it. ``utc_start_ns``
    is the wall clock at time 0. ``processes`` and ``threads`` are names by pid and by (pid, tid), of all that nsys saw
    on the machine but without its own threads; ``profiled`` are the processes that it traced, ``pythons`` those that
    run Python. ``own_threads`` are threads of the profiler inside them, whose events are left out. ``gpus`` are names
    by CUDA device. ``warnings`` says what is damaged, what is missing and what nsys complained of. ``ended`` is when
    the recording did, once that was looked for (extent.recording_end).
    """

    path: Path
    name: str
    source: ExportSource
    scratch: Path
    product_version: str = ""
    recorder_version: str = ""
    schema_version: str = ""
    utc_start_ns: int | None = None
    duration_ns: int | None = None
    processes: dict[int, str] = field(default_factory=dict)
    threads: dict[tuple[int, int], str] = field(default_factory=dict)
    profiled: frozenset[int] = frozenset()
    pythons: set[int] = field(default_factory=set)
    own_threads: set[tuple[int, int]] = field(default_factory=set)
    gpus: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    ended: tuple[int | None, ...] = ()
    _strings: Strings | None = None

    @property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """Columns of each table that exists, under today's names; a table may be empty."""
        return self.source.tables

    @property
    def strings(self) -> Strings:
        """StringIds, read at first use. Raises what reading a damaged file raises."""
        if self._strings is None:
            self._strings = Strings(self.source)
        return self._strings

    def warn(self, text: str) -> None:
        """Add a warning, unless it was already given."""
        text = f"{self.name}: {text}"
        if text not in self.warnings:
            self.warnings.append(text)


def describe(trace: NsysTrace) -> None:
    """Fill in what the export says about itself. What can't be read becomes a warning."""
    for fill in (_metadata, _clock, _strings, _names, _gpus, _diagnostics):
        _try(trace, fill)


def _try(trace: NsysTrace, fill: Callable[[NsysTrace], None]) -> None:
    try:
        fill(trace)
    except READ_ERRORS as error:
        trace.warn(f"damaged: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0][:_LONGEST_DIAGNOSTIC]


def _metadata(trace: NsysTrace) -> None:
    query = Query("META_DATA_EXPORT", texts=("name", "value"))
    found = {name: value for _, (name, value) in rows_of(trace.source, query)}
    trace.product_version = found.get("EXPORT_PRODUCT_VERSION") or ""
    trace.schema_version = found.get("EXPORT_SCHEMA_VERSION") or ""
    folders = Query("TARGET_INFO_SYSTEM_ENV", texts=("value",), among={"nameEnum": (INSTALL_FOLDER,)})
    if "nameEnum" in trace.tables.get(folders.table, ()):
        said = [_VERSION.search(folder or "") for _, (folder,) in rows_of(trace.source, folders)]
        trace.recorder_version = next((version[0] for version in said if version), "")
    if not found:
        trace.warn(
            "no META_DATA_EXPORT: the export was cut off, or this nsys is older than the report; tables may miss"
        )
    if "StringIds" not in trace.tables:
        trace.warn("no StringIds: names are numbers")


def _clock(trace: NsysTrace) -> None:
    trace.utc_start_ns = _first(trace, "TARGET_INFO_SESSION_START_TIME", "utcEpochNs")
    duration = _first(trace, "ANALYSIS_DETAILS", "duration")
    if duration is not None and 0 < duration < NEVER_ENDS:
        trace.duration_ns = duration


def _first(trace: NsysTrace, table: str, column: str) -> int | None:
    (number,), _ = next(rows_of(trace.source, Query(table, ints=(column,)), 1), ((None,), ()))
    return number


def _strings(trace: NsysTrace) -> None:
    try:
        _ = trace.strings
    except READ_ERRORS:
        trace.source.tables.pop("StringIds", None)  # names will be numbers
        raise


def _names(trace: NsysTrace) -> None:
    query = Query("ThreadNames", ints=("nameId", "priority", "globalTid"))
    best: dict[tuple[int, int], tuple[int, int, str]] = {}
    for batch in first_rows(trace.source, query):
        names = trace.strings.texts(batch["nameId"])
        tids = batch["globalTid"]
        for i, name in enumerate(names):
            key = (pid_of(int(tids[i])), tid_of(int(tids[i])))
            if name is not None and tids[i] != NULL:
                best[key] = max(best.get(key, (NULL, 0, "")), (int(batch["priority"][i]), i, name))
    trace.profiled = _profiled(trace) or frozenset(
        pid for (pid, _), (_, _, name) in best.items() if name.startswith(NSYS_THREAD)
    )
    processes = Query("PROCESSES", ints=("globalPid", "pid"), texts=("name",))
    for (global_pid, pid), (name,) in rows_of(trace.source, processes):
        number = pid if pid is not None else pid_of(global_pid) if global_pid is not None else None
        if number is not None and name:
            trace.processes[number] = name.rsplit("/", 1)[-1]
    for (pid, tid), (_, _, name) in sorted(best.items()):
        if name == LAUNCHER and pid == tid:  # named before it became the program
            name = trace.processes.get(pid, name)
        if name.startswith(NSYS_THREAD):
            trace.own_threads.add((pid, tid))
        else:
            trace.threads[pid, tid] = name
    trace.pythons = {pid for (pid, tid), name in trace.threads.items() if pid == tid and name.startswith("python")}
    trace.pythons |= {pid for pid, name in trace.processes.items() if name.startswith("python")}


def _profiled(trace: NsysTrace) -> frozenset[int]:
    """Processes that nsys launched or was injected into. Its threads alone don't tell: another nsys may run."""
    found: set[int] = set()
    for table, column in (("ProcessStreams", "globalPid"), *((table, "globalTid") for table in OVERHEAD)):
        for batch in first_rows(trace.source, Query(table, ints=(column,))):
            ids = batch[column]
            found.update(pid_of(np.unique(ids[ids != NULL])).tolist())
    return frozenset(found)


def _gpus(trace: NsysTrace) -> None:
    query = Query("TARGET_INFO_GPU", ints=("id", "cuDevice"), texts=("name",))
    for (number, cuda), (name,) in rows_of(trace.source, query):
        device = cuda if cuda is not None else number
        if device is not None and name:
            trace.gpus[device] = name


def _diagnostics(trace: NsysTrace) -> None:
    query = Query("DIAGNOSTIC_EVENT", ints=("severity",), texts=("text",), among={"severity": tuple(SEVERITIES)})
    said: dict[str, None] = {}
    for (severity,), (text,) in rows_of(trace.source, query):
        if severity in SEVERITIES and text:
            said[f"nsys {SEVERITIES[severity]}: {' '.join(text.split())[:_LONGEST_DIAGNOSTIC]}"] = None
    for text in list(said)[:_MOST_DIAGNOSTICS]:
        trace.warn(text)
    if len(said) > _MOST_DIAGNOSTICS:
        trace.warn(f"nsys: {len(said) - _MOST_DIAGNOSTICS} more warnings")
