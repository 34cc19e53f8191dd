"""Refusals say what a file is and what to do; a folder's walk says what it passed over."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from motrace.commands import analyze
from motrace.ingest.file_types import FileType, passed_over
from motrace.ingest.registry import source_of
from tests.readers.kineto import frames, text

SPEEDSCOPE = "https://www.speedscope.app/file-format-schema.json"
FILES: dict[str, tuple[bytes, FileType, str]] = {
    "old.qdrep": (b"\x01\x02", FileType.QDREP, "nsys export -t sqlite -o old.sqlite old.qdrep"),
    "x.NCU-REP": (b"NVR\0", FileType.NCU, "nsys profile"),
    "empty.txt": (b"\n", FileType.EMPTY, "record it again"),
    "flame.svg": (b'<?xml version="1.0"?><svg><text>ERROR: No valid input provided to flamegraph</text></svg>',
                  FileType.FLAME_GRAPH_EMPTY, "profile for longer"),
    "frames.svg": (b'<svg id="frames" total_samples="0"><text id="title">py-spy</text></svg>',
                   FileType.FLAME_GRAPH_EMPTY, "--idle"),
    "perf.svg": (b'<svg><text>Flame Graph</text><g><title>main (9 samples)</title><rect x="1"/></g></svg>',
                 FileType.FLAME_GRAPH, "not py-spy's"),
    "circle.svg": (b"<svg><circle/></svg>", FileType.PICTURE, "a picture"),
    "scalene.json": (b"{}\n", FileType.NOTHING_SEEN, "Scalene"),
    "chrome.json": (b"[ ]", FileType.NO_SAMPLES, "py-spy"),
    "rbspy.json": (json.dumps({"$schema": SPEEDSCOPE, "exporter": "rbspy@1.2"}).encode(), FileType.SPEEDSCOPE,
                   "rbspy@1.2"),
    "mine.json": (b'{"alpha": 1, "beta": {"gamma": 2}}', FileType.JSON, "alpha, beta)"),
    "cut.json": (b'{"alpha": [1, {"beta": ', FileType.JSON, "alpha"),
    "other.json": (b'{"traceEvents": [{"ph": "X", "name": "a", "ts": 1}]}', FileType.TRACE, "perfetto"),
    "none.json": (b'{"traceEvents": []}', FileType.TRACE_EMPTY, "record it again"),
    "report.html": (b"<!DOCTYPE html><html></html>", FileType.PAGE, "its JSON"),
    "perf.folded": (b"main;do_it 3\nmain;sleep 4\n", FileType.STACKS, "py-spy record -f raw"),
    "perf.data": (b"PERFILE2\0\0", FileType.PERF, "perf"),
    "notes.md": (b"# Some notes\n", FileType.OTHER, "neither a folder"),
    "noise": (b"\x80\x00\xff" * 99, FileType.OTHER, "neither a folder"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of these, and a trace that is read."""
    folder = tmp_path_factory.mktemp("files")
    for name, (content, _, _) in FILES.items():
        (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("x", "y")
    (folder / "trace.json").write_text(text(frames()))
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_refusal_says_what_the_file_is_and_names_it_once(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, kind, words = FILES[name]
    found = passed_over(folder / name)
    assert source_of(folder / name) is None and found.why.startswith(kind.value.partition("{")[0])
    assert analyze.main([str(folder / name)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and line.startswith(f"analyze: {folder / name}: ")
    assert line.partition("run `")[0].count(name) == 1


@pytest.mark.parametrize(
    "content",
    [f'{{"$schema": "{SPEEDSCOPE}", "exporter": "py-spy@0.4.0"', '{"schemaVersion": 1, "traceEvents": []}',
     '{"elapsed_time_sec": 1, "files": 5}'],
)  # fmt: skip
def test_a_file_that_can_t_be_read_is_named_once(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.json").write_text(content)
    assert analyze.main([str(tmp_path / "mine.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.count("mine.json") == 1 and "Traceback" not in line


def test_a_folder_ends_with_what_was_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert analyze.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("passed over: ")]
    named = {line.removeprefix(f"passed over: {folder}/").partition(":")[0] for line in lines[:-1]}
    assert named == {*FILES, "all.zip"} - {"circle.svg", "notes.md", "noise"}
    assert lines[-1].startswith("passed over: 3 other files")


def test_the_files_of_a_run_are_not_listed(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recording / "settings.json").write_text('{"a": 1}')
    (recording / "old.qdrep").write_bytes(b"x")
    analyze.main([str(recording.parent)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "passed over" in line]
    assert len(lines) == 1 and "old.qdrep" in lines[0]
