"""A trace alone: what the loop thread's own calls say that it waited for, and what its GPU did."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.labelled.kinds import KINDS, made, verdicts

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
