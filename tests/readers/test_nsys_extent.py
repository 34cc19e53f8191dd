"""A trace without our spans: all of its events count, and its loop thread is the one that works with the GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from motrace import analysis
from motrace.report.say import advice
from tests.conftest import SHARED
from tests.readers.exports import Export
from tests.reports import buckets, events

MS = 1_000_000


def waits_for_kernels(duration: int | None, shift: int = 0, ranges: bool = False) -> Export:
    """Four kernels of 90 ms in 400 ms, each awaited; and a thread that only starts something."""
    export = Export()
    if duration is not None:
        export.add("ANALYSIS_DETAILS", duration=duration, startTime=0, stopTime=duration)
    for number in range(4):
        start = shift + number * 100 * MS
        export.call(start, start + 2 * MS, "cudaLaunchKernel", number + 1)
        export.call(start + 4 * MS, start + 94 * MS, "cudaDeviceSynchronize", number + 11)
        export.kernel(start + 4 * MS, start + 94 * MS, "draw", number + 1)
        export.call(start, start + MS, "cudaMalloc", number + 21, tid=71)
    if ranges:
        export.range(shift + 100 * MS, shift + 200 * MS, "work")
    return export


@pytest.mark.parametrize("form", ["sqlite", "parquet"])
@pytest.mark.parametrize(
    ("duration", "shift", "ranges"),
    [(500 * MS, 50 * MS, False), (None, 50 * MS, False), (200 * MS, 50 * MS, False), (500 * MS, -50 * MS, False),
     (10 * MS, 0, True)],
)  # fmt: skip
def test_no_event_is_lost_whatever_the_metadata_say(
    tmp_path: Path, form: str, duration: int | None, shift: int, ranges: bool
) -> None:
    report = analysis.load(waits_for_kernels(duration, shift, ranges).write(tmp_path / "x", form)).report
    (run,) = report.runs
    assert run.trace is not None
    assert (events(run)["gpu_ops"], events(run)["api_calls"]) == (4, 12)
    assert sum(row.operations for row in run.trace.gpu_phases) == 4
    assert run.residual_ns == 0
    begin, end = min(shift, shift if duration is None else 0), max(duration or 0, shift + 394 * MS)
    assert run.run_wall_ns == end - begin
    leading = report.verdict.leading
    assert leading is not None and (leading.bucket != "unexplained" or not report.verdict.certain)
    if not ranges:
        policy = buckets(run)["policy"].time
        assert policy.lo_ns == pytest.approx(4 * 90 * MS, rel=0.01) and policy.hi_ns < 4 * 95 * MS
        assert report.verdict.certain and leading.bucket == "policy"
    advised = (report.verdict.advice, report.verdict.settle)
    assert not any("Nsight Systems" in advice(one) for one in advised if one is not None)


def test_the_cases_that_were_wrong() -> None:
    folder = SHARED / "fixtures/cases"
    if not folder.is_dir():
        pytest.skip("no fixtures here")
    for name, wall in (("nsys_no_nvtx_sync", 6.0), ("nsys_no_nvtx_no_analysis_details", 3.96)):
        report = analysis.load(folder / f"{name}.sqlite").report
        (run,) = report.runs
        assert events(run) == {"gpu_ops": 4, "api_calls": 8}
        assert run.recording_wall_ns == wall * 1e9
        assert report.verdict.leading is not None
        assert report.verdict.leading.lo_share * wall == pytest.approx(3.83, abs=0.01)


def test_a_trace_without_any_call_is_not_certain_of_anything(tmp_path: Path) -> None:
    export = Export()
    export.kernel(10 * MS, 20 * MS, "draw")
    verdict = analysis.load(export.write(tmp_path / "x", "sqlite")).report.verdict
    leading = verdict.leading
    assert leading is not None and not verdict.certain
    assert (leading.bucket, leading.lo_share) == ("unexplained", 0)
