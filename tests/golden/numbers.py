"""Every number of a report by a flat name, so that two versions of the program can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from motrace.dataset.estimate import Estimate
from motrace.dataset.times import BucketTime, CauseTime
from motrace.findings.model import Contrast, Report
from motrace.findings.run_model import Pool, RunSummary
from motrace.findings.values import Difference, Distribution, EpisodeStatistics, Spread
from motrace.vocabulary import evidence_word

Number = str | int | float | bool | None | list[str] | list[int]
Named = Iterator[tuple[str, Number]]


def numbers(report: Report) -> dict[str, Number]:
    """The numbers of a report, by name."""
    return dict(_numbers(report))


def _numbers(report: Report) -> Named:
    for run in report.runs:
        yield from _under(f"runs/{run.run_id}", _run(run))
    for pool in report.pools:
        name = f"{pool.key.mode} under {', '.join(pool.key.profilers)}" if pool.key.profiled else pool.key.mode
        yield from _under(f"pools/{name}", _pool(pool))
    comparison = report.comparison
    if comparison.record_against_none is not None:
        yield from _under("comparison", _contrast(comparison.record_against_none))
    for step in (rung.contrast for rung in comparison.steps):
        yield from _under(f"steps/{step.new}-{step.base}", _contrast(step))
    for row in report.profiler_overhead:
        key = f"overhead/{', '.join(row.key.profilers)}/{row.key.mode}/{row.phase or 'frame'}"
        for name in ("unprofiled_ns", "profiled_ns", "change", "lo", "hi", "usable_rate_hz"):
            yield f"{key}/{name}", getattr(row, name)
        yield f"{key}/use", row.use.value
    verdict = report.verdict
    for place, bucket in (("leading", verdict.leading), ("runner_up", verdict.runner_up)):
        if bucket is not None:
            yield f"verdict/{place}", bucket.bucket
            for name in ("share", "lo_share", "hi_share"):
                yield f"verdict/{place}/{name}", getattr(bucket, name)
    yield "verdict/margin", verdict.margin
    yield "verdict/certain", verdict.certain
    for clock in report.clocks:
        for name in ("offset_ns", "drift_ppm", "error_ns", "pairs"):
            yield f"clocks/{clock.run_id}/{clock.source}/{name}", getattr(clock, name)
    for benchmark in report.benchmark:
        if isinstance(benchmark.value, int | float):
            yield f"benchmark/{benchmark.item.value}", benchmark.value
    yield "same_states", report.same_states


def _under(prefix: str, named: Named) -> Named:
    for name, value in named:
        yield f"{prefix}/{name}", value


def _run(run: RunSummary) -> Named:
    for name in ("mode", "status", "frames", "frames_asked", "warmup_frames", "run_wall_ns", "loop_wall_ns",
                 "recording_wall_ns", "loop_fps", "effective_fps", "first_frame_ns", "residual_ns",
                 "unexplained_ns"):  # fmt: skip
        yield name, getattr(run, name)
    yield "recorder_ns", run.recorder.recorder_ns
    yield from _common(run)
    yield from _under("episodes", _episodes(run.episodes))
    trace = run.trace
    if trace is None:
        return
    yield "trace/covered_ns", trace.covered_ns
    yield "trace/error_ns", trace.error_ns
    for events in trace.events:
        yield f"trace/events/{events.table}", events.rows
    for row in trace.gpu_phases:
        for name in ("operations", "launched_ns", "ran_ns"):
            yield f"trace/gpu_phases/{row.phase}/{name}", getattr(row, name)
    if trace.gpu_per_frame is not None:
        for one in fields(trace.gpu_per_frame):
            yield f"trace/gpu_frames/{one.name}", getattr(trace.gpu_per_frame, one.name)
    for kind, calls in (("waits", trace.waits), ("renderer_calls", trace.renderer_calls)):
        for place, call in enumerate(calls):
            yield f"trace/{kind}/{place}/{call.phase}/{call.name}", [call.calls, call.total_ns]
    for count in trace.samples:
        yield f"trace/samples/{count.phase}/{count.kind}", count.samples


def _pool(pool: Pool) -> Named:
    for name in ("frames", "loop_wall_ns", "recording_wall_ns", "loop_fps", "effective_fps", "run_wall_mean_ns"):
        yield name, getattr(pool, name)
    yield "runs", list(pool.runs)
    yield from _common(pool)
    yield from _causes("causes", pool.causes)
    if pool.composed is not None:
        yield from _buckets("composed_buckets", pool.composed.buckets)
        yield from _causes("composed_causes", pool.composed.causes)
    yield from _under("episodes", _episodes(pool.episodes))
    for one in fields(pool.runtime):
        yield from _spread(f"runtime/{one.name}", getattr(pool.runtime, one.name))


def _common(one: RunSummary | Pool) -> Named:
    for segment in one.segments:
        yield f"segments/{segment.segment}", segment.wall_ns
    yield from _distribution("frame", one.frame)
    for phase in one.phases:
        yield from _distribution(f"phases/{phase.phase}", phase.time)
        for name in ("share", "self_ns", "parent"):
            yield f"phases/{phase.phase}/{name}", getattr(phase, name)
    for row in one.segment_phases:
        for name in ("total_ns", "self_ns", "share"):
            yield f"segment_phases/{row.segment}/{row.phase}/{name}", getattr(row, name)
    yield from _buckets("buckets", one.buckets)


def _buckets(key: str, buckets: tuple[BucketTime, ...]) -> Named:
    for one in buckets:
        yield from _estimate(f"{key}/{one.bucket}", one.time)
        if one.loop_ns is not None:
            yield f"{key}/{one.bucket}/loop_ns", one.loop_ns


def _causes(key: str, causes: tuple[CauseTime, ...]) -> Named:
    for one in causes:
        name = f"{key}/{one.phase}/{one.state}/{one.cause}/{one.bucket}/{evidence_word(one.evidence)}"
        yield from _estimate(name, one.time)


def _estimate(key: str, time: Estimate) -> Named:
    for name in ("ns", "lo_ns", "hi_ns"):
        yield f"{key}/{name}", getattr(time, name)


def _distribution(key: str, one: Distribution) -> Named:
    for field in fields(one):
        yield f"{key}/{field.name}", getattr(one, field.name)


def _spread(key: str, one: Spread | None) -> Named:
    if one is not None:
        for field in fields(one):
            yield f"{key}/{field.name}", getattr(one, field.name)


def _episodes(one: EpisodeStatistics | None) -> Named:
    if one is None:
        return
    for name in ("episodes", "ended", "terminated", "truncated", "cut_off", "success_rate", "reward_per_step", "resets",
                 "resets_per_frame", "frames_with_reset"):  # fmt: skip
        yield name, getattr(one, name)
    yield from _spread("return", one.returns)
    yield from _spread("length", one.lengths)
    for what in ("frame", "step"):
        for which in ("with_reset", "without_reset"):
            cost = getattr(getattr(one, what), which)
            if cost is not None:
                yield f"{what}/{which}/mean_ns", cost.mean_ns
                yield f"{what}/{which}/p50_ns", cost.p50_ns


def _contrast(one: Contrast) -> Named:
    for name in ("frame_ns", "frame_with_drain_ns", "run_wall_ns"):
        yield from _difference(name, getattr(one, name))
    for phase in one.phases:
        yield from _difference(f"phases/{phase.phase}", phase.time_ns)


def _difference(key: str, one: Difference) -> Named:
    for field in fields(one):
        yield f"{key}/{field.name}", getattr(one, field.name)
