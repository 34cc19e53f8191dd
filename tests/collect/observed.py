"""Programs under a collector, for the tests of collectors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from motrace import run_folder
from motrace.collect.base import Collector
from motrace.errors import MotraceError
from motrace.readers.pyspy.align import NamedSpans
from motrace.readers.run import load_run
from motrace.readers.spans import SpanLogFile
from motrace.record.spans import END, KIND_FRAME, KIND_SPAN, START, WHAT
from motrace.workloads.options import Options
from tests.conftest import PROGRAMS


def begin(program: str, *words: object) -> subprocess.Popen[bytes]:
    """Start one of our programs."""
    return subprocess.Popen([sys.executable, PROGRAMS / program, *map(str, words)], stdout=subprocess.PIPE)


def end(process: subprocess.Popen[bytes], timeout: float = 90) -> int:
    """Wait for it; its status."""
    status = process.wait(timeout)
    assert process.stdout is not None
    process.stdout.close()
    return status


def observe(
    collector: Collector, folder: Path, program: str, *words: object
) -> tuple[subprocess.Popen[bytes], list[str]]:
    """Run a program to its end under a collector; the process, and the warnings."""
    folder.mkdir(exist_ok=True)
    process = begin(program, *words)
    collector.attach(process.pid, folder)
    end(process)
    return process, collector.finish(folder)


def spans_of(folder: Path) -> dict[int, NamedSpans]:
    """The closed spans of the loop thread, by its id."""
    recording = load_run(folder)
    log: Any = recording.loop_log
    rows = log.of_kind(KIND_SPAN, KIND_FRAME)
    rows = rows[rows[:, END] > 0]
    names = [recording.name_of(log.pid, int(what)) for what in rows[:, WHAT]]
    return {log.tid: NamedSpans(rows[:, START], rows[:, END], names)}


def state_of(pid: int) -> str:
    """The state letter of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def reached(run_dir: Path, frames: int = 0, span: str = "") -> bool:
    """Whether a run that goes on has begun so many frames, and is inside a span of that name."""
    for path in run_dir.glob("spans-*.bin"):
        try:
            log = SpanLogFile.read(path)
        except MotraceError:  # it is just being made
            continue
        if len(log.of_kind(KIND_FRAME)) >= frames and (not span or span in log.open_names()):
            return True
    return False


def small_run(folder: Path, frames: int) -> None:
    """Write what the worker of a small run on the real renderer needs, as the launcher does."""
    options = Options(frames=frames, warmup=2, num_envs=2, width=64, height=36)
    folder.mkdir(exist_ok=True)
    manifest = {"run_id": "small", "options": options.as_json(), "mode": options.mode, "status": run_folder.RUNNING}
    run_folder.write_json(folder / run_folder.RUN_FILE, manifest)
