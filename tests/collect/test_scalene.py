"""Real Scalene around a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motrace.collect.scalene import FILE, ScaleneCollector
from motrace.errors import MotraceError
from motrace.readers.run import load_run
from motrace.readers.scalene import LINES_SCHEMA, read_lines
from tests.conftest import ROOT

PROGRAM = """
import hashlib, sys, time
import motrace

def loop():
    end = time.perf_counter() + 1.2
    while time.perf_counter() < end:
        sum(range(500))

motrace.start(sys.argv[1])
with motrace.span("work"):
    loop()
motrace.stop()
sys.exit(int(sys.argv[2]))
"""


def run(folder: Path, *words: str, status: int) -> list[str]:
    """Run ``python words...`` in a folder under Scalene; the warnings."""
    os.chdir(folder)
    collector = ScaleneCollector()
    assert collector.missing() is None and collector.intrusive
    command = collector.command([sys.executable, *words], folder)
    assert command[1:4] == ["-m", "scalene", "run"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return collector.finish(folder)


@pytest.fixture(autouse=True)
def _come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.getcwd())


def test_lines_are_read_and_the_exit_status_is_the_programs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    assert run(tmp_path, "program.py", str(tmp_path / "run"), "7", status=7) == []
    lines = read_lines(tmp_path / FILE)
    assert lines.schema.equals(LINES_SCHEMA)
    rows = {row["line"]: row for row in lines.to_pylist() if row["file"].endswith("program.py")}
    busiest = max(rows.values(), key=lambda row: row["python_pct"] + row["native_pct"] + row["system_pct"])
    assert busiest["line"] in (7, 8), rows
    assert load_run(tmp_path / "run" / "01").span_logs[0].open_names() == []


def test_its_file_is_the_runs_wherever_the_program_runs() -> None:
    """UniLab's eval runs in a folder of its own; ``--out traces`` is relative to ours."""
    command = ScaleneCollector().command([sys.executable, "program.py"], Path("traces/x/01-record"))
    assert command[command.index("-o") + 1] == str(Path("traces/x/01-record", FILE).absolute())


def test_a_module_with_arguments_is_run_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "worker.py").write_text(PROGRAM)
    assert run(tmp_path, "-m", "package.worker", str(tmp_path / "run"), "0", status=0) == []
    assert any(row["file"].endswith("worker.py") for row in read_lines(tmp_path / FILE).to_pylist())


def test_a_run_that_was_killed_is_a_warning(tmp_path: Path) -> None:
    assert ScaleneCollector().finish(tmp_path) == [
        "scalene wrote nothing: the run was too short, or was killed (see log.txt)"
    ]
    (tmp_path / FILE).write_text('{"files": {"a.py": ')
    (warning,) = ScaleneCollector().finish(tmp_path)
    assert "is not a profile of Scalene" in warning
    (tmp_path / FILE).write_text("{}")
    assert ScaleneCollector().finish(tmp_path) == ["scalene saw no line of the program: the run was too short"]


@pytest.mark.parametrize("text", ["", "[1]", '{"files": {"a": {"lines": [{"n_peak_mb": 1}]}}}'])
def test_a_bad_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(MotraceError) as error:
        read_lines(tmp_path / FILE)
    assert "\n" not in str(error.value)


@pytest.mark.motrix
def test_scalene_on_real_motrix(tmp_path: Path) -> None:
    from tests.collect.observed import small_run

    small_run(tmp_path, frames=6)
    collector = ScaleneCollector()
    command = collector.command([sys.executable, "-m", "motrace.workloads.worker", str(tmp_path)], tmp_path)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert collector.finish(tmp_path) == []
    recording = load_run(tmp_path)
    assert recording.manifest.status == "completed"
    files = {row["file"] for row in read_lines(tmp_path / FILE).to_pylist()}
    assert any("motrix_camera" in file for file in files), files
    assert not any(file.startswith("/") for file in files)
