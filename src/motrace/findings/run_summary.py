"""The numbers of one run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pyarrow as pa

from ..attribution.aggregate import aggregate, aggregate_buckets, aggregate_causes
from ..attribution.run import RunAnalysis
from ..attribution.tables import residual_ns
from ..cautions import Caution, CautionCode, caution, recorded
from ..dataset.facts import RunManifest
from ..dataset.frames import FrameTimes
from ..dataset.times import bucket_times
from ..statistics.intervals import Distribution
from ..vocabulary import Tool
from .contention import MUCH, allow_for_others, contention_share
from .episodes import run_episodes
from .phases import phase_times, segment_phases, segment_times
from .run_model import RunSummary
from .trace_summary import trace_summary
from .values import RecorderOverhead
from .workers import run_workers

UNEXPLAINED_WARNING = 0.02
LOW_DISK_BYTES = 1 << 30
INTRUSIVE = {"nsys": Tool.NSYS, "pyspy": Tool.PYSPY, "torch": Tool.TORCH, "scalene": Tool.SCALENE}
"""The tools of collectors that disturb a run."""


def summarise(analysis: RunAnalysis, tables: dict[str, pa.Table]) -> RunSummary:
    """What the report says of a run."""
    recording = analysis.recording
    manifest = recording.manifest
    frames = FrameTimes.of(tables["frames"], tables["frame_phases"])
    kept, segments = frames.kept(), segment_times(analysis)
    walls = {one.segment: one.wall_ns for one in segments}
    loop_ns = walls.get("loop", 0)
    recording_ns = loop_ns + walls.get("drain", 0)
    buckets, causes = allow_for_others(
        aggregate_buckets(tables["attribution"]),
        aggregate_causes(tables["attribution"]),
        manifest.resources.contention_ns if manifest.resources is not None else 0,
    )
    in_loop = aggregate(tables["attribution"], ("bucket",), ("loop",))
    start, end = _utc(analysis)
    summary = RunSummary(
        run_id=analysis.run_id,
        mode=analysis.mode,
        profilers=manifest.profilers,
        collectors=tuple(manifest.collectors),
        rates_hz={name: one.rate for name, one in manifest.collect.items() if one.rate is not None},
        profiler_failed=manifest.observer and not _profiled(analysis, manifest),
        profiler_attached=manifest.profiler_attached,
        status=analysis.status,
        status_reason=manifest.status_reason,
        frames=len(kept),
        frames_asked=manifest.frames_asked,
        warmup_frames=int(frames.warmup.sum()),
        run_wall_ns=sum(walls.values()),
        loop_wall_ns=loop_ns,
        recording_wall_ns=recording_ns,
        segments=segments,
        loop_fps=rate(len(kept), loop_ns),
        effective_fps=rate(len(kept), recording_ns),
        first_frame_ns=int(frames.wall_ns[0]) if len(frames) else None,
        start_utc=start,
        end_utc=end,
        frame=Distribution.of(kept.wall_ns),
        phases=phase_times(analysis, kept, loop_ns),
        segment_phases=segment_phases(analysis, segments),
        buckets=bucket_times(buckets, causes, recording_ns, {str(key): time.ns for (key,), time in in_loop.items()}),
        causes=causes,
        residual_ns=residual_ns(tables),
        unexplained_ns=buckets["unexplained"].ns,
        recorder=_recorder(analysis, loop_ns),
        adapter=manifest.adapter,
        adapter_unknown=manifest.adapter_unknown,
        video=manifest.video,
        video_unknown=manifest.video_unknown,
        workload=manifest.workload,
        resources=manifest.resources,
        workers=run_workers(analysis, recording_ns),
        trace=trace_summary(analysis, tables),
        episodes=run_episodes(analysis, tables["episodes"], frames),
        warnings=(),
    )
    return replace(summary, warnings=(*map(recorded, recording.warnings), *_cautions(summary, manifest)))


def rate(count: int, ns: int) -> float | None:
    """Frames per second; None of nothing."""
    return count / (ns / 1e9) if ns and count else None


def _profiled(analysis: RunAnalysis, manifest: RunManifest) -> bool:
    """Whether what its collectors were to record is there, of those that disturb a run."""
    seen = analysis.trace.tools if analysis.trace is not None else frozenset()
    return all(tool in seen for name, tool in INTRUSIVE.items() if name in manifest.collectors)


def _utc(analysis: RunAnalysis) -> tuple[str | None, str | None]:
    """Begin and end of the run in ISO 8601, UTC, by the clock that its log was begun with; None if not known."""
    begin = analysis.recording.utc_ns
    if begin is None:
        return None, None
    ends = (begin, begin + analysis.segments[-1].end_ns)
    start, end = (datetime.fromtimestamp(ns / 1e9, timezone.utc) for ns in ends)
    return start.isoformat(timespec="microseconds"), end.isoformat(timespec="microseconds")


def _recorder(analysis: RunAnalysis, loop_ns: int) -> RecorderOverhead:
    """What recording itself took of the loop: boundaries at their calibrated cost, and snapshots."""
    log = analysis.recording.cpu_log
    if log is None or not log.boundary_cost_ns:
        return RecorderOverhead(None, None, None)
    times = log.boundaries[:, 0]
    spent = 0
    for segment in analysis.segments:
        if segment.name != "loop":
            continue
        spent += int(((times >= segment.start_ns) & (times < segment.end_ns)).sum()) * log.boundary_cost_ns
        begins = (log.snapshots[:, 0] >= segment.start_ns) & (log.snapshots[:, 0] < segment.end_ns)
        spent += int((log.snapshots[begins, 1] - log.snapshots[begins, 0]).sum())
    return RecorderOverhead(spent, spent / loop_ns if loop_ns else None, log.boundary_cost_ns)


def _cautions(run: RunSummary, manifest: RunManifest) -> list[Caution]:
    found: list[Caution] = []
    if run.adapter is not None and run.adapter.is_software:
        found.append(caution(CautionCode.SOFTWARE_ADAPTER, adapter=run.adapter.name))
    found += _video_cautions(run)
    if run.recording_wall_ns and run.unexplained_ns > UNEXPLAINED_WARNING * run.recording_wall_ns:
        found.append(caution(CautionCode.UNEXPLAINED_TIME, share=run.unexplained_ns / run.recording_wall_ns))
    share = contention_share(run)
    if share > MUCH:
        code = CautionCode.CONTENTION_WITH_PROFILER if run.profilers else CautionCode.CONTENTION
        found.append(caution(code, share=share))
    if run.profiler_attached and not run.profilers:
        found.append(caution(CautionCode.PROFILER_ATTACHED))
    if manifest.nvtx.dummy:
        found.append(caution(CautionCode.NO_NVTX))
    return found + low_disk(manifest.environment.disk_free_bytes)


def low_disk(free_bytes: int | None) -> list[Caution]:
    """A warning where little space was left."""
    low = free_bytes is not None and free_bytes < LOW_DISK_BYTES
    return [caution(CautionCode.LOW_DISK, free_bytes=free_bytes)] if low and free_bytes is not None else []


def _video_cautions(run: RunSummary) -> list[Caution]:
    video = run.video
    if video is None:
        reason = {} if run.video_unknown is None else {"reason": run.video_unknown}
        return [Caution(CautionCode.NO_VIDEO, {**reason})] if run.mode == "record" else []
    found = []
    if video.blank_frames:
        found.append(caution(CautionCode.BLANK_FRAMES, blank=video.blank_frames, frames=video.frames))
    if video.frames > 2 and video.distinct_frames < 2:
        found.append(caution(CautionCode.VIDEO_FRAMES_ALIKE))
    recorded_frames = run.workload.video_frames or run.frames  # warm-up may be in the video
    if video.frames != recorded_frames:
        found.append(caution(CautionCode.VIDEO_FRAMES_DIFFER, video=video.frames, loop=recorded_frames))
    return found
