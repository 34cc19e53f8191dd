"""Summaries straight from an export are those of its events, whatever their format, names and lengths."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motrace.commands import analyze
from motrace.readers.nsys.export import open_trace
from motrace.readers.nsys.stats import SCHEMA, summaries
from motrace.readers.times import DAY_NS

from .exports import FORMATS, Export, everything, gid

LENGTHS = st.one_of(st.integers(0, 50), st.integers(0, DAY_NS))
CALLS = st.lists(st.tuples(st.sampled_from(("read", "write", "open", "")), LENGTHS), max_size=14)


@pytest.mark.parametrize("form", FORMATS)
def test_everything_has_its_row(tmp_path: Path, form: str) -> None:
    table = summaries(open_trace(everything().write(tmp_path / "in", form), tmp_path))
    assert table.schema == SCHEMA
    rows = {(row["summary"], row["kind"], row["name"]): (row["count"], row["total_ns"]) for row in table.to_pylist()}
    assert rows == {
        ("nvtx", "range", "outer"): (2, 200),
        ("nvtx", "range", "train domain:train inner"): (1, 40),
        ("nvtx", "range", "other domain:other inner"): (1, 40),
        ("cuda", "call", "cudaLaunchKernel"): (2, 20),  # not four: those with a backtrace are there twice
        ("cuda", "call", "cudaMemcpy"): (2, 60),
        ("osrt", "call", "futex"): (2, 200),
        ("vulkan", "call", "vkCmdDraw"): (1, 5),
        ("vulkan", "call", "vkQueueSubmit"): (1, 5),
        ("vulkan", "call", "vkWaitForFences"): (1, 5),
        ("gpu", "kernel", "kernel<int>(float*)"): (2, 33 + 32),
        ("gpu", "memcpy", "Device-to-Host"): (2, 30),
        ("gpu", "graphics", "vkQueueSubmit"): (1, 100),
    }


@settings(max_examples=40, deadline=None)
@given(CALLS)
def test_numbers_are_those_of_the_lengths(calls: list[tuple[str, int]]) -> None:
    """Lengths from 0 to 18 years: those that don't fit into one number with the name's are sorted otherwise."""
    export = Export()
    for number, (name, length) in enumerate(calls):
        export.osrt(number, number + length, name)
    with tempfile.TemporaryDirectory() as folder:
        table = summaries(open_trace(export.write(Path(folder) / "in", "sqlite"), Path(folder)))
    rows = {row["name"]: row for row in table.to_pylist()}
    assert set(rows) == {name for name, _ in calls}
    for name, row in rows.items():
        lengths = [length for other, length in calls if other == name]
        assert (row["count"], row["total_ns"]) == (len(lengths), sum(lengths))
        assert (row["min_ns"], row["max_ns"]) == (min(lengths), max(lengths))
        assert row["mean_ns"] == pytest.approx(statistics.fmean(lengths))
        assert row["median_ns"] == pytest.approx(statistics.median(lengths))
        deviation = statistics.stdev(lengths) if len(lengths) > 1 else 0.0
        assert row["std_ns"] == pytest.approx(deviation, rel=1e-6, abs=1e-3)
        assert row["share"] == pytest.approx(sum(lengths) / max(1, sum(length for _, length in calls)))
    totals = [row["total_ns"] for row in table.to_pylist()]
    assert totals == sorted(totals, reverse=True)


def test_ranges_that_never_end_and_rows_without_time(tmp_path: Path) -> None:
    export = Export()
    export.add("ANALYSIS_DETAILS", globalVid=gid(0), duration=1000, startTime=0, stopTime=1000)
    export.range(100, None, "open", 7, 70)
    export.range(1 << 61, (1 << 61) + 5, "far", 7, 70)
    export.range(500, 400, "backwards", 7, 70)
    trace = open_trace(export.write(tmp_path / "in", "sqlite"), tmp_path)
    rows = {row["name"]: row["total_ns"] for row in summaries(trace).to_pylist()}
    assert rows == {"open": 900}
    assert [text for text in trace.warnings if "no usable time" in text and "1 rows" in text]
    assert [text for text in trace.warnings if "end before they begin" in text and "1 rows" in text]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything().write(tmp_path / "in", "sqlite")
    (tmp_path / "in" / "bad.sqlite").write_bytes(b"x" * 5000)
    out = tmp_path / "out"
    assert analyze.main([str(tmp_path / "in"), "--sums", "--out", str(out)]) == 1  # the damaged one
    said = capsys.readouterr()
    assert "train domain:train inner" in said.out and "Device-to-Host" in said.out
    assert said.err.count("\n") == 1 and "bad.sqlite" in said.err
    header, *rows = (out / "sums.csv").read_text().splitlines()
    assert header.replace('"', "").split(",") == ["trace", *SCHEMA.names] and len(rows) == 12
    assert not (tmp_path / "in" / "analysis").exists()


def test_command_without_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main([str(tmp_path), "--sums"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
