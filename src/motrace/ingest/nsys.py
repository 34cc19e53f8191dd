"""Nsight Systems: reports, and their exports as SQLite, Parquet or Arrow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..dataset.ranges import Ranges
from ..dataset.tables import ExperimentKey
from ..errors import MotraceError
from ..readers.nsys.export import Exporter, NsysTrace, convert, is_nsys_file, nvtx_table, open_trace
from ..readers.nsys.extent import extent, recording_end
from ..readers.recording import RunRecording
from ..timeline.clocks import ClockFit, align
from ..vocabulary import NVTX_DOMAIN, RUN_MARK, SYNC_MARK, ClockMethod, Tool
from .profiler_only import Watched, recording_of
from .source import Head, Identity, Part, ProfilerFile, Source, loop_ranges

STREAM = ".qdstrm"
"""What nsys leaves behind where it did not find its importer."""
SUFFIXES = (".sqlite", ".nsys-rep", ".arrow", STREAM)
PREFERRED = ("", ".sqlite", ".arrow", ".nsys-rep", STREAM)
"""Of one recording in several forms; "" is a folder of tables."""
UTC_ONLY_WARNING = "aligned by UTC alone: its times may be off by a millisecond"


class NsysSource(Source):
    """Nsight Systems. ``collected`` is empty: marks in them say of which run its files are."""

    name = "nsys"
    tool = Tool.NSYS

    def recognise(self, head: Head) -> bool:
        """By content where it is SQLite, Parquet or Arrow, else by suffix."""
        path = head.path
        return path.suffix == STREAM or (path.is_dir() and path.suffix in SUFFIXES) or is_nsys_file(path)

    def prepare(self, file: ProfilerFile, scratch: Path, export: Exporter | None) -> ProfilerFile:
        """The report's export."""
        path = file.path
        if path.suffix == STREAM:
            if export is None:
                raise MotraceError(
                    f"{path.name}: not imported; where Nsight Systems is installed, run `QdstrmImporter -i {path.name}`"
                )
            return replace(file, export=export(path, scratch), scratch=scratch)
        source = open_trace(path, scratch, export).source
        return replace(file, export=getattr(source, "path", None) or path, scratch=scratch)

    def identity(self, file: ProfilerFile) -> Identity:
        """Run-id marks, profiled processes, and when the session began and ended."""
        trace = opened(file)
        table = nvtx_table(trace, NVTX_DOMAIN)
        names = zip(table.column("name").cast("string").to_pylist(), table.column("pid").to_pylist())
        marks = frozenset((name.removeprefix(RUN_MARK), pid) for name, pid in names if name.startswith(RUN_MARK))
        begin = trace.utc_start_ns
        utc_ns = (begin, begin + (recording_end(trace) or 0)) if begin is not None else None
        return Identity(frozenset(trace.profiled), frozenset(), marks, utc_ns, by_folder=False)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """Events of the run's processes while it ran."""
        trace = opened(file)
        fit = align_trace(run, trace)
        if fit is None:
            raise MotraceError(f"{trace.name}: nothing ties its clock to the run's")
        run.warnings += [f"{trace.name}: {UTC_ONLY_WARNING}"] if fit.method is ClockMethod.UTC else []
        convert(trace, run.key, folder, fit.to_run, run.pids, (-fit.error_ns, run.end_ns + fit.error_ns))
        edges = fit.to_run(np.array([0, recording_end(trace) or 0]))
        covered = max(0, int(edges[0])), min(run.end_ns, int(edges[1]))
        names = {thread: name for thread, name in trace.threads.items() if thread[0] in run.pids}
        run.warnings += trace.warnings
        return Part(folder, fit, covered, names=names)

    def alone(
        self, file: ProfilerFile, experiment: ExperimentKey, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """A run whose phases are NVTX ranges; its events may go on beyond the time that it says it lasted."""
        trace = opened(file)
        table = nvtx_table(trace)
        found = extent(trace)
        watched = Watched(
            trace.name, f"Nsight Systems {_version(trace)} alone", "NVTX push/pop ranges", tuple(trace.processes),
            trace.threads, trace.utc_start_ns, trace.duration_ns, found.events_ns, found.busiest,
        )  # fmt: skip
        ranges = table.filter(pc.equal(table.column("kind").cast("string"), "range"))
        run, fit = recording_of(watched, ranges, file.path, experiment, phases)
        convert(trace, run.key, folder, fit.to_run, None, (0, run.end_ns))
        run.warnings += trace.warnings
        return run, Part(folder, fit, (0, run.end_ns), names=trace.threads)


def _version(trace: NsysTrace) -> str:
    """The recorder's; the exporter's is often a newer one."""
    return trace.recorder_version or f"(version not known; exported by {trace.product_version or 'an unknown one'})"


def opened(file: ProfilerFile) -> NsysTrace:
    """Open a prepared file (again). Raises MotraceError."""
    trace = open_trace(file.export or file.path, file.scratch)
    trace.name = file.name
    return trace


def align_trace(run: RunRecording, trace: NsysTrace) -> ClockFit | None:
    """The map from a trace's times to the run's; None where nothing ties them together."""
    table = nvtx_table(trace, NVTX_DOMAIN)
    loop = run.loop
    table = table.filter(pc.equal(table.column("pid"), loop.pid))
    kind, name = (table.column(column).cast("string").to_numpy(zero_copy_only=False) for column in ("kind", "name"))
    start, end = table.column("start_ns").to_numpy(), table.column("end_ns").to_numpy()
    payload = table.column("payload").to_numpy(zero_copy_only=False).astype(float)
    sync = (kind == "mark") & (name == SYNC_MARK) & ~np.isnan(payload)
    marks = start[sync], table.column("payload").filter(pa.array(sync)).to_numpy()
    mine = (kind == "range") & (table.column("tid").to_numpy() == loop.tid)
    mine &= table.column("closed").to_numpy(zero_copy_only=False).astype(bool)
    order = np.argsort(start[mine], kind="stable")
    ranges = Ranges(name[mine][order].astype(str), start[mine][order], end[mine][order])
    by_utc = None
    if run.utc_ns is not None and trace.utc_start_ns is not None:
        by_utc = run.origin_ns - run.utc_ns + trace.utc_start_ns
    fit = align(loop_ranges(run), ranges, marks, by_utc)
    return fit.since(run.origin_ns) if fit is not None else None
