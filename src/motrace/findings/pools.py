"""The runs of one mode under the same profilers, taken together: what the report's tables show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ..attribution.aggregate import buckets_of
from ..attribution.run import PROFILER_ONLY
from ..dataset import tables
from ..dataset.frames import FrameTimes
from ..dataset.tables import ExperimentKey
from ..dataset.times import BucketTime, CauseTime, bucket_times, by_size, summed
from ..sampling.shares import queued_shares
from ..sampling.transfer_causes import transfer_causes
from ..sampling.transfer_samples import transfer_samples
from ..statistics.intervals import Distribution
from ..vocabulary import EvidenceKind, evidence_word
from .codes import Use
from .compare import least_disturbed
from .episodes import episode_statistics
from .model import ProfilerOverhead
from .phases import share_of
from .run_model import Composition, Pool, RunSummary
from .run_summary import rate
from .runtime import runtime
from .values import EpisodeStatistics, PhaseTime, PoolKey, SegmentPhase, SegmentTime
from .workers import merged

PhaseCounts = dict[str, dict[str, int]]
Refused = set[tuple[PoolKey, str]]
WORTH = {
    EvidenceKind.GPU_WORK: 8,
    EvidenceKind.SCHEDULING: 4,
    EvidenceKind.THREAD_SAMPLES: 2,
    EvidenceKind.WAITING_CALLS: 1,
}
"""How much evidence shows: a GPU above all, then who was on a core, then who waited."""


def mode_order(mode: str) -> tuple[int, str]:
    """Sorts modes: what does most comes first, others by name in between."""
    return {"record": 0, "capture": 1, "none": 3}.get(mode, 2), mode


def pool_runs(
    runs: Sequence[RunSummary], frames: FrameTimes, episodes: pa.Table, overhead: Iterable[ProfilerOverhead]
) -> tuple[Pool, ...]:
    """For each mode and its profilers: the completed runs pooled (all its runs, where none is complete).

    A run that the user's own profiler watched, and a pass whose profiler failed, count only where there is no other.
    ``overhead`` is what profilers cost: of a phase that one disturbed too much, its composition is not transferred.
    """
    keys = sorted({run.key for run in runs}, key=lambda key: (key.profiled, mode_order(key.mode), key.profilers))
    refused = {(row.key, row.phase) for row in overhead if row.use is Use.REFUSED and row.phase is not None}
    pools = [_pool(key, [run for run in runs if run.key == key], frames, episodes) for key in keys]
    samples = {pool.key: _samples([run for run in runs if run.run_id in pool.runs]) for pool in pools}
    return tuple(
        pool if pool.key.profiled else replace(pool, composed=_composed(pool, runs, pools, samples, refused))
        for pool in pools
    )


def mark_pooled(runs: pa.Table, pools: Iterable[Pool]) -> pa.Table:
    """The table ``runs`` with what these pools hold."""
    ids = pa.array([run for pool in pools for run in pool.runs], pa.string())
    at = runs.schema.get_field_index("pooled")
    return runs.set_column(at, runs.schema.field(at), pc.is_in(runs.column("run").cast("string"), value_set=ids))


def composition_table(key: ExperimentKey, pools: Iterable[Pool]) -> pa.Table:
    """The table ``composition``: the causes of every pool that has a transferred composition."""
    rows = [(pool.key.mode, one) for pool in pools if pool.composed is not None for one in pool.composed.causes]
    causes = [one for _, one in rows]
    columns = {name: [str(getattr(one, name)) for one in causes] for name in ("phase", "state", "cause", "bucket")}
    times = {name: [getattr(one.time, name) for one in causes] for name in ("ns", "lo_ns", "hi_ns")}
    evidence = [evidence_word(one.evidence) for one in causes]
    return tables.make(
        tables.SCHEMAS["composition"],
        {
            **key.run("").columns(len(rows)),
            "mode": [mode for mode, _ in rows],
            "evidence": evidence,
            **columns,
            **times,
        },
    )


def _composed(
    pool: Pool,
    members: Sequence[RunSummary],
    pools: Sequence[Pool],
    samples: dict[PoolKey, PhaseCounts],
    refused: Refused,
) -> Composition | None:
    """The unprofiled runs' causes and buckets, with the composition of profiled runs; None if none has any."""
    usable: list[CauseTime] = []
    counts: PhaseCounts = {}
    queued: dict[str, float] = {}
    runs: list[str] = []
    evidence: list[EvidenceKind] = []
    profiled = [other for other in pools if other.key.profiled and other.key.mode == pool.key.mode]
    better = next((other for other in profiled if _worth(other) > _worth(pool)), None)
    if better is not None:
        usable = [one for one in better.causes if (better.key, one.phase) not in refused]
        runs += better.runs
        evidence += better.evidence
    for other in (pool, *profiled):
        counts = {phase: mine for phase, mine in samples[other.key].items() if (other.key, phase) not in refused}
        if counts:
            queued = queued_shares(other.causes)
            runs += [run for run in other.runs if run not in runs]
            evidence.append(EvidenceKind.STACK_SAMPLES)
            break
    if not runs:
        return None

    def compose(causes: tuple[CauseTime, ...], wall_ns: int) -> tuple[CauseTime, ...]:
        causes = transfer_causes(causes, usable, wall_ns) if usable else causes
        return transfer_samples(causes, counts, wall_ns, queued) if counts else causes

    each = [
        bucket_times(buckets_of(causes), causes, run.recording_wall_ns)
        for run in members
        if run.run_id in pool.runs
        for causes in (compose(run.causes, run.recording_wall_ns),)
    ]
    wall, causes = pool.recording_wall_ns, compose(pool.causes, pool.recording_wall_ns)
    buckets = bucket_times(buckets_of(causes), causes, wall, runs=each)
    return Composition(tuple(runs), tuple(evidence), causes, buckets)


