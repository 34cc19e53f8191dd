"""The numbers of one run, in report.json's form."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import to_builtins

from ..attribution.run import RunAnalysis
from ..attribution.tables import inclusive_ns, residual_ns
from ..dataset.facts import RunManifest
from ..dataset.frames import phase_column, phases_of, wide
from ..sampling.transfer_causes import most
from ..statistics.intervals import Distribution
from ..vocabulary import BUCKETS, RECORDING_SEGMENTS, SEGMENTS
from ..vulkan_adapter import is_software
from .contention import MUCH, allow_for_others, crowded_ns, crowded_share
from .episodes import run_episodes
from .trace_summary import trace_summary

Array = np.ndarray[Any, Any]
Json = dict[str, Any]

UNEXPLAINED_WARNING = 0.02
LOW_DISK_BYTES = 1 << 30
LEFT_BEHIND = {"nsys": "nsys", "pyspy": "py-spy", "torch": "torch", "scalene": "lines"}
"""By collector that disturbs a run: the clock or the table that is there if it recorded something."""


def summarise(analysis: RunAnalysis, tables: dict[str, pa.Table]) -> Json:
    """The entry of report.json's ``runs`` for a run."""
    recording, manifest = analysis.recording, analysis.recording.manifest
    workload = manifest.workload
    resources = to_builtins(manifest.resources)
    frames = wide(tables["frames"], tables["frame_phases"]).to_pandas()
    kept = frames[~frames["warmup"]]
    segments = segment_walls(analysis)
    loop_ns, drain_ns = segments.get("loop", 0), segments.get("drain", 0)
    buckets, causes = bucket_totals(tables["attribution"]), cause_totals(tables["attribution"])
    allow_for_others(buckets, causes, crowded_ns(resources))
    unexplained = buckets["unexplained"]["ns"]
    summary = {
        "run_id": analysis.run_id,
        "mode": analysis.mode,
        "status": analysis.status,
        "status_reason": manifest.status_reason,
        "frames": len(kept),
        "frames_asked": manifest.frames_asked,
        "warmup_frames": int(frames["warmup"].sum()),
        "blank_warmup_frames": workload.blank_warmup_frames,
        "warmup_rule": workload.warmup_rule,
        "run_wall_ns": analysis.segments[-1].end_ns - analysis.segments[0].start_ns,
        "segments": segments,
        "loop_wall_ns": loop_ns,
        "loop_fps": _rate(len(kept), loop_ns),
        "effective_fps": _rate(len(kept), loop_ns + drain_ns),
        "first_frame_ns": int(frames["end_ns"].iloc[0] - frames["start_ns"].iloc[0]) if len(frames) else None,
        "utc": _utc(analysis),
        "frame": asdict(Distribution.of((kept["end_ns"] - kept["start_ns"]).to_numpy())),
        "phases": phase_statistics(analysis, kept, loop_ns),
        "segment_phases": segment_phases(analysis, segments),
        "buckets": buckets,
        "causes": causes,
        "recording_wall_ns": loop_ns + drain_ns,
        "residual_ns": residual_ns(tables),
        "unexplained_ns": unexplained,
        "overhead": overhead(analysis, loop_ns),
        "adapter": to_builtins(manifest.adapter),
        "adapter_unknown": manifest.adapter_unknown,
        "video": to_builtins(manifest.video),
        "video_unknown": manifest.video_unknown,
        "workload": {
            **{key: getattr(workload, key) for key in ("device", "falls", "state_sha256")},
            "checkpoint": to_builtins(workload.checkpoint),
        },
        "resources": resources,
        "collectors": manifest.collectors,
        "rates": {name: told.rate for name, told in manifest.collect.items() if told.rate is not None},
        "observer": manifest.observer,
        "observer_failed": manifest.observer and not _observed(analysis),
        "profiler_attached": manifest.profiler_attached,
        "trace": trace_summary(analysis, tables),
        "episodes": run_episodes(analysis, tables),
    }
    summary["warnings"] = recording.warnings + _warnings(summary, manifest)
    return summary


def _observed(analysis: RunAnalysis) -> bool:
    """Whether what its collectors were to record is there, of those that disturb a run."""
    trace = analysis.trace
    found = set() if trace is None else {*(source.split()[0] for source in trace.clocks), *trace.store.counts()}
    asked = set(analysis.recording.manifest.collectors) & set(LEFT_BEHIND)
    return all(LEFT_BEHIND[name] in found for name in asked)


def _utc(analysis: RunAnalysis) -> dict[str, str] | None:
    """Begin and end of the run in ISO 8601, UTC, by the clock that its log was begun with; None if not known."""
    begin = analysis.recording.utc_ns
    if begin is None:
        return None
    ends = {"start": begin, "end": begin + analysis.segments[-1].end_ns}
    return {
        name: datetime.fromtimestamp(ns / 1e9, timezone.utc).isoformat(timespec="microseconds")
        for name, ns in ends.items()
    }


def _rate(count: int, ns: int) -> float | None:
    return count / (ns / 1e9) if ns and count else None


