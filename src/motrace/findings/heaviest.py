"""What is slow under the leading bucket of a trace that a profiler alone recorded, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..attribution.run import PROFILER_ONLY
from ..dataset.event_store import EventStore
from ..dataset.profiles import NamedTime
from ..dataset.thread_time import Heaviest
from .model import Verdict
from .run_model import RunSummary

MOST, LEAST = 3, 0.01
GPU_BUCKETS = frozenset(("renderer_gpu", "gpu_compute", "gpu_copies", "policy", "unexplained"))
"""Under these the GPU's operations come first; under the others what the loop thread waited in."""


def gpu_operations(store: EventStore, pids: frozenset[int] | None) -> tuple[NamedTime, ...]:
    """GPU work by name that these processes (None: all) submitted, the most first; of overlapping ones each counts."""
    sums, counts = Counter[str](), Counter[str]()
    for batch in store.batches("gpu_ops", ("name", "pid", "start_ns", "end_ns")):
        columns = (batch.column(name).to_pylist() for name in ("name", "pid", "start_ns", "end_ns"))
        for name, pid, start, end in zip(*columns):
            if pids is None or not pid or pid in pids:
                sums[name] += end - start
                counts[name] += 1
    order = sorted(sums, key=lambda name: (-sums[name], name))[:MOST]
    return tuple(NamedTime(name, counts[name], sums[name]) for name in order)


def with_heaviest(verdict: Verdict, runs: Sequence[RunSummary]) -> Verdict:
    """The verdict with what is slow, by name; as it is where that is said, or where motrace recorded the runs."""
    chosen = [run for run in runs if run.run_id in verdict.runs and run.mode == PROFILER_ONLY]
    if verdict.heaviest or verdict.leading is None or not chosen:
        return verdict
    wall_ns = sum(run.recording_wall_ns for run in chosen)
    traces = [run.trace for run in chosen if run.trace is not None]
    work = ((one.name, one.total_ns) for trace in traces for one in trace.gpu_operations)
    waits = ((one.name, one.total_ns) for trace in traces for one in trace.waits)
    found = _first(waits, wall_ns)
    if verdict.leading.bucket in GPU_BUCKETS:
        found = _first(work, wall_ns) + found[:1]
    return replace(verdict, heaviest=found)


def _first(named: Iterable[tuple[str, int]], wall_ns: int) -> tuple[Heaviest, ...]:
    sums: Counter[str] = Counter()
    for name, ns in named:
        sums[name] += ns
    order = sorted(sums, key=lambda name: (-sums[name], name))[:MOST]
    return tuple(
        Heaviest(name, sums[name] / wall_ns, sums[name] / 1e9)
        for name in order
        if wall_ns and sums[name] >= LEAST * wall_ns
    )
