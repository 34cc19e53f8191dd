"""One run with what profilers recorded of it: clocks aligned, events converted to tables on the run's clock."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..attribution.interval_evidence import StatesFrom
from ..attribution.pieces import closed_spans, collect_segments
from ..attribution.windows import Trace
from ..dataset.event_store import EventStore, kinds_of, state_source
from ..errors import left_out
from ..readers.nsys.export import NsysTrace, convert, nvtx_table
from ..readers.run import RunRecording, load_run, pids_of
from ..record.spans import KIND_CLOCK
from ..timeline.clocks import ClockFit, Ranges, align
from ..vocabulary import NVTX_DOMAIN, SYNC_MARK
from .collector_files import Part, read_parts
from .discover import RunSources
from .profiler_only_runs import foreign_recording
from .user_profiles import read_own, torch_recording

Array = np.ndarray[Any, Any]
NO_REASONS_WARNING = "its events do not say why a thread left its core: waiting for a core counts as blocked"
UTC_ONLY_WARNING = "aligned by UTC alone: its times may be off by a millisecond"


def read_run(source: RunSources, scratch: Path, phases: str | None = None) -> tuple[RunRecording, Trace | None]:
    """A run and its trace, if it has one. Raises MotraceError where nothing can be read.

    ``scratch`` receives the event tables. ``phases`` (DOMAIN or DOMAIN:THREAD) chooses the NVTX
    ranges that are the phases of a run that only a profiler recorded.
    """
    if source.is_trace and not source.traces:
        recording, own = torch_recording(source.files[0], phases, scratch, source.experiment)
        return recording, _joined(recording, [], own.parts, scratch, None, (own.told,))
    if source.is_trace:
        alone = source.traces[0].open()
        recording, fit = foreign_recording(alone, source.path, phases)
        recording.experiment = source.experiment
        whole = _joined(recording, [(alone, fit)], [], scratch, None)
        recording.warnings += alone.warnings
        return recording, whole
    recording = load_run(source.path)
    recording.run_id, recording.experiment = source.run_id or recording.run_id, source.experiment
    aligned: list[tuple[NsysTrace, ClockFit]] = []
    origin = collect_segments(recording)[0].start_ns
    for file in source.traces:
        with left_out(file.path.name, recording.warnings):
            opened = file.open()
            tied = align_trace(recording, opened)
            if tied is None:
                recording.warnings.append(f"{opened.name}: nothing ties its clock to the run's; it is left out")
                continue
            if "UTC" in tied.method:
                recording.warnings.append(f"{opened.name}: {UTC_ONLY_WARNING}")
            aligned.append((opened, tied))
    parts = read_parts(recording, origin, scratch)
    told = _read_own_files(source, recording, origin, scratch, parts)
    joined = _joined(recording, aligned, parts, scratch, pids_of(recording), told)
    for opened, _ in aligned:
        recording.warnings += opened.warnings
    return recording, joined


def _read_own_files(
    source: RunSources, recording: RunRecording, origin_ns: int, scratch: Path, parts: list[Part]
) -> tuple[dict[str, Any], ...]:
    """What the users' files of a run tell; their tables are added to ``parts``. A bad one becomes a warning."""
    told = []
    for number, file in enumerate(source.files, 1):
        with left_out(file.path.name, recording.warnings):
            own = read_own(file, recording.key, scratch, recording, origin_ns, number)
            parts += own.parts
            told.append(own.told)
            recording.warnings += own.warnings
            recording.manifest["profiler_attached"] = True  # it was, whatever the launcher knew of it
    return tuple(told)


def align_trace(recording: RunRecording, trace: NsysTrace) -> ClockFit | None:
    """The map from a trace's times to the run's CLOCK_MONOTONIC; None where nothing ties them together."""
    table = nvtx_table(trace, NVTX_DOMAIN)
    log = recording.loop_log
    pid = log.pid if log is not None else -1
    table = table.filter(pc.equal(table.column("pid"), pid))
    kind, name = (table.column(column).cast("string").to_numpy(zero_copy_only=False) for column in ("kind", "name"))
    start, end = table.column("start_ns").to_numpy(), table.column("end_ns").to_numpy()
    payload = table.column("payload").to_numpy(zero_copy_only=False).astype(float)
    sync = (kind == "mark") & (name == SYNC_MARK) & ~np.isnan(payload)
    marks = start[sync], table.column("payload").filter(pa.array(sync)).to_numpy()
    mine = (kind == "range") & (table.column("tid").to_numpy() == (log.tid if log is not None else -1))
    mine &= table.column("closed").to_numpy(zero_copy_only=False).astype(bool)
    order = np.argsort(start[mine], kind="stable")
    ranges = Ranges(name[mine][order].astype(str), start[mine][order], end[mine][order])
    return align(_loop_spans(recording), ranges, marks, _utc_offset(recording, trace))


