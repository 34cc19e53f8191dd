"""The runs of one mode, taken together: what the report's tables show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from ..adapter import is_software
from ..vocabulary import BUCKETS
from .stats import Distribution

Json = dict[str, Any]


def mode_order(mode: str) -> tuple[int, str]:
    """Sorts modes: what does most comes first, others by name in between."""
    return {"record": 0, "capture": 1, "none": 3}.get(mode, 2), mode


def pool_modes(runs: list[Json], frames: pa.Table) -> dict[str, Json]:
    """For each mode: its completed runs pooled (all its runs, where none is complete).

    Frames are pooled over the runs; bucket and cause times, wall times and counts are summed;
    rates are sums of frames over sums of time.
    """
    table = frames.to_pandas()
    modes: dict[str, Json] = {}
    for mode in sorted({run["mode"] for run in runs}, key=mode_order):
        of_mode = [run for run in runs if run["mode"] == mode]
        chosen = [run for run in of_mode if run["status"] == "completed"] or of_mode
        kept = table[table["run"].isin([run["run_id"] for run in chosen]) & ~table["warmup"]]
        modes[mode] = _pool(chosen, kept)
    return modes


def _pool(runs: list[Json], kept: Any) -> Json:
    loop_ns = sum(run["loop_wall_ns"] for run in runs)
    recording_ns = sum(run["recording_wall_ns"] for run in runs)
    frames = sum(run["frames"] for run in runs)
    frame = Distribution.of((kept["end_ns"] - kept["start_ns"]).to_numpy())
    order = dict.fromkeys(phase for run in runs for phase in run["phases"])
    return {
        "runs": [run["run_id"] for run in runs],
        "frames": frames,
        "loop_wall_ns": loop_ns,
        "recording_wall_ns": recording_ns,
        "loop_fps": frames / (loop_ns / 1e9) if loop_ns else None,
        "effective_fps": frames / (recording_ns / 1e9) if recording_ns else None,
        "segments": _sum_segments(runs),
        "segments_mean_ns": {name: round(ns / len(runs)) for name, ns in _sum_segments(runs).items()},
        "run_wall_mean_ns": round(sum(run["run_wall_ns"] for run in runs) / len(runs)),
        "frame": {**asdict(frame), "share": frame.total_ns / loop_ns if loop_ns else 0.0},
        "phases": {
            phase: {
                **asdict(Distribution.of(kept[phase].to_numpy())),
                "share": sum(run["phases"].get(phase, {}).get("total_ns", 0) for run in runs) / loop_ns
                if loop_ns
                else 0.0,
                "parent": next(run["phases"][phase]["parent"] for run in runs if phase in run["phases"]),
            }
            for phase in order
        },
        "segment_phases": _sum_segment_phases(runs),
        "bucket_notes": _bucket_notes(runs),
        "buckets": {bucket: _sum_bucket(runs, bucket, recording_ns) for bucket in BUCKETS},
        "causes": _sum_causes(runs, recording_ns),
    }


def _bucket_notes(runs: list[Json]) -> dict[str, str]:
    """What a bucket's label does not tell in these runs."""
    if any(is_software(run["adapter"]) for run in runs):
        return {"renderer_gpu": "here a software rasterizer on the CPU, in the GPU's place"}
    return {}


def _sum_segments(runs: list[Json]) -> dict[str, int]:
    names = dict.fromkeys(name for run in runs for name in run["segments"])
    return {name: sum(run["segments"].get(name, 0) for run in runs) for name in names}


def _sum_segment_phases(runs: list[Json]) -> dict[str, dict[str, Json]]:
    out: dict[str, dict[str, Json]] = {}
    for name, wall in _sum_segments(runs).items():
        phases = dict.fromkeys(phase for run in runs for phase in run["segment_phases"].get(name, {}))
        sums = {
            phase: {
                key: sum(run["segment_phases"].get(name, {}).get(phase, {}).get(key, 0) for run in runs)
                for key in ("total_ns", "self_ns")
            }
            for phase in phases
        }
        ordered = sorted(sums, key=lambda phase: (-sums[phase]["total_ns"], phase))
        out[name] = {
            phase: {**sums[phase], "share": sums[phase]["total_ns"] / wall if wall else 0.0} for phase in ordered
        }
    return out


def _sum_bucket(runs: list[Json], bucket: str, base_ns: int) -> Json:
    sums = {key: sum(run["buckets"][bucket][key] for run in runs) for key in ("ns", "lo_ns", "hi_ns", "loop_ns")}
    shares = {
        name: sums[key] / base_ns if base_ns else 0.0
        for name, key in (("share", "ns"), ("lo", "lo_ns"), ("hi", "hi_ns"))
    }
    return {**sums, **shares}


def _sum_causes(runs: list[Json], base_ns: int) -> list[Json]:
    keys = ("phase", "state", "cause", "bucket", "evidence")
    sums: dict[tuple[str, ...], list[int]] = {}
    for run in runs:
        for row in run["causes"]:
            total = sums.setdefault(tuple(row[key] for key in keys), [0, 0, 0])
            for index, name in enumerate(("ns", "lo_ns", "hi_ns")):
                total[index] += row[name]
    rows = [
        {**dict(zip(keys, key)), "ns": ns, "lo_ns": lo, "hi_ns": hi, "share": ns / base_ns if base_ns else 0.0}
        for key, (ns, lo, hi) in sums.items()
    ]
    return sorted(rows, key=lambda row: (-row["ns"], row["phase"], row["cause"]))
