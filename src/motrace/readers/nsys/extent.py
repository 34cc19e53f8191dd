"""From when to when the events of an Nsight Systems export last, and which thread calls the GPU's APIs most.

Metadata can't be relied on: ANALYSIS_DETAILS may be missing, or shorter than what was recorded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .calls import APIS, OPS
from .scheduling import SAMPLES, SCHED
from .source import NULL, READ_ERRORS, Query
from .stream import results
from .trace import NsysTrace, one_line, pid_of, tid_of

LONGEST_NS = 10**9 * 3600 * 24 * 30
"""No trace is longer: a time beyond it is damage."""
GPU_APIS = ("cuda", "vulkan")


@dataclass(frozen=True)
class Extent:
    """``events_ns`` is from when to when there are events, None if there are none.

    ``busiest`` is the (pid, tid, api) that was longest in calls of CUDA or Vulkan, which submit work and wait for it.
    """

    events_ns: tuple[int, int] | None
    busiest: tuple[int, int, str] | None


def extent(trace: NsysTrace, nvtx: pa.Table) -> Extent:
    """The extent of a trace's events, those in ``nvtx`` among them; a damaged table becomes a warning."""
    edges: list[int] = []
    inside: Counter[tuple[int, str]] = Counter()
    gpu_calls = {api.table: api.api for api in APIS if api.api in GPU_APIS}
    queries = [api.query() for api in APIS] + [Query(ops.table, ints=("start", "end")) for ops in OPS]
    queries += [Query(SCHED, ints=("start",)), Query(SAMPLES, ints=("start",))]
    for query in queries:
        try:
            for batch in results(trace, query, lambda batch: batch):
                start = batch["start"]
                end = batch["end"] if "end" in query.ints else start
                good = (np.abs(start) < LONGEST_NS) & (np.abs(end) < LONGEST_NS) & (end >= start)
                if good.any():
                    edges += [int(start[good].min()), int(end[good].max())]
                if query.table in gpu_calls:
                    owner, length = batch["globalTid"][good], (end - start)[good]
                    for one in np.unique(owner[owner != NULL]).tolist():
                        inside[one, gpu_calls[query.table]] += int(length[owner == one].sum()) + 1
        except READ_ERRORS as error:
            trace.warn(f"{query.table} is damaged: {one_line(error)}")
    if nvtx.num_rows:
        edges += [pc.min(nvtx.column("start_ns")).as_py(), pc.max(nvtx.column("end_ns")).as_py()]
    busiest = min(inside, key=lambda one: (-inside[one], one), default=None)
    who = None if busiest is None else (pid_of(busiest[0]), tid_of(busiest[0]), busiest[1])
    return Extent((min(edges), max(edges)) if edges else None, who)
