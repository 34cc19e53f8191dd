"""Tables that come from a run's trace: what threads waited on, and what the GPUs did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from ..dataset import tables
from ..dataset.dictionary_columns import coded
from ..dataset.event_store import codes, integers, load_ops
from ..dataset.in_order import in_order
from ..timeline.intervals import Intervals, any_of
from .evidence_from_events import Who
from .gpu import MISSING, GpuOps, work_by_frame, work_by_phase
from .pieces import Pieces
from .run import RunAnalysis
from .windows import Trace

CellColumns = Mapping[str, Sequence[tables.Cell]]
CallKey = tuple[str, str, str, str, str | None]
"""Phase, role, API, name and what it waits for."""

_TOTALS = ("calls", "total_ns")
_TID_BITS = 32


def trace_tables(analysis: RunAnalysis, frames: pa.Table) -> dict[str, pa.Table]:
    """The tables ``waits``, ``gpu_phases`` and ``gpu_frames`` of a run, empty without a trace."""
    trace, who = analysis.trace, analysis.who
    made: dict[str, CellColumns] = {"waits": {}, "gpu_phases": {}, "gpu_frames": {}}
    if trace is not None and who is not None:
        made = {
            "waits": _waits(trace, who, analysis.pieces),
            "gpu_phases": _gpu_phases(trace, analysis.pieces),
            "gpu_frames": _gpu_frames(trace, who, analysis, frames),
        }
    out = {}
    for name, columns in made.items():
        schema = tables.SCHEMAS[name]
        rows = len(next(iter(columns.values()), []))
        whole = {field.name: columns.get(field.name, []) for field in schema}
        out[name] = tables.make(schema, {**whole, **analysis.key.columns(rows)})
    return out


def _waits(trace: Trace, who: Who, pieces: Pieces) -> CellColumns:
    """Calls by phase, role and name; streamed, since there may be millions."""
    phases = list(dict.fromkeys(pieces.phase))
    phase_of = np.array([phases.index(phase) for phase in pieces.phase])

    def in_batch(batch: pa.RecordBatch) -> Iterator[tuple[CallKey, int, int]]:
        rows = pa.Table.from_batches([batch])
        start = integers(rows, "start_ns")
        piece = np.searchsorted(pieces.start_ns, start, side="right") - 1
        inside = (piece >= 0) & (start < pieces.end_ns[-1])
        thread, threads = coded((integers(rows, "pid") << _TID_BITS) | integers(rows, "tid"))
        words = [codes(rows, name) for name in ("api", "name", "waits_on")]
        numbers = (phase_of[np.maximum(piece, 0)], thread, *(code for code, _ in words))
        sizes = (len(phases), len(threads), *(len(known) for _, known in words))
        keys = np.ravel_multi_index(numbers, sizes)  # one number for all: far quicker to group than five
        group, distinct = coded(keys[inside])
        lengths = np.zeros(len(distinct), np.int64)
        np.add.at(lengths, group, (integers(rows, "end_ns") - start)[inside])
        calls_of = np.bincount(group, minlength=len(distinct)).tolist()
        places = np.transpose(np.unravel_index(distinct, sizes)).tolist()
        for (phase, index, *rest), calls, ns in zip(places, calls_of, lengths.tolist()):
            api, name, waits_on = (known[code] for (_, known), code in zip(words, rest))
            role = who.role(*divmod(int(threads[index]), 1 << _TID_BITS))
            yield (phases[phase], role, str(api), str(name), waits_on), calls, ns

    totals: dict[CallKey, list[int]] = {}
    batches = trace.store.batches("api_calls", ["pid", "tid", "api", "name", "start_ns", "end_ns", "waits_on"])
    for future in in_order(lambda batch: list(in_batch(batch)), batches):
        for key, calls, ns in future.result():
            total = totals.setdefault(key, [0, 0])
            total[0] += calls
            total[1] += ns
    ordered = sorted(totals.items(), key=lambda item: (item[0][0], item[0][1], -item[1][1], item[0][2:4]))
    names = ("phase", "role", "api", "name", "waits_on")
    return {
        **{name: [key[index] for key, _ in ordered] for index, name in enumerate(names)},
        **{name: [total[index] for _, total in ordered] for index, name in enumerate(_TOTALS)},
    }


def _gpu_phases(trace: Trace, pieces: Pieces) -> CellColumns:
    ops = load_ops(trace.store, trace.pids)
    found = (
        work_by_phase(GpuOps(ops.device, ops.start_ns, ops.end_ns, ops.launch_ns), pieces) if len(ops.device) else []
    )
    return {name: [getattr(work, name) for work in found] for name in ("phase", "operations", "launched_ns", "ran_ns")}


def _gpu_frames(trace: Trace, who: Who, analysis: RunAnalysis, frames: pa.Table) -> CellColumns:
    """Per frame, where the trace shows a GPU, or the threads of a software rasterizer."""
    start = frames.column("start_ns").to_numpy()
    end = frames.column("end_ns").to_numpy()
    number = frames.column("frame").to_numpy()
    adapter = analysis.recording.manifest.adapter
    software = (adapter is not None and adapter.is_software) or "raster" in who.roles.values()
    out: dict[str, list[int | float | None]] = {
        name: [] for name in ("frame", "busy_ns", "wait_ns", "gap_ns", "serialisation")
    }
    if not trace.gpu_kinds and not (software and trace.state_source):
        return out
    for rows in trace.windows(start, end):
        last = min(int(rows[-1]) + 1, len(start) - 1)  # one more, for the gap to it
        evidence = trace.evidence(who, int(start[rows[0]]), int(end[last]))
        working = evidence.working or {}
        gpu = any_of(
            found
            for found in (evidence.graphics, evidence.cuda, evidence.copies, working.get("raster"))
            if found is not None
        )
        others = [found for role, found in working.items() if role != "raster"]
        if evidence.off_core is not None:
            others.append(evidence.off_core.gaps(int(start[rows[0]]), int(end[last])))
        cpu: Intervals | None = any_of(others) if others else None
        chosen = np.append(rows, last) if last != rows[-1] else rows
        work = work_by_frame(gpu, start[chosen], end[chosen], evidence.off_core, cpu)
        count = len(rows)
        out["frame"] += number[rows].tolist()
        out["busy_ns"] += work.busy_ns[:count].tolist()
        out["wait_ns"] += work.wait_ns[:count].tolist()
        out["gap_ns"] += [None if gap == MISSING else gap for gap in work.gap_ns[:count].tolist()]
        out["serialisation"] += [None if np.isnan(ratio) else ratio for ratio in work.serialisation[:count].tolist()]
    return out
