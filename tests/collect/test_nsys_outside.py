"""What run_record learns of an nsys around it, from its command line."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from motrace.collect.nsys_outside import make_room, nsys_around


@pytest.mark.parametrize(
    ("words", "report", "perf"),
    [
        (["-o", "a/b"], "a/b.nsys-rep", True),
        (["--output=b.nsys-rep", "-s", "none"], "b.nsys-rep", True),
        (["-ob", "-snone", "--cpuctxsw", "none"], "b.nsys-rep", False),
        (["-o", "%h"], None, True),
        (["--sample=none", "--cpuctxsw=none"], None, False),
    ],
)
def test_an_nsys_around_us_is_read(tmp_path: Path, words: list[str], report: str | None, perf: bool) -> None:
    """A process that bears such a command line (``profile`` is a script here), and one that it started."""
    (tmp_path / "profile").write_text("sleep 60 & echo $!; wait")
    command = ["nsys", "profile", *words, "python", "-o", "of_the_program"]
    with subprocess.Popen(command, executable="/bin/sh", cwd=tmp_path, stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        found = nsys_around(child)
        os.kill(child, signal.SIGKILL)
    assert found is not None and found.perf_events is perf
    assert found.report == (None if report is None else tmp_path / report)
    make_room(found)
    assert (tmp_path / "a").exists() is (report == "a/b.nsys-rep")


def test_without_one_nothing_is_found() -> None:
    assert nsys_around() is None
