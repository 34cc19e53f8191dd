"""A trace without our spans: all of its events count, and its loop thread is the one that works with the GPU."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from motrace import analysis
from motrace.readers.nsys.export import convert, open_trace
from motrace.report.say import advice
from tests.conftest import SHARED
from tests.readers.exports import KEY, Export, gid
from tests.reports import buckets, events, said

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
        compute = buckets(run)["gpu_compute"].time
        assert compute.lo_ns == pytest.approx(4 * 90 * MS, rel=0.01)
        assert report.verdict.certain and leading.bucket == "gpu_compute"
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


@pytest.mark.parametrize("form", ["sqlite", "parquet"])
def test_what_is_open_lasts_until_the_last_event_without_metadata(tmp_path: Path, form: str) -> None:
    export = waits_for_kernels(None, 50 * MS)
    export.range(100 * MS, None, "open")
    for start, goes_in in ((60 * MS, 1), (80 * MS, 0), (90 * MS, 1)):
        export.add("SCHED_EVENTS", start=start, globalTid=gid(7, 70), isSchedIn=goes_in, threadState=1)
    trace = open_trace(export.write(tmp_path / "x", form), tmp_path)
    rows = convert(trace, KEY, tmp_path / "out", lambda times: times)
    assert rows["thread_states"] == 3 and rows["nvtx"] == 1
    ends = [pq.read_table(tmp_path / f"out/{name}.parquet")["end_ns"].to_pylist() for name in ("nvtx", "thread_states")]
    assert ends[0] == [444 * MS] and max(ends[1]) == 444 * MS


@pytest.mark.parametrize("duration", [500 * MS, None])
def test_rows_with_impossible_times_are_left_out_with_a_warning(tmp_path: Path, duration: int | None) -> None:
    day = 86_400 * 1000 * MS
    export = waits_for_kernels(duration, 50 * MS)
    for start, end in ((0, 0), (300 * MS, 200 * MS), (60 * MS, 60 * MS + 2 * day), (20 * day, 20 * day + 5)):
        export.kernel(start, end, "stray")
    report = analysis.load(export.write(tmp_path / "x", "sqlite")).report
    (run,) = report.runs
    assert events(run)["gpu_ops"] == 4 and run.run_wall_ns == (duration or 394 * MS)
    for text in ("no usable time", "end before they begin", "longer than a day", "far from all others"):
        assert [one for one in said(report) if text in one and "1 rows" in one], text


def test_tables_that_are_not_read_are_named(tmp_path: Path) -> None:
    export = waits_for_kernels(500 * MS)
    for table in ("CUPTI_ACTIVITY_KIND_KERNEL_V2", "OPENGL_API", "OPENGL_API", "A_TABLE_OF_TOMORROW"):
        export.add(table, start=1, end=2)
    for table in ("TARGET_INFO_GPU_V2", "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", "CUDA_CALLCHAINS"):
        export.add(table, start=1, id=3)
    (text,) = [one for one in said(analysis.load(export.write(tmp_path / "x", "sqlite")).report) if "not read" in one]
    assert text.endswith(": A_TABLE_OF_TOMORROW (1 rows), CUPTI_ACTIVITY_KIND_KERNEL_V2 (1 rows), OPENGL_API (2 rows)")


@pytest.mark.parametrize(
    ("folder", "named"),
    [("/opt/nvidia/nsight-systems-cli/2023.4.1/target-linux-x64", "recorded by Nsight Systems 2023.4.1 alone"),
     ("/usr/lib/nsight-systems/target-linux-x64", "version not known; exported by 2026.2.1.210"),
     (None, "version not known; exported by 2026.2.1.210")],
)  # fmt: skip
def test_the_recorder_is_not_the_exporter(tmp_path: Path, folder: str | None, named: str) -> None:
    export = waits_for_kernels(500 * MS)
    export.add("TARGET_INFO_SYSTEM_ENV", name="Hostname", nameEnum=5, value="box-2020.1.1")
    if folder:
        export.add("TARGET_INFO_SYSTEM_ENV", name="TargetInstallDir", nameEnum=170, value=folder)
    texts = said(analysis.load(export.write(tmp_path / "x", "sqlite")).report)
    assert any(named in text for text in texts) and not any("box-" in text or "/opt/" in text for text in texts)
