"""From when to when the events of an Nsight Systems export last, and which thread calls the GPU's APIs most.

Metadata can't be relied on: ANALYSIS_DETAILS may be missing, or shorter than what was recorded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ...dataset.tables import RunKey
from ...vocabulary import GPU_APIS
from ..times import LATEST_NS, near_most
from .calls import APIS, OPS
from .enums import NVTX_KINDS
from .nvtx import TABLE as NVTX
from .placement import Context
from .scheduling import SAMPLES, SCHED
from .source import NULL, READ_ERRORS, Ints, Query
from .stream import results
from .trace import NsysTrace, one_line, pid_of, tid_of

MINUTE_NS = 60 * 10**9


@dataclass(frozen=True)
class Extent:
    """``events_ns`` is from when to when there are events, None if there are none.

    ``busiest`` is the (pid, tid, api) that was longest in calls of CUDA or Vulkan, which submit work and wait for it.
    """

    events_ns: tuple[int, int] | None
    busiest: tuple[int, int, str] | None


@dataclass
class _Minutes:
    """Events by the minute in which they begin: how many, the first begin, the last end."""

    count: Counter[int] = field(default_factory=Counter)
    edges: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, start: Ints, end: Ints) -> None:
        """Count events."""
        minute, which, counts = np.unique(start // MINUTE_NS, return_inverse=True, return_counts=True)
        first, last = np.full(len(minute), LATEST_NS), np.full(len(minute), -LATEST_NS)
        np.minimum.at(first, which, start)
        np.maximum.at(last, which, end)
        for one, number, begin, finish in zip(*(column.tolist() for column in (minute, counts, first, last))):
            before = self.edges.get(one, (begin, finish))
            self.count[one] += number
            self.edges[one] = min(before[0], begin), max(before[1], finish)

    def extent(self) -> tuple[tuple[int, int] | None, int]:
        """The first begin and the last end of what is near to most, and how many events are not."""
        if not self.count:
            return None, 0
        minutes = np.array(sorted(self.count))
        weight = np.array([self.count[one] for one in minutes.tolist()])
        near = minutes[near_most(minutes * MINUTE_NS, weight)].tolist()
        edges = [self.edges[one] for one in near]
        extent = min(begin for begin, _ in edges), max(end for _, end in edges)
        return extent, sum(self.count.values()) - sum(self.count[one] for one in near)


def extent(trace: NsysTrace) -> Extent:
    """The extent of a trace's events; a damaged table becomes a warning, and so do events far from all others."""
    minutes = _Minutes()
    inside: Counter[tuple[int, str]] = Counter()
    gpu_calls = {api.table: api.api for api in APIS if api.api in GPU_APIS}
    queries = [api.query() for api in APIS] + [Query(ops.table, ints=("start", "end")) for ops in OPS]
    queries += [Query(SCHED, ints=("start",)), Query(SAMPLES, ints=("start",))]
    queries += [Query(NVTX, ints=("start", "end"), among={"eventType": tuple(NVTX_KINDS)})]
    context = Context(trace, RunKey("", ""), lambda times: times)  # counts what convert will say
    for query in queries:
        try:
            for batch in results(trace, query, lambda batch: batch):
                start = batch["start"]
                end = batch["end"] if "end" in query.ints else start
                good = context.timed(query.table, start, end)
                end = np.where(end == NULL, start, end)
                minutes.add(start[good], end[good])
                if query.table in gpu_calls:
                    owner, length = batch["globalTid"][good], (end - start)[good]
                    for one in np.unique(owner[owner != NULL]).tolist():
                        inside[one, gpu_calls[query.table]] += int(length[owner == one].sum()) + 1
        except READ_ERRORS as error:
            trace.warn(f"{query.table} is damaged: {one_line(error)}")
    events_ns, far = minutes.extent()
    if far:
        trace.warn(f"{far:,} rows whose times lie far from all others are left out")
    busiest = min(inside, key=lambda one: (-inside[one], one), default=None)
    who = None if busiest is None else (pid_of(busiest[0]), tid_of(busiest[0]), busiest[1])
    return Extent(events_ns, who)


def recording_end(trace: NsysTrace) -> int | None:
    """When it ended: as ANALYSIS_DETAILS says, else with its last event; None if it has none."""
    if trace.duration_ns is None and not trace.ended:
        events_ns = extent(trace).events_ns
        trace.ended = (events_ns[1],) if events_ns is not None else (None,)
    return trace.duration_ns if trace.duration_ns is not None else trace.ended[0]
