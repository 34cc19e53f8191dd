"""The sampler of thread states, on programs whose states the recorder knows exactly; and what may go wrong."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from motrace.attribution.run import analyse_run
from motrace.attribution.tables import build_tables
from motrace.collect.threads import FACTS_FILE, FILE, RAW_FILE, ThreadsCollector
from motrace.errors import MotraceError
from motrace.readers import thread_samples
from motrace.readers.recording import read_recording
from tests.collect.observed import state_of
from tests.conftest import PROGRAMS, wait_for

SECONDS = 5
TOLERANCE = 0.02
WAITS = {"sleep": "sleep", "pipe": "pipe", "poll": "poll", "lock": "futex"}


def start(folder: Path, *words: object) -> subprocess.Popen[bytes]:
    """The program, at the point where it is about to begin its loop."""
    process = subprocess.Popen(
        [sys.executable, PROGRAMS / "states.py", folder, *map(str, words)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def watch(folder: Path, *words: object, **options: float) -> tuple[int, list[str]]:
    """Run the program under the sampler; its pid and the warnings."""
    folder.mkdir(exist_ok=True)
    collector = ThreadsCollector(**options)
    assert collector.missing() is None
    process = start(folder, *words)
    collector.attach(process.pid, folder)
    assert process.wait(60) == 3, "the status of the watched process is its own"
    warnings = collector.finish(folder)
    assert process.stdout is not None
    process.stdout.close()
    return process.pid, warnings


def watched_ns(raw: Path) -> int:
    """How long the loop thread was watched up to the last block of a file that is being written; 0 without one."""
    try:
        stays = thread_samples.read(raw).stays.to_pandas()
    except MotraceError:  # not there yet, or no block in it
        return 0
    return int(stays["last_ns"].max() - stays["first_ns"].min()) if len(stays) else 0


def inside(spans: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """The samples that were taken inside a span, with its phase."""
    where = spans["start_ns"].searchsorted(points["t_ns"], side="right") - 1
    chosen = spans.iloc[where.clip(0)]
    covered = (where >= 0) & (points["t_ns"].to_numpy() < chosen["end_ns"].to_numpy())
    return points.assign(phase=chosen["phase"].astype(str).to_numpy())[covered]


def loop_spans(folder: Path) -> pd.DataFrame:
    """Leaf spans on the loop thread with their exact states, in absolute time."""
    recording = read_recording(folder)
    spans = build_tables(analyse_run(recording))["spans"].to_pandas()
    spans = spans[spans["phase"].isin(["python loop", *WAITS])]
    begin = recording.origin_ns
    return spans.assign(start_ns=spans["start_ns"] + begin, end_ns=spans["end_ns"] + begin)


def test_shares_of_states_are_those_of_the_recorder(tmp_path: Path) -> None:
    pid, warnings = watch(tmp_path / "run", SECONDS)
    assert [text for text in warnings if "waited for a core" not in text] == []
    samples = thread_samples.read(tmp_path / "run" / FILE)
    points = samples.points().to_pandas()
    points = points[points["tid"] == pid].sort_values("t_ns")
    assert len(points) == samples.stays.to_pandas().query("tid == @pid")["samples"].sum()
    spans = loop_spans(tmp_path / "run")
    found = inside(spans, points)
    for phase, exact in spans.groupby(spans["phase"].astype(str)):
        exact = exact[exact["end_ns"] <= points["t_ns"].max()]
        truth = (exact["cpu_ns"] + exact["runq_ns"]).sum() / (exact["end_ns"] - exact["start_ns"]).sum()
        seen = found[found["phase"] == phase]
        assert len(seen) > 200
        running = int((seen["state"] == "running").sum())
        # Four standard deviations, and what waiting for a core can hide.
        noise = 4 * math.sqrt(max(truth * (1 - truth), 0.002) / len(seen))
        assert running / len(seen) == pytest.approx(truth, abs=TOLERANCE + noise + samples.late_share), phase
        if phase in WAITS:
            on = seen.loc[seen["state"] == "blocked", "waits_on"].astype(str)
            assert (on == WAITS[phase]).mean() > 0.97, (phase, on.value_counts().to_dict())


def test_states_of_a_thread_are_in_order_and_do_not_overlap(tmp_path: Path) -> None:
    watch(tmp_path / "run", 1.5, 5, "fork")
    states = thread_samples.read(tmp_path / "run" / FILE).states()
    assert states.schema.equals(thread_samples.STATES_SCHEMA)
    frame = states.to_pandas()
    assert (frame["end_ns"] > frame["start_ns"]).all()
    for _, rows in frame.groupby("tid"):
        assert (rows["start_ns"].to_numpy()[1:] >= rows["end_ns"].to_numpy()[:-1]).all()
    assert set(frame["state"]) <= {"running", "blocked"}
    assert (frame["waits_on"].isna() == (frame["state"] == "running")).all()


def test_threads_and_children_that_come_and_go_are_seen(tmp_path: Path) -> None:
    pid, _ = watch(tmp_path / "run", 3, 0, "fork")
    stays = thread_samples.read(tmp_path / "run" / FILE).stays.to_pandas()
    assert stays["pid"].nunique() >= 3, "the child that answers, and some that live for a tenth of a second"
    assert not (tmp_path / "run" / RAW_FILE).exists()
    own = stays[stays["pid"] == pid]
    assert own["tid"].nunique() >= 2, "of the threads that live for a tenth of a second"


def test_of_a_hundred_threads_none_is_lost_sight_of(tmp_path: Path) -> None:
    pid, _ = watch(tmp_path / "run", 3, 100)
    samples = thread_samples.read(tmp_path / "run" / FILE)
    intervals = samples.intervals()
    others = [interval for (_, tid), interval in intervals.items() if tid != pid]
    assert len(others) > 100
    assert intervals[pid, pid] < sorted(others)[len(others) // 2]
    assert sorted(others)[int(0.95 * len(others))] < 0.5e9
    assert samples.facts.cpu_ns > 0 and 0 < samples.cost_share < 1


def test_a_small_budget_lowers_the_rate_and_says_so(tmp_path: Path) -> None:
    watch(tmp_path / "run", 2, 10, budget=0.001)
    facts = thread_samples.read(tmp_path / "run" / FILE).facts
    assert facts.asked_hz == 1000 and facts.hz < 500
    assert '"cost_share"' in (tmp_path / "run" / FACTS_FILE).read_text()


def test_every_round_is_written_down_and_a_starved_sampler_errs_by_more(tmp_path: Path) -> None:
    process = start(tmp_path, 60)
    collector = ThreadsCollector()
    collector.attach(process.pid, tmp_path)
    sampler = collector._process
    assert sampler is not None
    wait_for(lambda: watched_ns(tmp_path / RAW_FILE))
    for _ in range(3):
        sampler.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        sampler.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    process.kill()
    process.wait()
    collector.finish(tmp_path)
    samples = thread_samples.read(tmp_path / FILE)
    assert len(samples.ticks) == samples.facts.rounds
    assert (samples.ticks[1:] > samples.ticks[:-1]).all()
    assert samples.step_ns > 3 * samples.facts.wall_ns / samples.facts.rounds
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("victim", ["sampler", "target"])
def test_what_was_written_before_a_sigkill_is_read(tmp_path: Path, victim: str) -> None:
    process = start(tmp_path, 60)
    collector = ThreadsCollector()
    collector.attach(process.pid, tmp_path)
    sampler = collector._process
    assert sampler is not None
    kept = wait_for(lambda: (ns := watched_ns(tmp_path / RAW_FILE)) > 0.6e9 and ns)
    wait_for(lambda: watched_ns(tmp_path / RAW_FILE) > kept)  # the last block may be torn
    (sampler if victim == "sampler" else process).kill()
    if victim == "sampler":
        sampler.wait()
        raw = tmp_path / RAW_FILE
        raw.write_bytes(raw.read_bytes()[:-7])  # torn in its last block
        assert thread_samples.read(raw).stays.num_rows > 20
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    warnings = collector.finish(tmp_path)
    assert len([text for text in warnings if "status -9" in text]) == (1 if victim == "sampler" else 0)
    stays = thread_samples.read(tmp_path / FILE).stays.to_pandas()
    assert stays["last_ns"].max() - stays["first_ns"].min() >= kept
    assert process.stdout is not None
    process.stdout.close()


def test_a_process_that_is_not_there_gives_an_empty_table(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    collector = ThreadsCollector()
    collector.attach(gone.pid, tmp_path)
    (warning,) = collector.finish(tmp_path)
    assert "no thread could be read" in warning
    assert thread_samples.read(tmp_path / FILE).states().num_rows == 0


def test_a_stopped_process_is_stopped_not_running(tmp_path: Path) -> None:
    process = start(tmp_path, 60)
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: state_of(process.pid) == "T")
    collector = ThreadsCollector()
    collector.attach(process.pid, tmp_path)
    wait_for(lambda: watched_ns(tmp_path / RAW_FILE) > 0.4e9)
    killed_ns = time.monotonic_ns()  # to end, it runs once more
    process.kill()
    process.wait()
    collector.finish(tmp_path)
    stays = thread_samples.read(tmp_path / FILE).stays.to_pandas()
    stays = stays[(stays["tid"] == process.pid) & (stays["first_ns"] < killed_ns)]
    assert set(stays["waits_on"].astype(str)) == {"stopped"} and set(stays["state"].astype(str)) == {"blocked"}
    assert process.stdout is not None
    process.stdout.close()


def test_the_command_line_ends_with_its_target(tmp_path: Path) -> None:
    target = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    words = [sys.executable, "-m", "motrace.collect.thread_sampler", str(target.pid), str(tmp_path / "out.bin")]
    sampler = subprocess.Popen(words)
    wait_for(lambda: watched_ns(tmp_path / "out.bin"))
    target.communicate(b"\n")
    assert sampler.wait(60) == 0
    assert thread_samples.read(tmp_path / "out.bin").stays.num_rows >= 1
