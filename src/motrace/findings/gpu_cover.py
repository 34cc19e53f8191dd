"""How much of a run its GPUs were busy, with what: kernels, and copies by direction, with bytes and speed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..arrays import Array
from ..attribution.gpu import GpuOps
from ..attribution.run import RunAnalysis
from ..dataset.event_store import codes, integers, submitted_by
from .profile_model import CopyFlow, GpuCover


def gpu_covers(analysis: RunAnalysis) -> tuple[GpuCover, ...]:
    """One for each device that worked for the loop's processes, kernels and copies; the busiest first."""
    trace = analysis.trace
    if trace is None:
        return ()
    rows = trace.store.load(
        "gpu_ops", ("device", "kind", "name", "start_ns", "end_ns", "bytes"), where=submitted_by(trace.pids)
    )
    device = integers(rows, "device")
    extent_ns = analysis.segments[-1].end_ns
    found = [_cover(rows.filter(pa.array(device == one)), int(one), extent_ns) for one in np.unique(device)]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -one.busy_ns))


def _cover(rows: pa.Table, device: int, extent_ns: int) -> GpuCover | None:
    kind, kinds = codes(rows, "kind")
    name, names = codes(rows, "name")
    start, end = (np.clip(integers(rows, column), 0, extent_ns) for column in ("start_ns", "end_ns"))
    size = integers(rows, "bytes", 0)
    copying = np.isin(kind, [code for code, word in enumerate(kinds) if word in ("memcpy", "memset")])
    computing = np.isin(kind, [code for code, word in enumerate(kinds) if word == "kernel"])
    if not (copying | computing).any():
        return None
    flows = [
        CopyFlow(str(names[one]), int(mine.sum()), _busy(start[mine], end[mine]), int(size[mine].sum()))
        for one in np.unique(name[copying])
        for mine in (copying & (name == one),)
    ]
    mine = copying | computing
    return GpuCover(
        device=device,
        extent_ns=extent_ns,
        busy_ns=_busy(start[mine], end[mine]),
        kernels_ns=_busy(start[computing], end[computing]),
        copies_ns=_busy(start[copying], end[copying]),
        copies=tuple(sorted(flows, key=lambda one: (-one.ns, one.name))),
    )


def _busy(start: Array, end: Array) -> int:
    return sum(found.total_ns for found in GpuOps(np.zeros(len(start), np.int64), start, end, start).busy().values())
