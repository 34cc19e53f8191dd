"""A trace alone: what the loop thread's own calls say that it waited for, and what its GPU did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.labelled.kinds import KINDS, made, verdicts
from benchmarks.labelled.nsys_export import NsysBuilder, Rank
from motrace.report.sections.answer import verdict as said

CASES = [
    # A kernel runs while the thread waits in a call of CUDA: exact, and no other worker can explain that time.
    ("export, ranges", 0, "gpu_compute", True),
    ("export, ranges", 1, "gpu_copies", True),
    ("export, two ranks", 6, None, False),  # no row of its own GPU: another rank's explains nothing
    ("export, ranges", 11, "pacing", True),
    ("export, ranges", 5, None, False),  # a sleep that no table shows
    ("export, no ranges", 3, "python_overhead", False),
    ("export, noise", 2, "gpu_copies", True),  # the only range, of loading, is not the loop
    ("Kineto, ROCm", 1, "gpu_copies", True),
    ("Kineto, other vendors", 4, "gpu_copies", True),  # MTIA: names and categories of its own
    ("Kineto, no annotations", 10, "python_overhead", False),  # operators show that the thread ran
    ("Kineto, no annotations", 11, "pacing", True),  # Python's sleep has a name
]


@pytest.mark.parametrize(("name", "number", "bucket", "certain"), CASES)
def test_the_verdict_on_a_trace_alone(
    name: str, number: int, bucket: str | None, certain: bool, tmp_path: Path
) -> None:
    kind = next(one for one in KINDS if one.name == name)
    made(kind, number, 1, tmp_path / "case")
    (verdict,) = verdicts(tmp_path / "case", tmp_path)
    assert verdict is not None and verdict.leading is not None
    leads = verdict.leading.bucket
    assert (None if leads == "unexplained" else leads, verdict.certain) == (bucket, certain)
    assert verdict.leading.hi_share <= 1
    if certain:  # what the thread asked for is known from below and from above
        assert verdict.leading.lo_share > 0.9 * verdict.leading.share


def test_copies_that_cover_a_trace_lead_it(tmp_path: Path) -> None:
    """The thread only submits: nothing says what it does, and the device copies for nearly all the time."""
    made_up, rank, step = NsysBuilder(np.random.default_rng(1), ()), Rank(700), 4_000_000
    for number in range(200):
        start = 155_000_000_000 + number * step  # long after the session began
        copy = made_up.call(rank, start, start + 9_000, "cudaMemcpyAsync_v3020")
        made_up.operation(rank, start + 100_000, start + step - 50_000, copy, copy=1)
        made_up.operation(
            rank, start, start + 40_000, made_up.call(rank, start + 9_000, start + 12_000, "cudaLaunchKernel")
        )
    made_up.describe((rank,), 160_000_000_000)
    (tmp_path / "case").mkdir()
    made_up.write(tmp_path / "case" / "report.sqlite")
    (verdict,) = verdicts(tmp_path / "case", tmp_path)
    assert verdict is not None and verdict.leading is not None
    assert (verdict.leading.bucket, verdict.open, verdict.certain) == ("gpu_copies", False, False)
    (gpu,) = verdict.gpus
    assert (gpu.extent_ns, gpu.kernels_ns, gpu.copies_ns) == (200 * step - 50_000, 200 * 40_000, 200 * (step - 150_000))
    (flow,) = gpu.copies
    assert (flow.name, flow.operations, flow.bytes) == ("Host-to-Device", 200, 25 * gpu.copies_ns)
    assert any("Host-to-Device 770.000 ms (19.2 GB at 25.0 GB/s)" in one.text for one in said(verdict))
