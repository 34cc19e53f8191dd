"""A run that only a profiler recorded: its phases are NVTX ranges of the program's own.

The phases are the push and pop ranges of one thread and one domain: those that ``--phases`` names,
else those that cover the most time. Numbers in names are taken out (``step 12`` is ``step #``), so
that what repeats has one name. Frames are the ranges of the name that repeats, outermost: of the
least depth at which some name comes at least three times and covers a fifth of the ranges' time, the
name that covers the most.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import run_folder
from ..attribution.run import FOREIGN
from ..errors import UsageError
from ..readers.nsys.export import NsysTrace, nvtx_table
from ..readers.nsys.extent import extent
from ..readers.run import RunRecording
from ..readers.spans import SpanLogFile
from ..record.spans import KIND_FRAME, KIND_SEGMENT, KIND_SPAN
from ..timeline.clocks import ClockFit
from ..timeline.intervals import Intervals

Array = np.ndarray[Any, Any]

ORIGIN_NS = 10**9
"""Where a trace's time 0 is put: logs hold no time that is 0 or less."""
REPEATS, COVERS = 3, 0.2
"""A range repeats if it comes so often; it is a frame if it covers so much of the ranges' time."""
LIBRARY_DOMAINS = ("MPI", "NCCL", "CCCL", "cu*", "CUB", "thrust", "TensorRT", "UCX", "NVSHMEM", "OpenACC", "OpenMP")
"""Domains in which libraries mark their own calls: taken for phases only where there are no others."""
MOST = 0.5
"""If frames cover less of the loop, times per frame say little of it."""
_MOST_CHOICES = 8
LONGEST_TRACE_NS = 10**9 * 3600 * 24 * 30


@dataclass(frozen=True)
class Foreign:
    """What a profiler's file tells of itself. ``ranges`` says what its ranges are called, ``maker`` who made it.

    ``events_ns`` is from when to when its events last, None if it has none; ``busiest`` is the thread that
    submits to the GPU and waits for it the longest, and by which API.
    """

    name: str
    maker: str
    ranges: str
    processes: Collection[int]
    threads: Mapping[tuple[int, int], str]
    utc_start_ns: int | None
    duration_ns: int | None
    events_ns: tuple[int, int] | None = None
    busiest: tuple[int, int, str] | None = None


def foreign_recording(trace: NsysTrace, path: Path, phases: str | None = None) -> tuple[RunRecording, ClockFit]:
    """A recording made of a trace's NVTX ranges, and the clock that fits it. Raises UsageError for bad ``phases``."""
    table = nvtx_table(trace)
    found = extent(trace, table)
    table = table.filter(pc.equal(table.column("kind").cast("string"), "range"))
    told = Foreign(
        trace.name, f"Nsight Systems {trace.product_version} alone", "NVTX push/pop ranges", tuple(trace.processes),
        trace.threads, trace.utc_start_ns, trace.duration_ns, found.events_ns, found.busiest,
    )  # fmt: skip
    return recording_of(told, table, path, phases)


