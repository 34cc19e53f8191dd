"""CPU clocks at boundaries: whoever worked is seen, newcomers and leavers included."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import motrace
from motrace.attribution.cpu_clock_bounds import held_at_most, usage
from motrace.attribution.pieces import collect_spans
from motrace.attribution.run import analyse_run
from motrace.attribution.tables import build_tables
from motrace.readers.cpu import CpuLogFile, Member
from motrace.readers.recording import read_recording
from motrace.readers.run import load_run
from motrace.record import other_threads, roster
from motrace.record.procfile import ProcFile
from motrace.record.startlib import start_libraries
from tests.conftest import wait_for


def burn(seconds: float) -> None:
    """Use CPU in native code that gives up the GIL."""
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 200)


def read_log(folder: Path) -> CpuLogFile:
    (path,) = folder.glob("cpu-*.bin")
    return CpuLogFile.read(path)


def member(log: CpuLogFile, id: int) -> Member:
    (found,) = [member for member in log.members if member.id == id]
    return found


def await_end(thread: threading.Thread) -> None:
    """Until the kernel has let go of a thread: ``join`` returns before that."""
    wait_for(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists())


def test_boundaries_bear_the_times_of_the_spans(tmp_path: Path) -> None:
    tmp_path = motrace.start(tmp_path)
    for _ in range(10):
        with motrace.span("outer"), motrace.span("inner"):
            pass
    motrace.stop()
    recording = load_run(tmp_path)
    times = set(read_log(tmp_path).boundaries[:, 0].tolist())
    (log,) = recording.span_logs
    for row in log.records[log.records[:, 2] > 0]:
        if int(row[0]) >> 32 == 0:
            assert {int(row[1]), int(row[2])} <= times


def test_clocks_never_run_backwards(tmp_path: Path) -> None:
    tmp_path = motrace.start(tmp_path)
    for _ in range(200):
        with motrace.span("work"):
            time.sleep(0.0005)
    motrace.stop()
    boundaries = read_log(tmp_path).boundaries
    assert (boundaries[1:] >= boundaries[:-1]).all()


def test_a_thread_that_comes_and_goes_is_accounted_for(tmp_path: Path) -> None:
    """A thread that no reading saw alive shows as CPU time of threads that ended.

    ``join`` returns before the kernel has let go of the thread, so a reading may still find it.
    """
    tmp_path = motrace.start(tmp_path)
    with motrace.span("short-lived"):
        thread = threading.Thread(target=burn, args=(0.05,))
        thread.start()
        thread.join()
    await_end(thread)
    with motrace.span("after"):
        time.sleep(0.02)
    motrace.stop()
    log = read_log(tmp_path)
    assert not log.damaged
    new = [one for one in log.members if not one.is_child and one.first_seen_ns > log.boundaries[0, 0]]
    used = sum(int(one.cpu_ns[-1]) for one in (*new, member(log, roster.ENDED_THREADS)) if len(one.cpu_ns))
    assert 45e6 < used < 80e6


def test_a_thread_that_ends_keeps_what_it_used(tmp_path: Path) -> None:
    go, seen = threading.Event(), threading.Event()

    def work() -> None:
        burn(0.03)
        seen.set()
        go.wait()
        burn(0.03)

    tmp_path = motrace.start(tmp_path)
    thread = threading.Thread(target=work)
    with motrace.span("first"):
        thread.start()
        seen.wait()
    tid = thread.native_id
    with motrace.span("second"):
        go.set()
        thread.join()
        await_end(thread)
    motrace.stop()
    log = read_log(tmp_path)
    assert tid is not None
    gone = member(log, tid)
    assert gone.gone_ns is not None
    total = gone.cpu_ns[-1] + member(log, roster.ENDED_THREADS).cpu_ns[-1]
    assert 55e6 < total < 90e6


def test_a_child_is_found_named_and_followed(tmp_path: Path) -> None:
    code = "import time\nb=time.process_time()\nwhile time.process_time()-b<0.08: pass\nprint(); input()"
    tmp_path = motrace.start(tmp_path)
    with motrace.span("child works"):
        child = subprocess.Popen([sys.executable, "-u", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdout.readline() == b"\n"
    with motrace.span("child ends"):
        child.communicate(b"\n")
        time.sleep(0.02)
    motrace.stop()
    found = member(read_log(tmp_path), child.pid)
    assert found.is_child and found.name.startswith("python")
    assert found.cpu_ns[-1] > 80e6
    assert found.gone_ns is not None
    rows = build_tables(analyse_run(read_recording(tmp_path)))["thread_cpu"].to_pandas()
    worked = rows[(rows["pid"] == child.pid) & (rows["cpu_ns"] > 50e6)]
    assert worked["role"].tolist() == ["child"]


def test_children_that_live_between_two_readings_are_what_their_span_does(tmp_path: Path) -> None:
    """Nothing is known of them but the CPU time of children that ended."""
    tmp_path = motrace.start(tmp_path)
    for phase in ("encode", "step", "its own"):
        with motrace.frame(), motrace.span(phase):
            words = (sys.executable, "-c", "sum(range(3_000_000))")
            os.waitpid(os.posix_spawn(sys.executable, words, os.environ), 0)
        with motrace.span("after"):
            time.sleep(0.025)
    motrace.stop()
    assert member(read_log(tmp_path), roster.UNSEEN_CHILDREN).cpu_ns[-1] > 30e6
    rows = build_tables(analyse_run(read_recording(tmp_path)))["attribution"].to_pandas().query("state == 'blocked'")
    for phase, cause in (("encode", "encoder"), ("step", "sim_pool"), ("its own", "other_processes")):
        mine = rows[rows["phase"] == phase].groupby("cause", observed=True)["ns"].sum()
        worked = {one: int(mine.get(one, 0)) for one in ("encoder", "sim_pool", "other_processes")}
        assert worked[cause] > 10e6 and sum(worked.values()) == worked[cause], phase


def test_a_child_is_known_by_its_command_even_if_it_ends_at_once(tmp_path: Path) -> None:
    """Whatever the span's name, and beside a child that lives on."""
    program = tmp_path / "ffmpeg-of-somebody"
    program.write_text("#!/bin/sh\ni=0; while [ $i -lt 50000 ]; do i=$((i+1)); done\n")
    program.chmod(0o700)
    words = [sys.executable, "-u", "-c", "print(); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lives:
        assert lives.stdout is not None and lives.stdout.readline()
        run = motrace.start(tmp_path / "e")
        for _ in range(3):
            with motrace.frame(), motrace.span("save_video"):
                subprocess.run([program], check=True)
        with motrace.span("save_video"):
            in_thread = threading.Thread(target=lambda: subprocess.run(f"exec {program} -x", shell=True, check=True))
            in_thread.start()
            in_thread.join()
        motrace.stop()
        lives.communicate(b"\n")
    rows = build_tables(analyse_run(read_recording(run)))["attribution"].to_pandas().query("phase == 'save_video'")
    mine = rows[rows["state"] == "blocked"].groupby("cause", observed=True)["ns"].sum()
    assert mine.get("other_processes", 0) == 0 and mine["encoder"] > 20e6
    assert "ffmpeg-of-somebody" in {one.library for one in read_log(run).members}
    assert subprocess.Popen.__init__.__name__ == "__init__" and not hasattr(subprocess.Popen.__init__, "__wrapped__")


def test_workers_that_work_when_the_loop_steps_are_the_simulations(tmp_path: Path) -> None:
    """Made before anything was recorded; one that works all the time is not."""
    burns = "def burn(s):\n e = time.process_time() + s\n while time.process_time() < e: pass\n"
    words, busy = (
        [sys.executable, "-u", "-c", f"import sys, time\n{burns}{code}"]
        for code in ("for line in sys.stdin: burn(0.01); print()", "while True: burn(0.001); time.sleep(0.001)")
    )
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as worker,
        subprocess.Popen(busy) as other,
    ):
        assert worker.stdin is not None and worker.stdout is not None
        run = motrace.start(tmp_path)
        for _ in range(20):
            with motrace.frame():
                with motrace.span("step"):
                    worker.stdin.write(b"\n")
                    worker.stdout.readline()
                with motrace.span("rest"):
                    time.sleep(0.01)
        motrace.stop()
        worker.stdin.close()
        other.kill()
    analysis = analyse_run(read_recording(run))
    assert analysis.recording.cpu_log is not None
    roles = {one.id: analysis.roles[one.slot] for one in analysis.recording.cpu_log.members}
    assert roles[worker.pid] == "sim_pool" and roles[other.pid] == "child"


