"""The tables of one run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Array
from ..dataset import tables
from ..dataset.dictionary_columns import encoded
from ..vocabulary import ClockMethod, EvidenceKind, bucket_of, evidence_word
from .aggregate import TIMES, aggregate
from .attribute import Shares
from .cpu_clock_bounds import loop_states, usage
from .episodes_table import episodes_table
from .gpu_tables import trace_tables
from .pieces import NO_FRAME, Segment
from .run import PROFILER_ONLY, RunAnalysis


def build_tables(analysis: RunAnalysis) -> dict[str, pa.Table]:
    """Every table of a run, by name."""
    frames = _frames_table(analysis)
    return {
        "spans": _spans_table(analysis),
        "thread_cpu": _thread_cpu_table(analysis),
        "threads": _threads_table(analysis),
        "clocks": _clocks_table(analysis),
        "segments": _segments_table(analysis),
        "frames": frames,
        "frame_phases": _frame_phases_table(analysis, frames),
        "attribution": _attribution_table(analysis),
        "episodes": episodes_table(analysis, frames),
        **trace_tables(analysis, frames),
    }


def _nullable(values: Array, missing: int = -1) -> pa.Array:
    return pa.array(values, pa.int64(), mask=values == missing)


def _spans_table(analysis: RunAnalysis) -> pa.Table:
    spans = analysis.spans
    states = loop_states(analysis.recording.cpu_log, spans.start_ns, spans.end_ns, analysis.recording.born_ns)
    measured = states.known & (spans.tid == analysis.loop_tid)
    return tables.make(
        tables.SCHEMAS["spans"],
        {
            **analysis.key.columns(len(spans)),
            "span_id": np.arange(len(spans)),
            "parent_id": _nullable(spans.parent),
            "frame": _nullable(spans.frame, NO_FRAME),
            "depth": spans.depth,
            "phase": spans.name,
            "name": spans.name,
            "pid": spans.pid,
            "tid": spans.tid,
            "start_ns": spans.start_ns,
            "end_ns": spans.end_ns,
            "cpu_ns": pa.array(states.running_ns, pa.int64(), mask=~measured),
            "runq_ns": pa.array(states.runnable_ns, pa.int64(), mask=~measured),
            "closed": spans.closed,
        },
    )


def _thread_cpu_table(analysis: RunAnalysis) -> pa.Table:
    """Point estimates of what every other thread and child used inside each span of the loop thread."""
    spans, log = analysis.spans, analysis.recording.cpu_log
    columns: dict[str, list[Array]] = {name: [] for name in ("span_id", "tid", "cpu_ns", "pid", "role")}
    words = sorted(set(analysis.roles.values()))
    if log is not None:
        mine = np.flatnonzero(spans.tid == log.tid)
        for member in log.members:
            used = usage(member, spans.start_ns[mine], spans.end_ns[mine], log.cores, log.tick_ns)
            cpu = np.round(used.est_ns).astype(np.int64)
            rows = np.flatnonzero(cpu > 0)
            columns["span_id"].append(mine[rows])
            columns["cpu_ns"].append(cpu[rows])
            columns["tid"].append(np.full(len(rows), 0 if member.is_child else member.id))
            columns["pid"].append(np.full(len(rows), member.id if member.is_child else log.pid))
            columns["role"].append(np.full(len(rows), words.index(analysis.roles[member.slot])))
    joined = {}
    while columns:  # one by one: a long run has millions of rows
        name, parts = columns.popitem()
        joined[name] = np.concatenate(parts) if parts else np.empty(0, np.int64)
    count = len(joined["tid"])
    return tables.make(
        tables.SCHEMAS["thread_cpu"],
        {
            **joined,
            **analysis.key.columns(count),
            "role": encoded(joined["role"], words),
            "runq_ns": pa.nulls(count, pa.int64()),
        },
    )


def _threads_table(analysis: RunAnalysis) -> pa.Table:
    recording = analysis.recording
    loop = recording.loop
    rows = {(thread.pid, thread.tid): (thread.thread_name, "other") for thread in recording.threads}
    rows[(loop.pid, loop.tid)] = (loop.thread_name, "loop")
    if recording.cpu_log is not None:
        for member in recording.cpu_log.members:
            key = (member.id, 0) if member.is_child else (recording.cpu_log.pid, member.id)
            name = member.name or (
                "children seen only when they had ended" if member.is_child else "threads that ended"
            )
            rows[key] = (name, analysis.roles[member.slot])
    if analysis.trace is not None and analysis.who is not None:
        for thread, name in analysis.trace.names.items():
            if thread not in rows and (thread[0], 0) not in rows:
                rows[thread] = (name, analysis.who.role(*thread))
    keys = sorted(rows)
    return tables.make(
        tables.SCHEMAS["threads"],
        {
            **analysis.key.columns(len(keys)),
            "pid": [key[0] for key in keys],
            "tid": [key[1] for key in keys],
            "name": [rows[key][0] for key in keys],
            "role": [rows[key][1] for key in keys],
        },
    )


def _clocks_table(analysis: RunAnalysis) -> pa.Table:
    """Spans and CPU clocks are read on the run's own clock; what a trace recorded had to be aligned."""
    rows = []
    if analysis.mode != PROFILER_ONLY:
        rows.append(("spans", -analysis.recording.origin_ns, 0.0, 0, 0, ClockMethod.OWN.value))
    for source, fit in (analysis.trace.clocks if analysis.trace is not None else {}).items():
        rows.append((source, fit.offset_ns, fit.drift_ppm, fit.error_ns, fit.pairs, fit.method.value))
    names = ("source", "offset_ns", "drift_ppm", "error_ns", "pairs", "method")
    columns = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    return tables.make(tables.SCHEMAS["clocks"], {**analysis.key.columns(len(rows)), **columns})