def _worth(pool: Pool) -> int:
    """How much a pool's evidence shows."""
    return max((WORTH.get(kind, 0) for kind in pool.evidence), default=0)


def _samples(runs: Iterable[RunSummary]) -> PhaseCounts:
    """Samples by phase and class over several runs."""
    sums: PhaseCounts = {}
    for one in (one for run in runs if run.trace is not None for one in run.trace.samples):
        mine = sums.setdefault(one.phase, {})
        mine[one.kind] = mine.get(one.kind, 0) + one.samples
    return sums


def _pool(key: PoolKey, members: list[RunSummary], frames: FrameTimes, episodes: pa.Table) -> Pool:
    completed = [run for run in members if run.completed]
    runs = least_disturbed([run for run in completed if not run.profiler_failed] or completed or members)
    kept = frames.of_runs([run.run_id for run in runs]).kept()
    loop_ns, recording_ns = sum(run.loop_wall_ns for run in runs), sum(run.recording_wall_ns for run in runs)
    count, causes = sum(run.frames for run in runs), sum_causes(runs, recording_ns)
    segments, frame = _segments(runs), Distribution.of(kept.wall_ns)
    evidence = {kind for run in runs if run.trace is not None for kind in run.trace.evidence}
    return Pool(
        key=key,
        runs=tuple(run.run_id for run in runs),
        frames=count,
        loop_wall_ns=loop_ns,
        recording_wall_ns=recording_ns,
        run_wall_mean_ns=round(sum(run.run_wall_ns for run in runs) / len(runs)),
        loop_fps=rate(count, loop_ns),
        effective_fps=rate(count, recording_ns),
        segments=segments,
        segments_mean=tuple(SegmentTime(one.segment, round(one.wall_ns / len(runs))) for one in segments),
        frame=frame,
        frame_share=share_of(frame.total_ns, loop_ns),
        phases=_phases(runs, kept, loop_ns),
        segment_phases=_segment_phases(runs, segments),
        buckets=sum_buckets(runs, causes, recording_ns),
        causes=causes,
        evidence=tuple(kind for kind in EvidenceKind if kind in evidence),
        workers=merged((one for run in runs for one in run.workers), recording_ns),
        composed=None,
        episodes=_episodes(runs, episodes, frames),
        runtime=runtime(runs, kept),
        software_adapter=any(run.software for run in runs),
        profiler_only=any(run.mode == PROFILER_ONLY for run in runs),
    )


def _episodes(runs: list[RunSummary], episodes: pa.Table, frames: FrameTimes) -> EpisodeStatistics | None:
    ids = [run.run_id for run in runs if run.episodes is not None]
    if not ids:
        return None
    mine = pc.is_in(episodes.column("run").cast("string"), value_set=pa.array(ids, pa.string()))
    return episode_statistics(episodes.filter(mine), frames.of_runs(ids))


def _phases(runs: Sequence[RunSummary], kept: FrameTimes, loop_ns: int) -> tuple[PhaseTime, ...]:
    members: dict[str, list[PhaseTime]] = {}
    for one in (one for run in runs for one in run.phases):
        members.setdefault(one.phase, []).append(one)
    return tuple(
        PhaseTime(
            phase=phase,
            parent=mine[0].parent,
            time=Distribution.of(kept.phase_ns(phase)),
            share=share_of(sum(one.time.total_ns for one in mine), loop_ns),
            self_ns=sum(one.self_ns for one in mine),
        )
        for phase, mine in members.items()
    )


def _segments(runs: Iterable[RunSummary]) -> tuple[SegmentTime, ...]:
    sums: dict[str, int] = {}
    for one in (one for run in runs for one in run.segments):
        sums[one.segment] = sums.get(one.segment, 0) + one.wall_ns
    return tuple(SegmentTime(*item) for item in sums.items())


def _segment_phases(runs: Sequence[RunSummary], segments: Iterable[SegmentTime]) -> tuple[SegmentPhase, ...]:
    out: list[SegmentPhase] = []
    for segment in segments:
        sums: dict[str, tuple[int, int]] = {}
        for one in (one for run in runs for one in run.segment_phases if one.segment == segment.segment):
            total, own = sums.get(one.phase, (0, 0))
            sums[one.phase] = (total + one.total_ns, own + one.self_ns)
        out += [
            SegmentPhase(segment.segment, phase, *sums[phase], share_of(sums[phase][0], segment.wall_ns))
            for phase in sorted(sums, key=lambda phase: (-sums[phase][0], phase))
        ]
    return tuple(out)


def sum_buckets(runs: Sequence[RunSummary], causes: Iterable[CauseTime], wall_ns: int) -> tuple[BucketTime, ...]:
    """Buckets over several runs: the sums of theirs, each of which ``aggregate`` bounded by frame.

    These are the bounds to use: sums of ``causes``, which are no longer known by frame, are wider.
    """
    mine = [one for run in runs for one in run.buckets]
    totals = {one.bucket: time for one, time in summed(mine, lambda one: one.bucket)}
    loop_ns = {bucket: sum(one.loop_ns or 0 for one in mine if one.bucket == bucket) for bucket in totals}
    return bucket_times(totals, causes, wall_ns, loop_ns, [run.buckets for run in runs])


def sum_causes(runs: Iterable[RunSummary], wall_ns: int) -> tuple[CauseTime, ...]:
    """Causes over several runs, the largest first: the sums of theirs. Their bounds are right for one cause alone."""
    mine = (one for run in runs for one in run.causes)
    sums = summed(mine, lambda one: (one.phase, one.state, one.cause, one.evidence))
    return by_size(replace(one, time=time, share=share_of(time.ns, wall_ns)) for one, time in sums)