def test_a_thread_that_waits_for_a_core_may_hold_the_lock_meanwhile(tmp_path: Path) -> None:
    """Its run delay is read beside its clock; where it is not, it may have held the lock for any time."""
    stop = threading.Event()
    core = {min(os.sched_getaffinity(0))}
    code = f"import os\nos.sched_setaffinity(0, {core})\nwhile 1: pass"
    rival = subprocess.Popen([sys.executable, "-S", "-c", code])

    def work() -> None:
        os.sched_setaffinity(0, core)
        while not stop.is_set():
            burn(0.001)

    thread = threading.Thread(target=work)
    try:
        run = motrace.start(tmp_path)
        thread.start()
        for _ in range(100):
            with motrace.frame(), motrace.span("work"):
                time.sleep(0.004)
        motrace.stop()
    finally:
        stop.set()
        thread.join()
        rival.kill()
        rival.wait()
    assert thread.native_id is not None
    log = read_log(run)
    found, ends = member(log, thread.native_id), (log.boundaries[:-1, 0], log.boundaries[1:, 0])
    waited = found.delays[-1, 2] - found.delays[0, 2]
    assert len(found.delays) > 10 and waited > 20e6 and not log.damaged
    used = usage(found, *ends, log.cores, log.tick_ns)
    held = held_at_most(found, used, *ends)
    known = np.isfinite(held)
    assert known.mean() > 0.5 and held[known].sum() > used.hi_ns[known].sum() + 0.5 * waited
    old = held_at_most(replace(found, delays=found.delays[:0]), used, *ends)
    assert np.isinf(old[used.hi_ns > 0]).all() and not old[used.hi_ns == 0].any()