def segment_walls(analysis: RunAnalysis) -> dict[str, int]:
    """Wall time of each segment, ns; they add up to the run's."""
    walls: dict[str, int] = {}
    for segment in analysis.segments:
        walls[segment.name] = walls.get(segment.name, 0) + segment.end_ns - segment.start_ns
    known = {name: walls[name] for name in SEGMENTS if name in walls}
    return {**known, **{name: ns for name, ns in walls.items() if name not in known}}


def _span_parents(analysis: RunAnalysis) -> dict[str, str | None]:
    """The span that most often stands around each phase."""
    spans = analysis.spans
    votes: dict[str, dict[str | None, int]] = {}
    for name, parent in zip(spans.name, spans.parent.tolist()):
        around = None if parent < 0 or spans.is_frame[parent] else spans.name[parent]
        votes.setdefault(name, {}).setdefault(around, 0)
        votes[name][around] += 1
    return {name: max(sorted(found, key=str), key=lambda key: found[key]) for name, found in votes.items()}


def phase_statistics(analysis: RunAnalysis, kept: Any, loop_ns: int) -> dict[str, Json]:
    """Per phase of the loop: distribution over the kept frames, children included; in order of time.

    ``self_ns`` is the time in the phase outside its children; these add up to the frames' time.
    """
    pieces, segments = analysis.pieces, analysis.segments
    wall = pieces.end_ns - pieces.start_ns
    loop = np.array([segments[index].name == "loop" for index in pieces.segment], bool)
    phases = np.array(pieces.phase, object)
    parents = _span_parents(analysis)
    first_seen = {name: int(np.flatnonzero(phases == name)[0]) for name in dict.fromkeys(pieces.phase)}
    statistics: dict[str, Json] = {}
    for name in sorted(phases_of(list(kept.columns)), key=lambda name: (name == "glue", first_seen.get(name, 0))):
        values = kept[phase_column(name)].to_numpy()
        if values.any():
            statistics[name] = {
                **asdict(Distribution.of(values)),
                "share": float(values.sum() / loop_ns) if loop_ns else 0.0,
                "self_ns": int(wall[loop & (phases == name)].sum()),
                "parent": parents.get(name),
            }
    return statistics


def segment_phases(analysis: RunAnalysis, segments: dict[str, int]) -> dict[str, dict[str, Json]]:
    """Per segment and phase: total (children included) and self time, ns, and share of the segment."""
    pieces = analysis.pieces
    wall = pieces.end_ns - pieces.start_ns
    phases = np.array(pieces.phase, object)
    inclusive = inclusive_ns(analysis)
    out: dict[str, dict[str, Json]] = {}
    for name, total in segments.items():
        rows = np.array([analysis.segments[index].name == name for index in pieces.segment], bool)
        entries = {
            phase: {"total_ns": int(ns[rows].sum()), "self_ns": int(wall[rows & (phases == phase)].sum())}
            for phase, ns in inclusive.items()
        }
        ordered = sorted(
            (phase for phase in entries if entries[phase]["total_ns"]), key=lambda p: (-entries[p]["total_ns"], p)
        )
        out[name] = {
            phase: {**entries[phase], "share": entries[phase]["total_ns"] / total if total else 0.0}
            for phase in ordered
        }
    return out


def bucket_totals(attribution: pa.Table) -> dict[str, Json]:
    """Buckets over loop and drain: ns, bounds, share of both; ``loop_ns`` of the loop alone.

    A bucket's bounds use the others' too: within a group of rows that is known to last W, it lasts
    at least W minus what the others can be at most, and at most W minus what they are at least. Time of
    which nothing is known may be any bucket's: none of it is surely unexplained.
    """
    rows = attribution.to_pandas()
    rows = rows[rows["segment"].isin(RECORDING_SEGMENTS)]
    base = int(rows["ns"].sum())
    keys = ["segment", "frame", "phase", "blocked"]
    rows = rows.assign(frame=rows["frame"].fillna(-1), blocked=rows["state"] == "blocked")
    sums = rows.groupby([*keys, "bucket"], observed=True)[["ns", "lo_ns", "hi_ns"]].sum().reset_index()
    whole = rows.groupby(keys, observed=True)[["ns", "lo_ns", "hi_ns"]].sum().reset_index()
    sums = sums.merge(whole, on=keys, suffixes=("", "_whole"))
    others_lo, others_hi = sums["lo_ns_whole"] - sums["lo_ns"], sums["hi_ns_whole"] - sums["hi_ns"]
    sums["lo_ns"] = np.maximum(sums["lo_ns"], sums["ns_whole"] - others_hi)
    sums["hi_ns"] = np.minimum(sums["hi_ns"], sums["ns_whole"] - others_lo)
    sums.loc[sums["bucket"] == "unexplained", "lo_ns"] = 0  # it may be anybody's
    totals = sums.groupby("bucket", observed=True)[["ns", "lo_ns", "hi_ns"]].sum()
    loop = rows[rows["segment"] == "loop"].groupby("bucket", observed=True)["ns"].sum()
    unknown = int(rows.loc[rows["state"] == "unknown", "ns"].sum())
    lo = {bucket: int(totals["lo_ns"].get(bucket, 0)) for bucket in BUCKETS}
    return {
        bucket: {
            "ns": int(totals["ns"].get(bucket, 0)),
            "lo_ns": lo[bucket],
            "hi_ns": most(bucket, int(totals["hi_ns"].get(bucket, 0)), unknown, base - sum(lo.values()) + lo[bucket]),
            "share": float(totals["ns"].get(bucket, 0) / base) if base else 0.0,
            "loop_ns": int(loop.get(bucket, 0)),
        }
        for bucket in BUCKETS
    }


