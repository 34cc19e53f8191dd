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
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import run_folder
from ..arrays import Array
from ..attribution.run import PROFILER_ONLY
from ..cautions import Caution
from ..dataset.facts import RunManifest
from ..dataset.tables import ExperimentKey
from ..errors import UsageError
from ..escape import encodable
from ..readers.recording import RunRecording, ThreadSpans
from ..timeline.clocks import ClockFit
from ..timeline.intervals import Intervals
from ..vocabulary import ClockMethod

REPEATS, COVERS = 3, 0.2
"""A range repeats if it comes so often; it is a frame if it covers so much of the ranges' time."""
LIBRARY_DOMAINS = ("MPI", "NCCL", "CCCL", "cu*", "CUB", "thrust", "TensorRT", "UCX", "NVSHMEM", "OpenACC", "OpenMP")
"""Domains in which libraries mark their own calls: taken for phases only where there are no others."""
MOST = 0.5
"""If frames cover less of the loop, times per frame say little of it."""
CAPTURED = 0.5
"""Of the time that a trace says it lasted; if its events fill less, it recorded a window of it."""
_MOST_CHOICES = 8
LONGEST_DAYS = 30
LONGEST_TRACE_NS = 10**9 * 3600 * 24 * LONGEST_DAYS


@dataclass(frozen=True)
class Watched:
    """What a profiler's file says of itself. ``ranges`` says what its ranges are called, ``maker`` who made it.

    ``events_ns`` is from when to when its events last, None if it has none; ``busiest`` is the thread that
    submits to the GPU and waits for it the longest, and by which API. ``frame``: frames are the ranges of this name
    (None: of one that repeats, and numbers in names only count).
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
    frame: str | None = None


def recording_of(
    trace: Watched, table: pa.Table, path: Path, experiment: ExperimentKey, phases: str | None = None
) -> tuple[RunRecording, ClockFit]:
    """A recording whose phases are ranges (rows of ``nvtx``, times from the file's start), and the clock that fits it.

    Raises UsageError for bad ``phases``.
    """
    first, end = _extent(trace, table)
    chosen = _choose(table, phases, trace)
    if chosen is None:
        loop = ThreadSpans.nothing(next(iter(trace.processes), 0))
        said = f"it holds no {trace.ranges}: there are no phases"
        if trace.busiest is not None:
            loop = _one_span(trace.busiest, first, end)
            said += f"; its loop thread is thread {loop.tid} of process {loop.pid}, which is the longest in calls of "
            said += trace.busiest[2]
    else:
        (pid, tid, domain), ranges = chosen
        kind = trace.ranges.replace(" push/pop", "")
        said = f"phases are the {kind} of domain {domain or '(default)'!r} on thread {tid} of process {pid}"
        loop = _spans(ranges, pid, tid, trace.frame)
    loop = replace(
        loop, thread_name=trace.threads.get((loop.pid, loop.tid), ""),
        start_ns=loop.start_ns - first, end_ns=loop.end_ns - first,
    )  # fmt: skip
    if not loop.is_frame.any():
        loop = replace(loop, marks=((0, "loop"), (end - first, "shutdown")))
    warnings: list[str | Caution] = [f"recorded by {trace.maker}: {said}"]
    if chosen is not None and not loop.is_frame.any():
        warnings.append("no range repeats: there are no frames")
    covered = _frames_cover(loop)
    if covered < MOST:
        warnings.append(
            f"its frames cover {covered:.1%} of the time from the first to the last: times per frame leave out what "
            "lies between them, frames per second do not"
        )
    utc_ns = trace.utc_start_ns + first if trace.utc_start_ns else None
    name = encodable(path.stem)
    manifest = RunManifest(name, PROFILER_ONLY, run_folder.COMPLETED)
    run = RunRecording(
        name, path, manifest, [loop], loop, end - first, utc_ns=utc_ns, warnings=warnings, experiment=experiment
    )
    return run, ClockFit.constant(-first, 0, 0, ClockMethod.TRACE_ALONE)


def _frames_cover(loop: ThreadSpans) -> float:
    """The share of the time from the first frame to the last that is inside frames; 1 where that is not known."""
    frames = loop.rows(loop.is_frame & loop.closed)
    if not len(frames):
        return 1.0
    within = Intervals.union(frames.start_ns, frames.end_ns).total_ns
    return float(within / max(1, int(frames.end_ns.max() - frames.start_ns.min())))


def _extent(trace: Watched, table: pa.Table) -> tuple[int, int]:
    """Begin and end of all there is: events and ranges, and the time that the trace says it lasted.

    Events that fill little of that time were captured in a window, and the rest is not the run's.
    """
    edges = [pc.min(table.column("start_ns")).as_py(), pc.max(table.column("end_ns")).as_py(), *(trace.events_ns or ())]
    known = [edge for edge in edges if edge is not None] or [0, trace.duration_ns or 1]
    first, end = min(known), max(*known, min(known) + 1)
    if trace.duration_ns is not None and end - first >= CAPTURED * trace.duration_ns:
        first, end = min(first, 0), max(end, trace.duration_ns)
    return first, min(end, first + LONGEST_TRACE_NS)


def _choose(table: pa.Table, phases: str | None, trace: Watched) -> tuple[tuple[int, int, str], pa.Table] | None:
    """The thread and domain whose ranges are the phases: (pid, tid, domain) and its ranges."""
    every = table
    if phases is not None:
        domain = phases.partition(":")[0]
        table = table.filter(pc.equal(table.column("domain").cast("string"), domain))
        table = table.filter(pa.array(of_thread(phases, table.column("tid").to_numpy(), trace.threads)))
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


def of_thread(phases: str | None, tid: Array, threads: Mapping[tuple[int, int], str]) -> Array:
    """Which threads ``phases`` names, by id or by name; all where it names none."""
    thread = (phases or "").partition(":")[2]
    if not thread:
        return np.ones(len(tid), bool)
    named = [one for (_, one), name in threads.items() if name == thread]
    return np.isin(tid, [int(thread)] if thread.isdigit() else named)


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


def _one_span(thread: tuple[int, int, str], start_ns: int, end_ns: int) -> ThreadSpans:
    """A thread all of whose time is one phase, named after the API that it calls."""
    pid, tid, api = thread
    times = np.array([start_ns]), np.array([end_ns])
    name, no, yes = np.array([f"program on {api}"], object), np.zeros(1, bool), np.ones(1, bool)
    return ThreadSpans(pid, tid, "", name, no, np.zeros(1, np.int64), *times, yes)


def _spans(ranges: pa.Table, pid: int, tid: int, frame: str | None) -> ThreadSpans:
    """Ranges as the spans of a thread."""
    start, end = ranges.column("start_ns").to_numpy(), ranges.column("end_ns").to_numpy()
    order = np.lexsort((-end, start))
    start, end = start[order], end[order]
    closed = ranges.column("closed").to_numpy(zero_copy_only=False).astype(bool)[order]
    written = ranges.column("name").cast("string").combine_chunks().dictionary_encode()
    spelled = [str(name) for name in written.dictionary.to_pylist()]
    plain = [(re.sub(r"\d+", "#", name) if frame is None else name) or "?" for name in spelled]
    words = sorted(set(plain))
    codes = {name: code for code, name in enumerate(words)}
    to_code = np.array([codes[name] for name in plain], np.int64)
    code = to_code[written.indices.to_numpy(zero_copy_only=False)][order]
    is_frame = code == (_frame_name(start, end, code) if frame is None else codes.get(frame, -1))
    value = np.where(is_frame, np.cumsum(is_frame) - 1, 0)
    return ThreadSpans(pid, tid, "", np.array(words, object)[code], is_frame, value, start, end, closed)


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