def test_new_threads_are_found_without_a_listing_per_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings = 0
    real = os.listdir

    def counted(path: str) -> list[str]:
        nonlocal listings
        listings += 1
        return real(path)

    monkeypatch.setattr(other_threads.os, "listdir", counted)
    begin_ns = time.monotonic_ns()
    tmp_path = motrace.start(tmp_path)
    for _ in range(100):
        with motrace.span("idle"):
            time.sleep(0.001)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: burn(0.05) or stop.wait())
    with motrace.span("it begins"):
        thread.start()
        time.sleep(0.06)
    for _ in range(100):
        with motrace.span("idle"):
            time.sleep(0.001)
    stop.set()
    thread.join()
    motrace.stop()
    assert any(m.id == thread.native_id for m in read_log(tmp_path).members)
    looks_again = (time.monotonic_ns() - begin_ns) / other_threads.SCAN_EVERY_NS  # at young threads, at most
    assert listings <= 6 + looks_again < 200


def test_the_library_that_started_a_thread_is_told() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        tid = thread.native_id
        (library,) = wait_for(lambda: start_libraries([tid]), 20).values()  # not told while it runs
        assert library.startswith(("libpython", "python"))
    finally:
        stop.set()
        thread.join()


def test_a_thread_that_is_gone_has_no_library() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    await_end(thread)
    assert thread.native_id is not None
    assert start_libraries([thread.native_id]) == {}
    assert start_libraries([]) == {}


def test_a_process_file_is_read_anew_each_time() -> None:
    file = ProcFile.open("/proc/self/schedstat")
    assert file is not None
    first = int(file().split()[0])
    burn(0.02)
    assert int(file().split()[0]) > first
    file.close()
    assert file() == b"", "a closed descriptor is an error, not a crash"
    assert ProcFile.open("/proc/no such file") is None


def test_a_kernel_without_schedstat_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ProcFile.open
    monkeypatch.setattr(ProcFile, "open", lambda path: None if path.endswith("schedstat") else real(path))
    tmp_path = motrace.start(tmp_path)
    with motrace.span("work"):
        time.sleep(0.01)
    motrace.stop()
    recording = read_recording(tmp_path)
    assert any("no schedstat" in text for text in recording.warnings)
    assert not read_log(tmp_path).has_run_delay
    tables = build_tables(analyse_run(recording))
    assert tables["attribution"].to_pandas().query("state == 'runnable'")["ns"].sum() == 0


def test_the_cost_of_a_boundary_is_measured(tmp_path: Path) -> None:
    tmp_path = motrace.start(tmp_path)
    motrace.stop()
    assert 200 < read_log(tmp_path).boundary_cost_ns < 100_000


