"""Records a known program through the public commands, under each kind of evidence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from motrace import run_folder
from motrace.analysis import load
from motrace.collect.nsys import find_nsys
from motrace.findings.model import Report

from . import groups
from .groups import TrueRun
from .video import ffmpeg_path

ROOT = Path(__file__).resolve().parents[2]
SCHEDULING = ("--nsys-args=--cpuctxsw=process-tree", "--collect-timeout", "20")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "clocks": ("--collect", "none"),
    "threads": ("--collect", "threads"),
    "pyspy": ("--collect", "pyspy"),
    "nsys": ("--collect", "nsys", *SCHEDULING),
    "all": ("--collect", "threads,pyspy,nsys", *SCHEDULING),
}
CROWD = 4
"""Processes that want a core each, on a crowded machine."""


@dataclass(frozen=True)
class Recorded:
    """A program's recordings under one kind of evidence, analysed, and what its runs' oracles say."""

    program: str
    evidence: str
    report: Report
    truths: dict[str, TrueRun]


def cannot(program: str, evidence: str) -> str | None:
    """Why a program can't be recorded here under some evidence; None if it can."""
    if program.startswith("ffmpeg") and ffmpeg_path() is None:
        return "no ffmpeg here"
    if evidence in ("nsys", "all") and find_nsys() is None:
        return "no nsys here"
    return None


@contextmanager
def _crowd(processes: int) -> Iterator[None]:
    """Other processes that want a core all the while."""
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def _record(program: str, evidence: str, home: Path, truths: Path, seconds: float, repeat: int) -> None:
    truths.mkdir(parents=True, exist_ok=True)
    table = truths / "instrument.json"
    table.write_text(json.dumps({"segments": {"loop": {"after": "__main__.prepare"}, "shutdown": "__main__.finish"}}))
    words = ["--instrument", table, "--out", home, "--name", f"{program}-{evidence}", "--repeat", repeat]
    measured = [sys.executable, "-m", "benchmarks.truth.programs", program, truths, seconds]
    command = [sys.executable, "-m", "tools.run_record", *words, *EVIDENCE[evidence], "--", *measured]
    with _crowd(CROWD if program == "crowded" else 0):
        subprocess.run([str(word) for word in command], cwd=ROOT, check=True, capture_output=True, text=True)


def record(program: str, evidence: str, home: Path, seconds: float, repeat: int = 1) -> Recorded:
    """Record it below ``home``, where that is not done already, and analyse it.

    Raises CalledProcessError where recording fails, MotraceError where analysing does.
    """
    experiment, truths = home / f"{program}-{evidence}", home / f"{program}-{evidence}-truth"
    if not experiment.exists():
        _record(program, evidence, home, truths, seconds, repeat)
    written, found = groups.read(truths), {}
    for path in sorted(experiment.glob(f"*/{run_folder.RUN_FILE}")):
        pid = run_folder.read_manifest(path.parent).get("process", {}).get("pid")
        if pid in written:
            found[path.parent.name] = written[pid]
    return Recorded(program, evidence, load(experiment).report, found)