def _loop_spans(recording: RunRecording) -> Ranges:
    log = recording.loop_log
    if log is None:
        return Ranges(np.empty(0, str), np.empty(0, np.int64), np.empty(0, np.int64))
    names, start, end, _ = closed_spans(recording, log)
    return Ranges(names, start, end)


def _utc_offset(recording: RunRecording, trace: NsysTrace) -> int | None:
    """Run time minus trace time, by way of the wall clock; None where the trace does not tell it."""
    log = recording.loop_log
    if log is None or trace.utc_start_ns is None:
        return None
    clocks = log.of_kind(KIND_CLOCK)
    monotonic, utc = (int(clocks[0, 1]), int(clocks[0, 3])) if len(clocks) else (log.created_ns, log.created_utc_ns)
    return monotonic - utc + trace.utc_start_ns


def _joined(
    recording: RunRecording,
    traces: list[tuple[NsysTrace, ClockFit]],
    parts: list[Part],
    scratch: Path,
    pids: set[int] | None,
    profiles: tuple[dict[str, Any], ...] = (),
) -> Trace | None:
    """Everything that was collected of a run as tables on its clock (run times); None if nothing was."""
    start, end = recording.bounds_ns()
    origin = collect_segments(recording)[0].start_ns
    folders = []
    covered = []
    usable: list[tuple[NsysTrace, ClockFit]] = []
    for number, (trace, fit) in enumerate(traces):
        folder = scratch / f"events{number}"

        def to_run(times: Array, fit: ClockFit = fit) -> Array:
            return fit.to_run(times) - origin

        window = start - origin - fit.error_ns, end - origin + fit.error_ns
        with left_out(trace.name, recording.warnings):
            convert(trace, recording.key, folder, to_run, pids, window)
            edges = fit.to_run(np.array([0, trace.duration_ns if trace.duration_ns is not None else 1 << 60]))
            alone = pids is None  # it is all there is: its events may go on beyond the time that it says it lasted
            covered.append((start, end) if alone else (max(start, int(edges[0])), min(end, int(edges[1]))))
            folders.append(folder)
            usable.append((trace, fit))
    traces = usable
    if not parts and not traces and not profiles:
        return None
    names = {key: name for trace, _ in traces for key, name in trace.threads.items() if pids is None or key[0] in pids}
    clocks = _named(traces)
    for part in parts:
        folders.append(part.folder)
        names = {**part.names, **names}
        clocks |= {part.source: part.clock} if part.clock is not None else {}
        covered += [part.covered_ns] if part.covered_ns is not None else []
    store = EventStore(tuple(folders))
    source = state_source(store)
    sampled = next((part for part in parts if part.source == source), None)
    if recording.cpu_log is None and source is not None and store.words("thread_states", "state") == {"running"}:
        recording.warnings.append(f"{source}: {NO_REASONS_WARNING}")
    return Trace(
        store=store,
        origin_ns=origin,
        covered_ns=(max(edge[0] for edge in covered), min(edge[1] for edge in covered)) if covered else (0, 0),
        clocks=clocks,
        names=names,
        gpu_kinds=kinds_of(store),
        state_source=source,
        states_from=sampled.states_from if sampled is not None else StatesFrom.SCHEDULING,
        step_ns=sampled.step_ns if sampled is not None else 0,
        stacks=next((part.stacks for part in parts if part.stacks is not None), None),
        profiles=profiles,
    )


def _named(traces: Iterable[tuple[NsysTrace, ClockFit]]) -> dict[str, ClockFit]:
    clocks: dict[str, ClockFit] = {}
    for trace, fit in traces:
        name = "nsys"
        while name in clocks:
            name = f"nsys {trace.name}"
        clocks[name] = fit
    return clocks
