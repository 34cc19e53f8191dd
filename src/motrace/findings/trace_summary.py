"""What a trace shows of a run, in report.json's form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ..attribution.run import RunAnalysis
from ..sampling.by_phase import count_by_phase
from ..vocabulary import FRAMED_SEGMENTS, RECORDING_SEGMENTS
from .sensors import gpu_sensors, line_hints

Json = dict[str, Any]

MOST_WAITS = 12
_WAIT_KEYS = ("phase", "role", "api", "name", "waits_on", "calls", "total_ns")


def trace_summary(analysis: RunAnalysis, tables: dict[str, pa.Table]) -> Json | None:
    """Events by table, GPU work, what threads waited on; None for a run that no profiler recorded."""
    trace = analysis.trace
    if trace is None:
        return None
    intervals = trace.has_intervals
    evidence = sorted({share.evidence for share in analysis.shares if share.state == "blocked"}) if intervals else []
    waits = tables["waits"].to_pylist()
    return {
        "events": trace.store.counts(),
        "sources": sorted(trace.clocks),
        "covered_ns": trace.covered_ns[1] - trace.covered_ns[0],
        "error_ns": trace.error_ns,
        "evidence": "; ".join(evidence),
        "samples": _samples(analysis),
        "gpu_sensors": gpu_sensors(
            trace.store, *_loop_window(analysis), tables["frames"].num_rows, analysis.recording.pids
        ),
        "lines": line_hints(trace.store),
        "gpu_phases": [
            {key: row[key] for key in ("phase", "operations", "launched_ns", "ran_ns")}
            for row in tables["gpu_phases"].to_pylist()
        ],
        "gpu_frames": _gpu_frames(tables["gpu_frames"], tables["frames"]),
        "waits": _most([row for row in waits if row["role"] == "loop" and row["waits_on"] is not None]),
        "renderer_calls": _most([row for row in waits if row["role"] in ("renderer", "raster", "task_pool")]),
    }


def _loop_window(analysis: RunAnalysis) -> tuple[int, int]:
    """Begin and end of the frames, warm-up included, in run times."""
    framed = [one for one in analysis.segments if one.name in FRAMED_SEGMENTS]
    if not framed:
        return 0, 0
    return framed[0].start_ns, framed[-1].end_ns


def _samples(analysis: RunAnalysis) -> dict[str, dict[str, int]]:
    """Samples of the loop thread's stacks by phase and class, over loop and drain; empty without py-spy."""
    trace = analysis.trace
    if trace is None or trace.stacks is None:
        return {}
    chosen = tuple(index for index, one in enumerate(analysis.segments) if one.name in RECORDING_SEGMENTS)
    stacks = trace.stacks
    counts = count_by_phase(stacks.t_ns, stacks.stack_id, stacks.stacks, analysis.pieces, chosen)
    return {phase: dict(sorted(count.items())) for phase, count in sorted(counts.items())}


def _most(rows: list[Json]) -> list[Json]:
    ordered = sorted(rows, key=lambda row: (-row["total_ns"], row["phase"], row["name"], row["role"]))
    return [{key: row[key] for key in _WAIT_KEYS} for row in ordered[:MOST_WAITS]]


def _gpu_frames(work: pa.Table, frames: pa.Table) -> Json | None:
    """Means per frame, warm-up left out; None without GPU work that was seen."""
    table = work.to_pandas().merge(frames.select(["frame", "warmup"]).to_pandas(), on="frame")
    kept = table[~table["warmup"]]
    if not len(kept):
        return None

    def mean(name: str) -> float | None:
        values = kept[name].to_numpy(dtype=float)
        return float(np.nanmean(values)) if np.isfinite(values).any() else None

    return {
        "frames": len(kept),
        "busy_mean_ns": mean("busy_ns"),
        "wait_mean_ns": mean("wait_ns"),
        "gap_mean_ns": mean("gap_ns"),
        "serialisation_mean": mean("serialisation"),
    }
