"""The readers of our own logs take whatever is left of them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import motrace
from motrace.analysis import load
from motrace.errors import MotraceError
from motrace.readers.cpu import CpuLogFile
from motrace.readers.progress import SpanTail
from motrace.readers.run import load_run
from motrace.readers.spans import SpanLogFile
from motrace.record.wordlog import HEADER_WORDS
from tests.reports import said


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with CPU clocks, segments, frames and spans."""
    folder = motrace.start(tmp_path_factory.mktemp("recorded") / "run")
    motrace.segment("loop")
    for _ in range(20):
        with motrace.frame(), motrace.span("step"):
            sum(range(2000))
    motrace.segment("shutdown")
    motrace.stop()
    return folder


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_log_cut_off_anywhere_is_read_up_to_there(recorded: Path, data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        for kind, pattern in (("spans", "spans-*.bin"), ("cpu", "cpu-*.bin")):
            source = only(recorded, pattern).read_bytes()
            keep = data.draw(st.integers(0, len(source)), label=kind)
            (folder / only(recorded, pattern).name).write_bytes(source[:keep])
        with contextlib.suppress(MotraceError):  # where too little is left
            found = load(folder)
            assert all(run.residual_ns == 0 for run in found.report.runs)
    finally:
        shutil.rmtree(folder)


@settings(max_examples=150, deadline=None)
@given(words=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60), data=st.data())
def test_garbage_after_the_header_does_no_harm(recorded: Path, words: list[int], data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        for pattern in ("spans-*.bin", "cpu-*.bin"):
            source = only(recorded, pattern)
            content = np.frombuffer(source.read_bytes(), np.int64).copy()
            at = data.draw(st.integers(HEADER_WORDS, max(HEADER_WORDS, len(content) - len(words))))
            content[at : at + len(words)] = words[: len(content) - at]
            (folder / source.name).write_bytes(content.tobytes())
        with contextlib.suppress(MotraceError):
            found = load(folder)
            assert all(run.residual_ns == 0 for run in found.report.runs)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut off in its header"),
        (b"x" * 100, "cut off in its header"),
        (b"not a log at all " * 100, "is no"),
    ],
)
@pytest.mark.parametrize("read", [SpanLogFile.read, CpuLogFile.read])
def test_what_is_no_log_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str, read) -> None:
    path = tmp_path / "spans-1-1.bin"
    path.write_bytes(content)
    with pytest.raises(MotraceError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_another_format_is_refused(recorded: Path, tmp_path: Path) -> None:
    words = np.frombuffer(only(recorded, "spans-*.bin").read_bytes(), np.int64).copy()
    words[1] = 99
    (tmp_path / "spans-1-1.bin").write_bytes(words.tobytes())
    with pytest.raises(MotraceError, match="has format 99"):
        SpanLogFile.read(tmp_path / "spans-1-1.bin")


def test_a_bad_log_beside_a_good_one_is_a_warning(recorded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    (folder / "spans-9-9.bin").write_bytes(b"broken")
    report = load(folder).report
    assert any("spans-9-9.bin is cut off" in text for text in said(report))
    assert report.runs[0].frames == 20


def test_without_cpu_clocks_time_is_unexplained_and_said_so(recorded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    only(folder, "cpu-*.bin").unlink()
    report = load(folder).report
    (run,) = report.runs
    assert run.residual_ns == 0
    assert run.unexplained_ns == run.recording_wall_ns
    assert any("no CPU clocks" in text for text in said(report))
    assert any("unexplained" in text for text in said(report))


def test_the_tail_follows_a_log_as_it_grows(tmp_path: Path) -> None:
    import os

    tail = SpanTail(motrace.start(tmp_path / "run", cpu_clocks=False), os.getpid())
    seen = [tail.update()]
    for _ in range(3):
        for _ in range(2500):  # beyond the first chunk
            with motrace.frame(), motrace.span("a new name"):
                pass
        seen.append(tail.update())
    with motrace.span("outer"), motrace.span("inner"):
        assert tail.where() == " (open: outer > inner)"
    motrace.stop()
    assert seen == [0, 2500, 5000, 7500]
    assert tail.idle_s() < 60


def test_open_spans_of_a_run_that_ended_are_none(recorded: Path) -> None:
    log = load_run(recorded).loop_log
    assert log is not None and log.open_names() == []