def _segments_table(analysis: RunAnalysis) -> pa.Table:
    return tables.make(
        tables.SCHEMAS["segments"],
        {
            **analysis.key.columns(len(analysis.segments)),
            "segment": [segment.name for segment in analysis.segments],
            "start_ns": [segment.start_ns for segment in analysis.segments],
            "end_ns": [segment.end_ns for segment in analysis.segments],
        },
    )


def loop_frames(analysis: RunAnalysis) -> Array:
    """Indices into the spans of the loop thread's frames that had ended, in order; of nested ones the outer.

    A frame that Ctrl-C cut short is left out: what the workload says it finished is what counts.
    """
    spans = analysis.spans
    outermost = spans.is_frame & (spans.frame == spans.value)
    frames = np.flatnonzero(outermost & spans.closed & (spans.tid == analysis.loop_tid))
    finished = analysis.recording.manifest.workload.frames
    if analysis.status != "interrupted" or finished is None:
        return frames
    segment_of = _segment_at(analysis.segments, spans.start_ns[frames])
    in_loop = np.cumsum([analysis.segments[index].name == "loop" for index in segment_of])
    return np.asarray(frames[in_loop <= finished])


def inclusive_ns(analysis: RunAnalysis) -> dict[str, Array]:
    """For each phase, the time in it per piece, its children's included (int64 ns, 0 outside it)."""
    pieces, spans = analysis.pieces, analysis.spans
    wall = pieces.end_ns - pieces.start_ns
    totals: dict[str, Array] = {}

    def add(phases: Array, rows: Array) -> None:
        for phase in sorted(set(phases.tolist())):
            target = totals.setdefault(phase, np.zeros(len(wall), np.int64))
            chosen = rows[phases == phase]
            target[chosen] = wall[chosen]  # assigned, not added: a span inside its like counts once

    add(np.array(pieces.phase, object), np.arange(len(pieces)))
    names = np.array(spans.name, object)
    current = pieces.span.copy()
    while len(spans):
        current = np.where(current >= 0, spans.parent[np.maximum(current, 0)], -1)
        rows = np.flatnonzero((current >= 0) & ~spans.is_frame[np.maximum(current, 0)])
        if not (current >= 0).any():
            break
        add(names[current[rows]], rows)
    return totals


def _frames_table(analysis: RunAnalysis) -> pa.Table:
    spans = analysis.spans
    frames = loop_frames(analysis)
    segment_of = _segment_at(analysis.segments, spans.start_ns[frames])
    return tables.make(
        tables.SCHEMAS["frames"],
        {
            **analysis.key.columns(len(frames)),
            "frame": spans.value[frames],
            "start_ns": spans.start_ns[frames],
            "end_ns": spans.end_ns[frames],
            "warmup": [analysis.segments[index].name == "warmup" for index in segment_of],
        },
    )


