"""The runs of one mode, taken together: what the report's tables show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from ..attribution.run import FOREIGN
from ..dataset.frames import phase_column
from ..sampling.shares import queued_shares
from ..sampling.transfer_causes import buckets_of, compose
from ..sampling.transfer_samples import EVIDENCE, lend_samples
from ..statistics.intervals import Distribution
from ..vocabulary import BUCKETS
from ..vulkan_adapter import is_software
from .compare import least_disturbed
from .profiler_overhead import observer_of

Json = dict[str, Any]


def mode_order(mode: str) -> tuple[bool, int, str]:
    """Sorts pools: quiet ones before observed ones; what does most comes first, others by name in between."""
    return " under " in mode, {"record": 0, "capture": 1, "none": 3}.get(mode, 2), mode


def pool_modes(runs: list[Json], frames: pa.Table, cost: list[Json]) -> dict[str, Json]:
    """For each mode: its completed runs pooled (all its runs, where none is complete).

    A run that the user's own profiler watched, and a pass whose profiler failed, count only where there is no other.

    Frames are pooled over the runs; bucket and cause times, wall times and counts are summed;
    rates are sums of frames over sums of time. ``cost`` is what observers cost: of a phase that one
    disturbed too much, its composition is not lent.
    """
    table = frames.to_pandas()
    modes: dict[str, Json] = {}
    for mode in sorted({pool_of(run) for run in runs}, key=mode_order):
        of_mode = [run for run in runs if pool_of(run) == mode]
        completed = [run for run in of_mode if run["status"] == "completed"]
        chosen = least_disturbed([run for run in completed if not run.get("observer_failed")] or completed or of_mode)
        kept = table[table["run"].isin([run["run_id"] for run in chosen]) & ~table["warmup"]]
        modes[mode] = _pool(chosen, kept)
    for mode, pool in modes.items():
        if " under " in mode:
            pool["composed"] = None
            continue
        refused = {(row["observer"], row["phase"]) for row in cost
                   if row["mode"] == mode and row["use"] == "refused" and not row.get("whole_frame")}  # fmt: skip
        under = {name.removeprefix(f"{mode} under "): other for name, other in modes.items()}
        lenders = {name: other for name, other in under.items() if other is not pool and other is not modes.get(name)}
        pool["composed"] = _composed(pool, lenders, refused)
    return modes


def pool_of(run: Json) -> str:
    """The pool a run belongs to: its mode, and under which observers it ran; these are never mixed with quiet runs."""
    return f"{run['mode']} under {observer_of(run)}" if run["observer"] else str(run["mode"])


def _composed(quiet: Json, lenders: dict[str, Json], refused: set[tuple[str, str]]) -> Json | None:
    """The quiet runs' causes and buckets, with the composition that observers' runs lend; None if none does."""
    base = quiet["recording_wall_ns"]
    causes, lent_by, evidence = quiet["causes"], [], []
    for name, pool in lenders.items():
        if _sees(pool) > _sees(quiet):
            lent = [row for row in pool["causes"] if (name, row["phase"]) not in refused]
            causes = compose(causes, lent, base)
            lent_by += pool["runs"]
            evidence += pool["evidence"]
            break
    for name, pool in [("", quiet), *lenders.items()]:
        counts = {phase: count for phase, count in pool["samples"].items() if (name, phase) not in refused}
        if counts:
            causes = lend_samples(causes, counts, base, queued_shares(pool["causes"]))
            lent_by += [run for run in pool["runs"] if run not in lent_by]
            evidence.append(EVIDENCE)
            break
    if not lent_by:
        return None
    buckets = with_evidence(buckets_of(causes, base), causes)
    return {"lent_by": lent_by, "evidence": evidence, "causes": causes, "buckets": buckets}


def with_evidence(buckets: dict[str, Json], causes: list[Json]) -> dict[str, Json]:
    """The buckets with ``evidence``: what each rests on, by how much of it, the most first."""
    weights: dict[str, dict[str, int]] = {}
    for row in causes:
        mine = weights.setdefault(row["bucket"], {})
        mine[row["evidence"]] = mine.get(row["evidence"], 0) + row["ns"]
    return {
        bucket: {**entry, "evidence": sorted(found, key=lambda name: (-found[name], name))}
        for bucket, entry in buckets.items()
        for found in ({name: ns for name, ns in weights.get(bucket, {}).items() if ns},)
    }


def _sees(pool: Json) -> int:
    """How much a pool's evidence shows: a GPU above all, then who was on a core, then who waited."""
    seen = " ".join(pool["evidence"])
    worth = (("GPU work", 8), ("scheduling", 4), ("thread samples", 2), ("waiting calls", 1))
    return max((points for words, points in worth if words in seen), default=0)


def _sum_samples(runs: list[Json]) -> dict[str, dict[str, int]]:
    """Samples by phase and class over several runs."""
    sums: dict[str, dict[str, int]] = {}
    for run in runs:
        for phase, counts in (run["trace"] or {"samples": {}})["samples"].items():
            mine = sums.setdefault(phase, {})
            for name, count in counts.items():
                mine[name] = mine.get(name, 0) + count
    return sums


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
                **asdict(Distribution.of(kept[phase_column(phase)].to_numpy())),
                "share": sum(run["phases"].get(phase, {}).get("total_ns", 0) for run in runs) / loop_ns
                if loop_ns
                else 0.0,
                "parent": next(run["phases"][phase]["parent"] for run in runs if phase in run["phases"]),
            }
            for phase in order
        },
        "segment_phases": _sum_segment_phases(runs),
        "bucket_notes": _bucket_notes(runs),
        "buckets": with_evidence(
            {bucket: _sum_bucket(runs, bucket, recording_ns) for bucket in BUCKETS}, _sum_causes(runs, recording_ns)
        ),
        "causes": _sum_causes(runs, recording_ns),
        "evidence": sorted({run["trace"]["evidence"] for run in runs if run["trace"] and run["trace"]["evidence"]}),
        "samples": _sum_samples(runs),
    }


def _bucket_notes(runs: list[Json]) -> dict[str, str]:
    """What a bucket's label does not tell in these runs."""
    if any(run["mode"] == FOREIGN for run in runs):
        return {"policy": "here all CUDA work that the thread waited for"}
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
