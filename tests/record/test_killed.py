"""After SIGKILL everything up to the last finished span is readable, and the open one is known."""

from __future__ import annotations

import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from motrace.readers.run import load_run
from motrace.record.spans import END, KIND_SPAN
from tests.conftest import PROGRAMS

KILLS = 50
LEAVES = ("first", "second", "third")


def kill_after(folder: Path, seconds: float) -> int:
    """Start the program, kill it after a while; returns how many spans it had counted as ended."""
    counter = folder.with_suffix(".counter")
    process = subprocess.Popen([sys.executable, PROGRAMS / "endless.py", folder, counter], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return struct.unpack("q", counter.read_bytes()[:8])[0]


def test_nothing_is_lost_at_fifty_random_moments(tmp_path: Path) -> None:
    moments = random.Random(20261120)
    caught_open = 0
    for attempt in range(KILLS):
        folder = tmp_path / f"run{attempt}"
        counted = kill_after(folder, moments.uniform(0.0, 0.03))
        recording = load_run(folder)
        (log,) = recording.span_logs
        leaves = [row for row in log.of_kind(KIND_SPAN) if recording.name_of(log.pid, int(row[0])) in LEAVES]
        ended = [row for row in leaves if row[END]]
        # The program counts a span after it has ended, so the log may be one ahead, never behind.
        assert counted <= len(ended) <= counted + 1
        assert len(leaves) - len(ended) <= 1, "only the innermost span can be open"
        names = log.open_names()
        assert names in ([], ["frame"], *(["frame", leaf] for leaf in LEAVES))
        if len(names) == 2:
            caught_open += 1
            assert names[1] == LEAVES[len(ended) % 3], "the open span is the one that comes next"
        assert recording.manifest.status == "crashed"
    assert caught_open, "no kill fell inside a leaf span: the test proved nothing about open ones"