def _frame_phases_table(analysis: RunAnalysis, frames: pa.Table) -> pa.Table:
    numbers = frames.column("frame").to_numpy()
    position = {int(number): row for row, number in enumerate(numbers)}
    row_of_piece = np.array([position.get(int(number), -1) for number in analysis.pieces.frame], np.int64)
    inside = row_of_piece >= 0
    words: list[str] = []
    codes: list[Array] = []
    rows: list[Array] = []
    times: list[Array] = []
    for phase, ns in sorted(inclusive_ns(analysis).items()):
        per_frame = np.zeros(len(numbers), np.int64)
        np.add.at(per_frame, row_of_piece[inside], ns[inside])
        some = np.flatnonzero(per_frame)
        codes.append(np.full(len(some), len(words)))
        words.append(phase)
        rows.append(some)
        times.append(per_frame[some])
    joined = [np.concatenate(parts) if parts else np.empty(0, np.int64) for parts in (codes, rows, times)]
    columns = {"frame": numbers[joined[1]], "phase": encoded(joined[0], words), "ns": joined[2]}
    return tables.make(tables.SCHEMAS["frame_phases"], {**analysis.key.columns(len(joined[0])), **columns})


def _segment_at(segments: list[Segment], times: Array) -> list[int]:
    starts = np.array([segment.start_ns for segment in segments])
    return [int(index) for index in np.searchsorted(starts, times, side="right") - 1]


def _attribution_table(analysis: RunAnalysis) -> pa.Table:
    """Shares of the pieces, summed by segment, frame, phase and cause."""
    pieces, segments = analysis.pieces, analysis.segments
    phases = sorted(set(pieces.phase))
    phase_id = np.array([phases.index(phase) for phase in pieces.phase], np.int64)
    keys, group = np.unique(np.column_stack((pieces.segment, pieces.frame, phase_id)), axis=0, return_inverse=True)
    group = group.reshape(-1)
    sums: list[Array] = []  # of each cause: the times of the groups that have any, and which these are
    for share in analysis.shares:
        mine = share.times()
        whole = np.zeros((len(TIMES), len(keys)), np.int64)
        of_share = group if share.rows is None else group[share.rows]
        for row, values in enumerate((*mine, *(share.ns for _ in TIMES[len(mine) :]))):
            np.add.at(whole[row], of_share, values)
        some = np.flatnonzero(whole[2] > 0)
        sums.append(np.vstack((whole[:, some], some)))
    *times, key = np.concatenate(sums, axis=1)
    which = np.repeat(np.arange(len(sums)), [part.shape[1] for part in sums])
    segment, frame, phase = keys[key].T
    buckets = [bucket_of(share.cause, name) for share in analysis.shares for name in phases]
    columns = {
        **analysis.key.columns(len(key)),
        "segment": encoded(segment, [one.name for one in segments]),
        "frame": _nullable(frame, NO_FRAME),
        "phase": encoded(phase, phases),
        "bucket": encoded(which * len(phases) + phase, buckets),
        **{name: encoded(which, [getattr(share, name) for share in analysis.shares]) for name in ("state", "cause")},
        "step_ns": np.array([_step_ns(analysis, share) for share in analysis.shares], np.int64)[which],
        "evidence": encoded(which, [evidence_word(share.evidence) for share in analysis.shares]),
        **dict(zip(TIMES, times)),
    }
    return tables.make(tables.SCHEMAS["attribution"], columns)


def _step_ns(analysis: RunAnalysis, share: Shares) -> int:
    """How far apart the samples are that a share rests on; 0 where it rests on none, as what they can't show."""
    trace = analysis.trace
    if trace is None or EvidenceKind.THREAD_SAMPLES not in share.evidence or share.cause in trace.hidden:
        return 0
    return trace.step_ns


def residual_ns(parts: dict[str, pa.Table]) -> int:
    """Largest difference between the wall time of a segment or frame and what is attributed to it; must be 0.

    Taken from the tables alone, so that it checks everything that led to them.
    """
    worst = 0
    for key, walls in (("segment", parts["segments"]), ("frame", parts["frames"])):
        names = walls.column(key).to_pylist()
        wall: dict[str | int | None, int] = dict.fromkeys(names, 0)
        for name, ns in zip(names, pc.subtract(walls.column("end_ns"), walls.column("start_ns")).to_pylist()):
            wall[name] += ns
        for (name,), time in aggregate(parts["attribution"], (key,), segments=None).items():
            if name in wall:
                wall[name] -= time.ns
        worst = max(worst, *map(abs, wall.values())) if wall else worst
    return worst
