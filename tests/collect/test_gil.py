"""Waits for the interpreter's lock, seen from outside and against the clocks of the thread that waits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motrace.collect.threads import FILE, ThreadsCollector
from motrace.readers import thread_samples
from motrace.readers.cpu import CpuLogFile
from motrace.record import gil_lock
from tests.collect.test_pythons import interpreter
from tests.conftest import ROOT

PROGRAM = """
import sys, threading, time
import motrace

def delay():
    with open(f"/proc/self/task/{threading.get_native_id()}/schedstat") as file:
        return int(file.read().split()[1])

stop, held = [], threading.Lock()
held.acquire()
def hog():
    while not stop:
        pass
threading.Thread(target=held.acquire, daemon=True).start()
hogs = [threading.Thread(target=hog) for _ in range(int(sys.argv[2]))]
print(motrace.start(sys.argv[1]), flush=True)
sys.stdin.readline()
for thread in hogs:
    thread.start()
begin, cpu, waited = time.monotonic_ns(), time.thread_time_ns(), delay()
while time.monotonic_ns() < begin + 1_500_000_000:
    with motrace.span("python"):
        until = time.thread_time_ns() + 30_000_000
        while time.thread_time_ns() < until:
            sum(range(1000))
    time.sleep(0.005)
end = time.monotonic_ns()
print(begin, end, end - begin - (time.thread_time_ns() - cpu) - (delay() - waited), flush=True)
stop.append(1)
motrace.stop()
"""


def blocked(folder: Path, python: str, hogs: int) -> tuple[float, dict[str, float], Path, list[str]]:
    """For how long of its loop the loop thread was blocked, by its clocks, and in what, by the samples; as shares."""
    command = [python, "-c", PROGRAM, folder, str(hogs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        run = Path(process.stdout.readline().strip())
        collector = ThreadsCollector()
        collector.attach(process.pid, run)
        process.stdin.write("go\n")
        process.stdin.flush()
        begin, end, blocked_ns = map(int, process.stdout.readline().split())
    warnings = collector.finish(run)
    points = thread_samples.read(run / FILE).points().to_pandas()
    points = points[(points["tid"] == process.pid) & (points["t_ns"] > begin) & (points["t_ns"] < end)]
    seen = points.loc[points["state"] == "blocked", "waits_on"].astype(str).value_counts() / len(points)
    return blocked_ns / (end - begin), seen.to_dict(), run, warnings


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_a_wait_for_the_interpreters_lock_is_one_under_every_python(tmp_path: Path, version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    truth, seen, run, warnings = blocked(tmp_path, python, hogs=2)
    assert not [text for text in warnings if "interpreter's lock" in text]
    (log,) = (CpuLogFile.read(path) for path in run.glob("cpu-*.bin"))
    assert log.gil[1] - log.gil[0] == 176
    assert seen["gil"] > 0.3, seen
    assert seen["gil"] + seen.get("sleep", 0) + seen.get("poll", 0) == pytest.approx(truth, abs=0.15)
    assert seen.get("futex", 0) < 0.05, "nothing else is waited for"


def test_a_lock_that_others_hold_is_not_the_interpreters(tmp_path: Path) -> None:
    _, seen, run, _ = blocked(tmp_path, sys.executable, hogs=0)
    assert seen.get("gil", 0) < 0.02
    stays = thread_samples.read(run / FILE).stays.to_pandas()
    waits = stays.loc[stays["state"] == "blocked"].groupby("tid")["waits_on"].agg(lambda words: set(map(str, words)))
    assert {"futex"} in waits.tolist(), "the thread that waits for a lock of its own"


def test_a_python_without_the_lock_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert gil_lock.find() == gil_lock.NO_LOCK
