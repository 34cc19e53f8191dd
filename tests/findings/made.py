"""Runs, pools and reports made up by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from motrace.attribution.aggregate import buckets_of
from motrace.dataset.estimate import Estimate
from motrace.dataset.facts import WorkloadFacts
from motrace.dataset.times import CauseTime, bucket_times
from motrace.findings.profile_model import TraceSummary
from motrace.findings.run_model import RunSummary
from motrace.findings.values import PhaseTime, RecorderOverhead, SegmentTime
from motrace.sampling.transfer_causes import cause_time
from motrace.statistics.intervals import Distribution
from motrace.vocabulary import EvidenceKind

WALL = 1000
NO_TIME = Distribution(0, 0, 0, 0, 0, 0)
COUNTERS = (EvidenceKind.CPU_COUNTERS,)


def cause(phase: str, name: str, ns: int, lo: int | None = None, hi: int | None = None, wall: int = WALL,
          evidence: tuple[EvidenceKind, ...] = COUNTERS) -> CauseTime:  # fmt: skip
    """Time of a cause; exact without bounds."""
    time = Estimate(ns, ns if lo is None else lo, ns if hi is None else hi)
    return cause_time(phase, name, evidence, time, wall)


def trace(sources: tuple[str, ...]) -> TraceSummary:
    """That some tools recorded something."""
    return TraceSummary((), sources, 0, 0, (), (), (), (), (), None, (), (), ())


def phase(name: str, mean_ns: float) -> PhaseTime:
    """A phase that takes so much per frame."""
    return PhaseTime(name, None, replace(NO_TIME, mean_ns=round(mean_ns)), 0.0, 0)


def run(causes: Sequence[CauseTime] = (), wall: int = WALL, **changes: Any) -> RunSummary:
    """A completed run of a program of one's own with these causes."""
    made = RunSummary(
        run_id="a", mode="custom", profilers=(), collectors=(), rates_hz={}, profiler_failed=False,
        profiler_attached=False, status="completed", status_reason=None, frames=10, frames_asked=None, warmup_frames=0,
        run_wall_ns=wall, loop_wall_ns=wall, recording_wall_ns=wall, segments=(SegmentTime("loop", wall),),
        loop_fps=None, effective_fps=None, first_frame_ns=None, start_utc=None, end_utc=None, frame=NO_TIME, phases=(),
        segment_phases=(), buckets=bucket_times(buckets_of(causes), causes, wall), causes=tuple(causes), residual_ns=0,
        unexplained_ns=0, recorder=RecorderOverhead(None, None, None), adapter=None, adapter_unknown=None, video=None,
        video_unknown=None, workload=WorkloadFacts(), resources=None, workers=(), trace=None, episodes=None,
        warnings=(),
    )  # fmt: skip
    return replace(made, **changes)