def recording_of(
    trace: Foreign, table: pa.Table, path: Path, phases: str | None = None
) -> tuple[RunRecording, ClockFit]:
    """A recording whose phases are ranges (rows of ``nvtx``, times from the file's start), and the clock that fits it.

    Raises UsageError for bad ``phases``.
    """
    first, end = _extent(trace, table)
    shift = ORIGIN_NS - first
    chosen = _choose(table, phases, trace)
    if chosen is None:
        pid, tid, said = next(iter(trace.processes), 0), 0, f"it holds no {trace.ranges}: there are no phases"
        records, names = np.empty((0, 4), np.int64), dict[int, str]()
        if trace.busiest is not None:
            pid, tid, api = trace.busiest
            said += f"; its loop thread is thread {tid} of process {pid}, which is the longest in calls of {api}"
            records, names = np.array([[KIND_SPAN, shift + first, shift + end, 0]]), {0: f"program on {api}"}
    else:
        (pid, tid, domain), ranges = chosen
        kind = trace.ranges.replace(" push/pop", "")
        said = f"phases are the {kind} of domain {domain or '(default)'!r} on thread {tid} of process {pid}"
        records, names = _records(ranges, shift)
    has_frames = bool(len(records)) and bool((records[:, 0] >= KIND_FRAME).any())
    log = SpanLogFile(
        path=path,
        pid=pid,
        tid=tid,
        thread_name=trace.threads.get((pid, tid), ""),
        created_ns=shift + first,
        created_utc_ns=trace.utc_start_ns + first if trace.utc_start_ns else 0,
        dropped=0,
        records=records if has_frames else _with_loop(records, names, shift + first, shift + end),
        damaged=0,
        names=names,
    )
    clocks = {"spawn_monotonic_ns": shift + first, "exit_monotonic_ns": shift + end}
    manifest = {"run_id": path.stem, "mode": FOREIGN, "status": run_folder.COMPLETED, "clocks": clocks}
    warnings = [f"recorded by {trace.maker}: {said}"]
    if not has_frames and chosen is not None:
        warnings.append("no range repeats: there are no frames")
    covered = _frames_cover(records) if has_frames else 1.0
    if covered < MOST:
        warnings.append(
            f"its frames cover {covered:.1%} of the time from the first to the last: times per frame leave out what "
            "lies between them, frames per second do not"
        )
    recording = RunRecording(
        path.stem, path, manifest, [log], None, {(pid, key): name for key, name in names.items()}, warnings
    )
    return recording, ClockFit.constant(shift, 0, 0, "the trace's own clock")


def _frames_cover(records: Array) -> float:
    """The share of the time from the first frame to the last that is inside frames; 1 where it can't be told."""
    frames = records[(records[:, 0] >= KIND_FRAME) & (records[:, 2] > 0)]
    if not len(frames):
        return 1.0
    within = Intervals.union(frames[:, 1], frames[:, 2]).total_ns
    return float(within / max(1, int(frames[:, 2].max() - frames[:, 1].min())))


def _with_loop(records: Array, names: dict[int, str], start_ns: int, end_ns: int) -> Array:
    """The records with a segment ``loop`` from the first range to the last; all of it without ranges."""
    ids = {"loop": len(names), "shutdown": len(names) + 1}
    names.update({number: name for name, number in ids.items()})
    if len(records):
        start_ns, end_ns = int(records[0, 1]), max(int(records[:, 1].max()), int(records[:, 2].max()))
    marks = [[KIND_SEGMENT | ids["loop"], start_ns, start_ns, 0], [KIND_SEGMENT | ids["shutdown"], end_ns, end_ns, 0]]
    both = np.concatenate((np.array(marks, np.int64), records))
    return both[np.argsort(both[:, 1], kind="stable")]


def _extent(trace: Foreign, table: pa.Table) -> tuple[int, int]:
    """Begin and end of all there is: events, ranges, and the time that the trace says it lasted."""
    edges = [pc.min(table.column("start_ns")).as_py(), pc.max(table.column("end_ns")).as_py(), *(trace.events_ns or ())]
    if trace.duration_ns is not None or trace.events_ns is None:
        edges += [0, trace.duration_ns or 1]
    known = [edge for edge in edges if edge is not None]
    return min(known), min(max(*known, min(known) + 1), min(known) + LONGEST_TRACE_NS)