@pytest.mark.parametrize(("idle_s", "work_s", "frames"), [(0.003, 0.002, 150), (0.022, 0.0002, 60), (0.05, 0.003, 20)])
def test_a_worker_is_read_at_the_ends_of_the_span_that_waits_for_it(
    tmp_path: Path, idle_s: float, work_s: float, frames: int
) -> None:
    """By the worker's own clock: in short frames, seldom in long ones, and less than is worth a name."""
    begin, done, used = threading.Event(), threading.Event(), []

    def work() -> None:
        while begin.wait() and not stop:
            begin.clear()
            before = time.thread_time_ns()
            burn(work_s)
            used.append(time.thread_time_ns() - before)
            done.set()

    stop: list[bool] = []
    worker = threading.Thread(target=work)
    worker.start()
    run_dir = motrace.start(tmp_path)
    for _ in range(frames):
        with motrace.frame():
            with motrace.span("idle"):
                time.sleep(idle_s)
            with motrace.span("handed over"):
                done.clear()
                begin.set()
                done.wait()
    motrace.stop()
    stop.append(True)
    begin.set()
    worker.join()
    recording = read_recording(run_dir)
    log, spans = recording.cpu_log, collect_spans(recording)
    assert log is not None and worker.native_id is not None
    inside = np.array([name == "handed over" for name in spans.name])
    start, end = spans.start_ns[inside], spans.end_ns[inside]
    found = usage(member(log, worker.native_id), start, end, log.cores, log.tick_ns)
    told_late = 20e3 * len(used)  # at work before it is told, and after it has told
    assert found.lo_ns.sum() - told_late <= sum(used) <= found.hi_ns.sum() + told_late
    assert found.hi_ns.sum() - found.lo_ns.sum() < 0.2 * sum(used) + 5 * told_late
    assert found.est_ns.sum() == pytest.approx(sum(used), rel=0.1, abs=3 * told_late)


ANSWERS = """
import sys, threading, time
for _ in range(int(sys.argv[1])):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
for line in sys.stdin.buffer:
    begin = time.process_time_ns()
    while time.process_time_ns() - begin < 2_000_000:
        pass
    print(time.process_time_ns(), flush=True)
"""


@pytest.mark.parametrize("threads", [0, 8])
def test_the_clock_of_a_child_that_sleeps_is_exact(tmp_path: Path, threads: int) -> None:
    """In frames not much longer than a timer tick, by so much the clock of one that runs lags."""

    def ask() -> int:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(b"\n")
        return int(child.stdout.readline())

    used = []
    command = [sys.executable, "-c", ANSWERS, str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
        ask()
        run_dir = motrace.start(tmp_path)
        for _ in range(100):
            with motrace.frame():
                with motrace.span("asleep"):
                    time.sleep(0.003)
                with motrace.span("asked"):
                    used.append(ask())
        motrace.stop()
    recording = read_recording(run_dir)
    log, spans = recording.cpu_log, collect_spans(recording)
    assert log is not None
    followed = member(log, child.pid)
    lagging = replace(followed, exact=np.zeros_like(followed.exact))
    truth = used[-1] - used[0]  # of 99 frames
    for name, least, most in (("asleep", 0, 2e6), ("asked", truth, truth * 100 / 99 + 2e6)):
        inside = np.array([one == name for one in spans.name])
        ends = spans.start_ns[inside], spans.end_ns[inside]
        found, wide = (usage(one, *ends, log.cores, log.tick_ns) for one in (followed, lagging))
        assert found.lo_ns.sum() <= most and least <= found.hi_ns.sum()
        width, without = (float((one.hi_ns - one.lo_ns).sum()) for one in (found, wide))
        assert width < 0.6 * without, "whatever else the machine does: so much narrower than without the exact readings"


def test_threads_that_end_before_their_name_is_read_do_not_damage_the_log(tmp_path: Path) -> None:
    def spin() -> None:
        end = time.perf_counter() + 0.002
        while time.perf_counter() < end:
            pass

    tmp_path = motrace.start(tmp_path)
    for _ in range(60):
        with motrace.span("work"):
            time.sleep(0.002)
        threading.Thread(target=spin).start()
    motrace.stop()
    log = read_log(tmp_path)
    assert not log.damaged
    assert len(log.boundaries) >= 120
