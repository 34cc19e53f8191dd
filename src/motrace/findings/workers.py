"""Who worked while the loop thread was in a phase: threads of the process and child processes, by their CPU clocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..attribution.cpu_clock_bounds import usage
from ..attribution.run import RunAnalysis
from ..vocabulary import RECORDING_SEGMENTS
from .values import Worker

MOST = 12
LEAST_SHARE = 0.01
"""A worker that used less of loop and drain than this is left out."""


def run_workers(analysis: RunAnalysis, recording_ns: int) -> tuple[Worker, ...]:
    """The workers of loop and drain, phase by phase; point estimates, the busiest first."""
    log, spans = analysis.recording.cpu_log, analysis.spans
    if log is None:
        return ()
    segments = [one for one in analysis.segments if one.name in RECORDING_SEGMENTS]
    outermost = (spans.parent < 0) | spans.is_frame[np.maximum(spans.parent, 0)]
    mine = outermost & ~spans.is_frame & (spans.tid == log.tid)
    within = [(spans.start_ns >= one.start_ns) & (spans.end_ns <= one.end_ns) for one in segments]
    rows = np.flatnonzero(mine & np.any(within, axis=0)) if within else np.empty(0, np.int64)
    phases = np.array(spans.name, object)[rows]
    found = []
    for member in log.members:
        used = usage(member, spans.start_ns[rows], spans.end_ns[rows], log.cores, log.tick_ns).est_ns
        for phase in dict.fromkeys(phases.tolist()):
            ns = round(float(used[phases == phase].sum()))
            role = analysis.roles[member.slot]
            found.append(Worker(phase, member.name, member.library, role, member.is_child, 1, ns))
    return merged(found, recording_ns)


def merged(workers: Iterable[Worker], recording_ns: int) -> tuple[Worker, ...]:
    """Workers of one name in one phase as one; those that used too little left out."""
    sums: dict[tuple[str, str, str, str, bool], list[int]] = {}
    for one in workers:
        key = (one.phase, one.name, one.library, one.role, one.is_child)
        total = sums.setdefault(key, [0, 0])
        total[0] += one.count if one.cpu_ns else 0
        total[1] += one.cpu_ns
    every = [Worker(*key, count, ns) for key, (count, ns) in sums.items() if ns > LEAST_SHARE * recording_ns]
    return tuple(sorted(every, key=lambda one: (-one.cpu_ns, one.phase, one.name))[:MOST])