def _choose(table: pa.Table, phases: str | None, trace: Foreign) -> tuple[tuple[int, int, str], pa.Table] | None:
    """The thread and domain whose ranges are the phases: (pid, tid, domain) and its ranges."""
    every = table
    if phases is not None:
        domain, _, thread = phases.partition(":")
        table = table.filter(pc.equal(table.column("domain").cast("string"), domain))
        if thread:
            named = [tid for (_, tid), name in trace.threads.items() if name == thread]
            tids = [int(thread)] if thread.isdigit() else named
            table = table.filter(pc.is_in(table.column("tid"), value_set=pa.array(tids, pa.int64())))
        if not table.num_rows:
            raise UsageError(
                f"--phases {phases}: {trace.name} has no push/pop range of that domain and thread; it has "
                + _what_there_is(every)
            )
    if not table.num_rows:
        return None
    domain, pid, tid = table.column("domain").cast("string"), table.column("pid"), table.column("tid")
    words = sorted(set(domain.unique().to_pylist()))
    code = pc.index_in(domain, pa.array(words)).to_numpy()
    keys = np.column_stack((pid.to_numpy(), tid.to_numpy(), code))
    distinct, group = np.unique(keys, axis=0, return_inverse=True)
    start, end = table.column("start_ns").to_numpy(), table.column("end_ns").to_numpy()
    group = group.reshape(-1)
    covers = [Intervals.union(start[group == row], end[group == row]).total_ns for row in range(len(distinct))]
    own = [not _is_library(words[code]) for _, _, code in distinct.tolist()]
    best = int(np.argmax([(covers[row] + 1) * (own[row] or not any(own)) for row in range(len(distinct))]))
    pid_, tid_, domain_ = distinct[best].tolist()
    return (pid_, tid_, words[domain_]), table.filter(pa.array(group == best))


def _what_there_is(ranges: pa.Table) -> str:
    """What ``--phases`` may be, most ranges first."""
    counts = Counter(zip(*(ranges.column(name).to_pylist() for name in ("domain", "tid"))))
    if not counts:
        return "none at all"
    choices = [f"{domain}:{tid}" for (domain, tid), _ in counts.most_common()]
    more = f" and {len(choices) - _MOST_CHOICES} more" if len(choices) > _MOST_CHOICES else ""
    return ", ".join(choices[:_MOST_CHOICES]) + more + " (no name before the colon: the default domain)"


def _is_library(domain: str) -> bool:
    return any(fnmatchcase(domain, pattern) for pattern in LIBRARY_DOMAINS)


def _records(ranges: pa.Table, shift: int) -> tuple[Array, dict[int, str]]:
    """Ranges as the records of a span log, in order of begin, the outer first; names by id."""
    start, end = ranges.column("start_ns").to_numpy() + shift, ranges.column("end_ns").to_numpy() + shift
    closed = ranges.column("closed").to_numpy(zero_copy_only=False).astype(bool)
    order = np.lexsort((-end, start))
    start, end, closed = start[order], end[order], closed[order]
    written = ranges.column("name").cast("string").combine_chunks().dictionary_encode()
    plain = [re.sub(r"\d+", "#", str(name)) or "?" for name in written.dictionary.to_pylist()]
    words = sorted(set(plain))
    ids = {name: number for number, name in enumerate(words)}
    to_id = np.array([ids[name] for name in plain], np.int64)
    name = to_id[written.indices.to_numpy(zero_copy_only=False)][order]
    frame = _frame_name(start, end, name)
    kind = np.where(name == frame, KIND_FRAME, KIND_SPAN)
    number = np.where(name == frame, np.cumsum(name == frame) - 1, 0)
    records = np.column_stack((kind | name, start, np.where(closed, end, 0), number))
    return records, dict(enumerate(words))


def _frame_name(start: Array, end: Array, name: Array) -> int:
    """The id of the outermost name that repeats; -1 if none does."""
    depth = _depths(start, end)
    for level in range(int(depth.max()) + 1 if len(depth) else 0):
        rows = np.flatnonzero(depth == level)
        ids, counts = np.unique(name[rows], return_counts=True)
        often = ids[counts >= REPEATS]
        if len(often):
            covers = [int((end[rows] - start[rows])[name[rows] == one].sum()) for one in often]
            if max(covers) >= COVERS * Intervals.union(start, end).total_ns:
                return int(often[int(np.argmax(covers))])
    return -1


def _depths(start: Array, end: Array) -> Array:
    """How many ranges are around each; they come in order of begin, the outer first."""
    depths = np.zeros(len(start), np.int64)
    stack: list[int] = []
    for row, (begin, finish) in enumerate(zip(start.tolist(), end.tolist())):
        while stack and stack[-1] <= begin:
            stack.pop()
        depths[row] = len(stack)
        stack.append(finish)
    return depths
