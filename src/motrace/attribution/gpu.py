"""What GPUs did, by phase and by frame: launched here, ran there, idle between.

Work of one device that overlaps counts once: busy time is a union, never a sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..timeline.intervals import Intervals
from .pieces import Pieces

MISSING = -1


@dataclass(frozen=True)
class GpuOps:
    """Operations of the GPUs, as parallel int64 arrays; times on the pieces' clock, ns.

    ``launch_ns`` is before every piece where the launching call is not in the trace.
    """

    device: Array
    start_ns: Array
    end_ns: Array
    launch_ns: Array

    def __len__(self) -> int:
        return len(self.start_ns)

    def rows(self, chosen: Array) -> GpuOps:
        """Some of them."""
        return GpuOps(self.device[chosen], self.start_ns[chosen], self.end_ns[chosen], self.launch_ns[chosen])

    def busy(self) -> dict[int, Intervals]:
        """For each device, when it did at least one of them."""
        return {
            int(device): Intervals.union(self.start_ns[self.device == device], self.end_ns[self.device == device])
            for device in np.unique(self.device)
        }


@dataclass(frozen=True)
class PhaseWork:
    """GPU time of one phase, summed over devices, each of which counts at most once at a time."""

    phase: str
    operations: int
    launched_ns: int
    ran_ns: int


def work_by_phase(ops: GpuOps, pieces: Pieces) -> list[PhaseWork]:
    """For each phase: operations launched in it and their busy time, and busy time while it lasted.

    The launching call decides where an operation was launched, whichever thread made it. Operations
    whose call is not in the trace are in the phase ``unattributed``.
    """
    phases = np.array(pieces.phase, object)
    piece = np.searchsorted(pieces.start_ns, ops.launch_ns, side="right") - 1
    inside = piece >= 0
    inside[inside] = ops.launch_ns[inside] < pieces.end_ns[piece[inside]]
    launched_in = np.where(inside, phases[np.maximum(piece, 0)], "unattributed")
    busy = ops.busy()
    out = []
    for phase in dict.fromkeys([*pieces.phase, "unattributed"]):
        mine = launched_in == phase
        launched = sum(found.total_ns for found in ops.rows(mine).busy().values()) if mine.any() else 0
        rows = phases == phase
        ran = sum(int(found.within(pieces.start_ns[rows], pieces.end_ns[rows]).sum()) for found in busy.values())
        if mine.any() or ran:
            out.append(PhaseWork(phase, int(mine.sum()), launched, ran))
    return out


@dataclass(frozen=True)
class FrameWork:
    """GPU and CPU in each frame, parallel arrays, ns.

    ``busy_ns``: at least one GPU worked. ``wait_ns``: the loop thread was off its core meanwhile.
    ``gap_ns``: from the end of the frame's last operation to the begin of the next frame's first,
    MISSING where one of them has none. ``serialisation``: 1 - both / min(GPU, CPU), where CPU is
    when any thread of the run was on a core: 1 if they alternated, 0 if the shorter one was hidden
    behind the longer, NaN where one of them did nothing or is not known.
    """

    busy_ns: Array
    wait_ns: Array
    gap_ns: Array
    serialisation: Array


def work_by_frame(
    gpu: Intervals, frame_start_ns: Array, frame_end_ns: Array, off_core: Intervals | None, cpu: Intervals | None
) -> FrameWork:
    """See FrameWork. ``gpu`` is when a GPU (or a software rasterizer) worked, ``cpu`` when anyone else did."""
    busy = gpu.within(frame_start_ns, frame_end_ns)
    wait = (gpu & off_core).within(frame_start_ns, frame_end_ns) if off_core is not None else np.zeros_like(busy)
    first = np.searchsorted(gpu.start_ns, frame_start_ns)
    last = np.searchsorted(gpu.start_ns, frame_end_ns) - 1
    has = last >= first
    gap = np.full(len(busy), MISSING)
    for index in range(len(busy) - 1):
        if has[index] and has[index + 1]:
            gap[index] = max(0, int(gpu.start_ns[first[index + 1]] - gpu.end_ns[last[index]]))
    ratio = np.full(len(busy), np.nan)
    if cpu is not None:
        other = cpu.within(frame_start_ns, frame_end_ns)
        both = (gpu & cpu).within(frame_start_ns, frame_end_ns)
        shorter = np.minimum(busy, other)
        ratio = np.where(shorter > 0, 1.0 - both / np.maximum(shorter, 1), np.nan)
    return FrameWork(busy, wait, gap, ratio)
