"""What a trace shows of a run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from ..attribution.run import RunAnalysis
from ..sampling.by_phase import count_by_phase
from ..sampling.user_profiles import heaviest_lines
from ..vocabulary import FRAMED_SEGMENTS, RECORDING_SEGMENTS, EvidenceKind, Tool
from .gpu_cover import gpu_covers
from .heaviest import gpu_operations
from .profile_model import CallSum, EventCount, GpuPerFrame, GpuPhase, SampleCount, TraceSummary
from .sensors import gpu_sensors

MOST_WAITS = 12
LINES = ("file", "line", "python_pct", "native_pct", "system_pct", "copy_mb_s", "peak_mb")


def trace_summary(analysis: RunAnalysis, tables: dict[str, pa.Table]) -> TraceSummary | None:
    """Events by table, GPU work, what threads waited on; None for a run that no profiler recorded."""
    trace = analysis.trace
    if trace is None:
        return None
    seen = {kind for share in analysis.shares if share.state == "blocked" for kind in share.evidence}
    calls = [
        CallSum(*(row[name] for name in ("phase", "role", "api", "name", "waits_on", "calls", "total_ns")))
        for row in tables["waits"].to_pylist()
    ]
    gpu_phases = tables["gpu_phases"].select(["phase", "operations", "launched_ns", "ran_ns"]).to_pylist()
    frames = tables["frames"].num_rows
    return TraceSummary(
        events=tuple(EventCount(table, rows) for table, rows in trace.store.counts().items()),
        tools=tuple(tool for tool in Tool if tool in trace.tools),
        covered_ns=trace.covered_ns[1] - trace.covered_ns[0],
        error_ns=trace.error_ns,
        evidence=tuple(kind for kind in EvidenceKind if kind in seen) if trace.has_intervals else (),
        samples=_samples(analysis),
        gpu_sensors=gpu_sensors(trace.store, *_loop_window(analysis), frames, analysis.recording.pids),
        lines=heaviest_lines(trace.store.load("lines", LINES)),
        gpu_phases=tuple(GpuPhase(**row) for row in gpu_phases),
        gpu_per_frame=_gpu_per_frame(tables["gpu_frames"], tables["frames"]),
        gpu_operations=gpu_operations(trace.store, trace.pids),
        waits=_most(one for one in calls if one.role == "loop" and one.waits_on is not None),
        renderer_calls=_most(one for one in calls if one.role in ("renderer", "raster", "task_pool")),
        gpu_covers=gpu_covers(analysis),
    )


def _loop_window(analysis: RunAnalysis) -> tuple[int, int]:
    """Begin and end of the frames, warm-up included, in run times."""
    framed = [one for one in analysis.segments if one.name in FRAMED_SEGMENTS]
    if not framed:
        return 0, 0
    return framed[0].start_ns, framed[-1].end_ns


def _samples(analysis: RunAnalysis) -> tuple[SampleCount, ...]:
    """Samples of the loop thread's stacks by phase and class, over loop and drain; empty without py-spy."""
    trace = analysis.trace
    if trace is None or trace.stacks is None:
        return ()
    chosen = tuple(index for index, one in enumerate(analysis.segments) if one.name in RECORDING_SEGMENTS)
    stacks = trace.stacks
    counts = count_by_phase(stacks.t_ns, stacks.stack_id, stacks.stacks, analysis.pieces, chosen)
    return tuple(
        SampleCount(phase, kind, number) for phase in sorted(counts) for kind, number in sorted(counts[phase].items())
    )


def _most(calls: Iterable[CallSum]) -> tuple[CallSum, ...]:
    return tuple(sorted(calls, key=lambda one: (-one.total_ns, one.phase, one.name, one.role))[:MOST_WAITS])


def _gpu_per_frame(work: pa.Table, frames: pa.Table) -> GpuPerFrame | None:
    """Means per frame, warm-up left out; None without GPU work that was seen."""
    kept = frames.column("frame").to_numpy()[~frames.column("warmup").to_numpy()]
    chosen = np.isin(work.column("frame").to_numpy(), kept)
    if not chosen.any():
        return None

    def mean(name: str) -> float | None:
        values = work.column(name).to_numpy().astype(float)[chosen]
        return float(np.nanmean(values)) if np.isfinite(values).any() else None

    return GpuPerFrame(int(chosen.sum()), mean("busy_ns"), mean("wait_ns"), mean("gap_ns"), mean("serialisation"))