def cause_totals(attribution: pa.Table) -> list[Json]:
    """Phase, state and cause over loop and drain, the largest first."""
    segments = pa.array(RECORDING_SEGMENTS, pa.string())
    table = attribution.filter(pc.is_in(attribution["segment"].cast("string"), value_set=segments))
    keys = ["phase", "state", "cause", "bucket", "evidence"]
    grouped = table.group_by(keys).aggregate([("ns", "sum"), ("lo_ns", "sum"), ("hi_ns", "sum")]).to_pylist()
    base = sum(row["ns_sum"] for row in grouped)
    rows = [
        {
            **{key: row[key] for key in keys},
            "ns": row["ns_sum"],
            "lo_ns": row["lo_ns_sum"],
            "hi_ns": row["hi_ns_sum"],
            "share": row["ns_sum"] / base if base else 0.0,
        }
        for row in grouped
    ]
    return sorted(rows, key=lambda row: (-row["ns"], row["phase"], row["cause"]))


def overhead(analysis: RunAnalysis, loop_ns: int) -> Json:
    """What recording itself took of the loop: boundaries at their calibrated cost, and snapshots."""
    log = analysis.recording.cpu_log
    if log is None or not log.boundary_cost_ns:
        return {"recorder_ns": None, "share_of_loop": None, "how": "not measured: the recorder did not come to its end"}
    inside = [(segment.start_ns, segment.end_ns) for segment in analysis.segments if segment.name == "loop"]
    times = log.boundaries[:, 0]
    spent = 0
    for start, end in inside:
        spent += int(((times >= start) & (times < end)).sum()) * log.boundary_cost_ns
        begins = (log.snapshots[:, 0] >= start) & (log.snapshots[:, 0] < end)
        spent += int((log.snapshots[begins, 1] - log.snapshots[begins, 0]).sum())
    return {
        "recorder_ns": spent,
        "share_of_loop": spent / loop_ns if loop_ns else None,
        "how": f"boundaries at {log.boundary_cost_ns} ns each (measured at the end of the run) and snapshots as timed",
    }


def _warnings(summary: Json, manifest: RunManifest) -> list[str]:
    warnings: list[str] = []
    if is_software(summary["adapter"]):
        warnings.append(
            f"software adapter: the renderer drew with {summary['adapter']['name']} on the CPU; "
            "its share says nothing about a GPU"
        )
    video = summary["video"]
    if video and video["blank_frames"]:
        warnings.append(f"{video['blank_frames']} of {video['frames']} frames of the video are blank")
    if video and video["frames"] > 2 and video["distinct_frames"] < 2:
        warnings.append("all frames of the video look alike")
    made = manifest.workload.video_frames or summary["frames"]  # warm-up may be in the video
    if video and video["frames"] != made:
        warnings.append(f"the video holds {video['frames']} frames, the loop made {made}")
    if summary["mode"] == "record" and not video:
        warnings.append(f"no video: {summary['video_unknown'] or 'not known why'}")
    if summary["recording_wall_ns"] and summary["unexplained_ns"] > UNEXPLAINED_WARNING * summary["recording_wall_ns"]:
        share = summary["unexplained_ns"] / summary["recording_wall_ns"]
        warnings.append(f"{share:.1%} of loop and drain is unexplained")
    crowded = crowded_share(summary)
    if crowded > MUCH and summary["observer"]:
        warnings.append(
            f"other processes, its observer among them, used {crowded:.0%} of its cores while it ran: what that did to "
            "each phase is in the table of what the observers cost"
        )
    elif crowded > MUCH:
        warnings.append(
            f"other processes used {crowded:.0%} of its cores while it ran: its threads may have waited for them; that "
            "shows as run queue, or as time in which nobody worked (renderer stall); record again on a quieter machine"
        )
    if summary["profiler_attached"] and not summary["observer"]:
        warnings.append("a profiler was attached: its times are disturbed; compare them with those of other such runs")
    if manifest.nvtx.dummy:
        warnings.append("a profiler was attached but recorded none of our NVTX ranges (log.txt says why)")
    if (free := manifest.environment.disk_free_bytes) is not None and free < LOW_DISK_BYTES:
        warnings.append(f"low disk: {free / 1e6:.0f} MB were free when the run began")
    return warnings
