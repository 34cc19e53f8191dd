"""GPU work by phase and by frame."""

from __future__ import annotations

import numpy as np

from motrace.attribution.gpu import MISSING, GpuOps, work_by_frame, work_by_phase
from motrace.attribution.pieces import Pieces
from motrace.timeline.intervals import Intervals


def ops(*rows: tuple[int, int, int, int]) -> GpuOps:
    """Of (device, begin, end, launch)."""
    return GpuOps(*np.array(rows, np.int64).reshape(-1, 4).T)


def pieces(*ends: int, phases: tuple[str, ...]) -> Pieces:
    edges = np.array((0, *ends), np.int64)
    zero = np.zeros(len(ends), np.int64)
    return Pieces(edges[:-1], edges[1:], zero, zero, zero, list(phases))


def sets(*pairs: tuple[int, int]) -> Intervals:
    return Intervals.union(*np.array(pairs, np.int64).reshape(-1, 2).T)


def test_launched_here_ran_there() -> None:
    work = work_by_phase(ops((0, 15, 25, 5)), pieces(10, 30, phases=("submit", "wait")))
    assert [(one.phase, one.operations, one.launched_ns, one.ran_ns) for one in work] == [
        ("submit", 1, 10, 0),
        ("wait", 0, 0, 10),
    ]


def test_work_of_one_device_that_overlaps_counts_once_and_devices_add() -> None:
    (work,) = work_by_phase(ops((0, 0, 10, 1), (0, 5, 15, 1), (1, 0, 10, 1)), pieces(20, phases=("wait",)))
    assert (work.launched_ns, work.ran_ns) == (25, 25)


def test_work_without_a_launch_is_unattributed() -> None:
    found = work_by_phase(ops((0, 0, 10, MISSING), (0, 20, 30, 99)), pieces(40, phases=("wait",)))
    by_phase = {one.phase: one for one in found}
    assert by_phase["unattributed"].operations == 2 and by_phase["unattributed"].launched_ns == 20
    assert by_phase["wait"].operations == 0 and by_phase["wait"].ran_ns == 20


def test_frames() -> None:
    gpu, off_core = sets((2, 6), (8, 9), (13, 15)), sets((0, 5), (12, 20))
    work = work_by_frame(gpu, np.array([0, 10]), np.array([10, 20]), off_core, sets((5, 12)))
    assert work.busy_ns.tolist() == [5, 2]
    assert work.wait_ns.tolist() == [3, 2]
    assert work.gap_ns.tolist() == [4, MISSING]
    # Frame 0: GPU 5, CPU 5, together 2. Frame 1: GPU 2, CPU 2, never together.
    assert work.serialisation.tolist() == [1 - 2 / 5, 1.0]


def test_a_frame_without_work_has_no_gap_and_no_ratio() -> None:
    work = work_by_frame(sets((2, 6)), np.array([0, 10]), np.array([10, 20]), None, None)
    assert work.gap_ns.tolist() == [MISSING, MISSING]
    assert np.isnan(work.serialisation).all()
