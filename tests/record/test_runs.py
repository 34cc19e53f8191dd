"""Each recording has a folder of its own, and what its process could not keep is counted, never raised."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import motrace
from motrace.analysis import load
from motrace.commands import analyze
from motrace.ingest.discover import homes, walk
from motrace.readers.run import load_run
from motrace.record import annotate
from tests.conftest import ROOT

RUN = """
import motrace, os, sys, threading, time
def record(seconds=0.001, frames=5):
    for _ in range(frames):
        with motrace.frame(), motrace.span("step"):
            time.sleep(seconds)
folder = sys.argv[1]
"""


def report_of(folder: Path) -> dict[str, object]:
    assert analyze.main([str(folder)]) == 0
    return json.loads((folder / "analysis" / "report.json").read_text())  # type: ignore[no-any-return]


def test_a_second_run_is_a_run_of_its_own(run_program: Callable, tmp_path: Path) -> None:
    """Faster, then crashed: neither is hidden behind the first."""
    code = RUN + "motrace.start(folder); record(float(sys.argv[2])); {}; motrace.stop()"
    run_program("-c", code.format("0"), tmp_path / "mine", 0.01)
    run_program("-c", code.format("0"), tmp_path / "mine", 0.002)
    run_program("-c", code.format("os._exit(3)"), tmp_path / "mine", 0.001, check=False)
    first, second, third = report_of(tmp_path / "mine")["runs"]  # type: ignore[misc]
    assert [run["run_id"] for run in (first, second, third)] == ["01", "02", "03"]
    assert second["loop_fps"] > 3 * first["loop_fps"]
    assert [run["status"] for run in (first, second, third)] == ["completed", "completed", "crashed"]


def test_one_process_records_twice(run_program: Callable, tmp_path: Path) -> None:
    """A thread that lives on writes into the second recording then."""
    code = RUN + (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1)\n"
        "for turn in range(2):\n"
        "    motrace.start(folder); record()\n"
        "    pool.submit(lambda: motrace.span(f'pool {turn}').__call__(time.sleep)(0.001)).result()\n"
        "    assert motrace.stop() == 0\n"
    )
    run_program("-c", code, tmp_path / "mine")
    for number in (1, 2):
        recording = load_run(tmp_path / "mine" / f"0{number}")
        assert len(recording.span_logs) == 2 and recording.manifest.status == "completed"
        told = {recording.name_of(log.pid, what) for log in recording.span_logs for what in log.records[:, 0]}
        assert f"pool {number - 1}" in told and f"pool {2 - number}" not in told
    assert len(report_of(tmp_path / "mine")["runs"]) == 2  # type: ignore[arg-type]


def test_a_process_that_replaces_itself(run_program: Callable, tmp_path: Path) -> None:
    """The same process id, still alive: the first run is over all the same."""
    code = RUN + (
        "run = motrace.start(folder); record()\n"
        "if run.name == '01': os.execv(sys.executable, [sys.executable, '-c', sys.orig_argv[2], folder])\n"
        "from motrace.readers.run import load_run\n"
        "print([load_run(run.parent / name).manifest.status for name in ('01', '02')])\n"
    )
    assert run_program("-c", code, tmp_path / "mine").stdout.splitlines()[-1] == "['crashed', 'running']"


def test_processes_that_start_at_once(tmp_path: Path) -> None:
    code = RUN + "input(); motrace.start(folder); record(); motrace.stop()"
    words = [sys.executable, "-c", code, tmp_path / "mine"]
    started = [subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE) for _ in range(6)]
    for process in started:
        process.communicate(b"\n")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [f"0{number}" for number in range(1, 7)]
    assert {load_run(path).manifest.process.pid for path in (tmp_path / "mine").iterdir()} == {
        process.pid for process in started
    }


def test_a_flat_recording_stays_readable_beside_new_ones(run_program: Callable, tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "traces/demo-llvmpipe/01-record", tmp_path / "top/mine", ignore=shutil.ignore_patterns("*.mp4")
    )
    run_program("-c", RUN + "motrace.start(folder); record(); motrace.stop()", tmp_path / "top/mine")
    ((home, paths),) = homes(tmp_path / "top", list(walk(tmp_path / "top")[0])).items()
    assert home == tmp_path / "top/mine" and paths == [home, home / "01"]
    assert len(report_of(home)["runs"]) == 2  # type: ignore[arg-type]


def test_logs_of_another_recording_are_named_and_left_out(run_program: Callable, tmp_path: Path) -> None:
    """A folder of before, into which two processes wrote, and the first of them twice."""
    code = RUN + "motrace.start(folder); record(frames=int(sys.argv[2])); motrace.stop()\n" * 2
    for number, frames in enumerate((3, 30), 1):
        run_program("-c", code, tmp_path / f"p{number}", frames)
    mine = tmp_path / "mine"
    mine.mkdir()
    for run_dir in (tmp_path / "p1/01", tmp_path / "p1/02", tmp_path / "p2/01"):
        for file in run_dir.iterdir():
            name = file.name if not (mine / file.name).exists() else f"{file.stem}-1{file.suffix}"
            if not name.startswith("run-1"):
                shutil.copy(file, mine / name)
    report = report_of(mine)
    (run,) = report["runs"]  # type: ignore[misc]
    assert run["frames"] == 3 and run["status"] == "completed"
    (warning,) = (text for text in report["warnings"] if "left out" in text)  # type: ignore[attr-defined]
    assert warning.count("spans-") == 2 and warning.count("cpu-") == 2


def test_a_fork_belongs_to_the_run(run_program: Callable, tmp_path: Path) -> None:
    code = RUN + (
        "motrace.start(folder); record()\n"
        "if not os.fork(): record(frames=50); os._exit(0)\n"
        "os.wait(); record(); motrace.stop()\n"
    )
    run_program("-c", code, tmp_path / "mine")
    recording = load_run(tmp_path / "mine" / "01")
    assert len({log.pid for log in recording.span_logs}) == 2
    assert recording.loop_log is not None and recording.loop_log.pid == recording.manifest.process.pid
    assert not any("left out" in text for text in recording.warnings)


def test_what_the_launcher_began_goes_on(tmp_path: Path) -> None:
    """A program that starts and stops by itself keeps writing where the launcher told it."""
    annotate.start_in(tmp_path, "x")
    try:
        assert motrace.start(tmp_path / "elsewhere") == tmp_path
        assert motrace.stop() == 0 and motrace.is_recording()
    finally:
        annotate.end()
    assert not (tmp_path / "elsewhere").exists() and len(list(tmp_path.glob("spans-*.bin"))) == 1


# -- what can't be kept ---------------------------------------------------------------------------

NO_FILES = """
import resource
held = []
def use_up():
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    try:
        while True: held.append(os.dup(0))
    except OSError: pass
"""
THREADS = """
def work():
    for _ in range(100):
        with motrace.frame(), motrace.span("in a thread"), motrace.span(f"new {threading.get_ident()}"): pass
    motrace.span("decorated")(list)()
def threads():
    for _ in range(3):
        one = threading.Thread(target=work); one.start(); one.join()
errors = []
threading.excepthook = errors.append
"""
TROUBLES = {
    "no file descriptor": (NO_FILES + "use_up()", "[os.close(fd) for fd in held]", "Too many open files"),
    "no room": (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, -1))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
        "found no room (the limit on file size)",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_can_not_be_kept_is_counted_with_its_reason(run_program: Callable, tmp_path: Path, trouble: str) -> None:
    """New threads, new names, forks and growth while nothing can be opened or written: no exception, a true count."""
    begin, end, reason = TROUBLES[trouble]
    code = (
        RUN
        + THREADS
        + (
            f"motrace.start(folder)\n{begin}\n"
            "threads(); record(0, 2000)\n"
            "if not (child := os.fork()): record(0, 10); os._exit(len(errors))\n"
            f"assert os.waitpid(child, 0)[1] == 0\n{end}\n"
            "time.sleep(0.15); work(); print(motrace.stop()); assert not errors, errors\n"
        )
    )
    done = run_program("-c", code, tmp_path / "mine")
    recording = load_run(tmp_path / "mine" / "01")
    dropped = int(done.stdout)
    (warning,) = (text for text in recording.warnings if reason in text)
    assert (
        dropped >= 900 and int(warning.split()[0]) >= dropped + 20 and "full disk" not in " ".join(recording.warnings)
    )
    assert recording.manifest.status == "completed" and recording.manifest.dropped_records == dropped
    loop = recording.loop_log
    assert loop is not None and "in a thread" in {recording.name_of(loop.pid, what) for what in loop.records[:, 0]}


def test_a_folder_that_is_removed_does_not_break_the_program(run_program: Callable, tmp_path: Path) -> None:
    code = (
        RUN
        + THREADS
        + (
            "import shutil\n"
            "motrace.start(folder); record(0); shutil.rmtree(folder); threads(); record(0, 2000)\n"
            "print(motrace.stop()); assert not errors, errors\n"
        )
    )
    done = run_program("-c", code, tmp_path / "mine")
    assert int(done.stdout) > 900 and "No such file" in done.stderr and "Traceback" not in done.stderr


def test_closed_descriptors_do_not_break_the_program(run_program: Callable, tmp_path: Path) -> None:
    code = RUN + "motrace.start(folder); record(); os.closerange(3, 256); record(0.0001, 300); motrace.stop()"
    run_program("-c", code, tmp_path / "mine")
    assert load(tmp_path / "mine").report["runs"][0]["frames"] == 305


def test_names_that_are_not_text(tmp_path: Path) -> None:
    run_dir = motrace.start(tmp_path / "mine", run_id="\udcff")
    motrace.segment("\udc80")
    with motrace.frame(), motrace.span("a\ud800b"):
        pass
    assert motrace.stop() == 0
    recording = load_run(run_dir)
    assert "a\\ud800b" in {
        recording.name_of(log.pid, what) for log in recording.span_logs for what in log.records[:, 0]
    }
    report_of(tmp_path / "mine")


def test_a_start_that_fails_leaves_nothing(run_program: Callable, tmp_path: Path) -> None:
    code = (
        RUN
        + NO_FILES
        + "use_up()\ntry: motrace.start(folder)\nexcept OSError as error: print(error.strerror)\nrecord()"
    )
    assert run_program("-c", code, tmp_path / "mine").stdout.strip() == "Too many open files"
    assert not list((tmp_path / "mine").glob("*"))


def test_how_it_ended_is_known_on_a_full_disk(run_program: Callable, small_disk: Path) -> None:
    """Neither the clock pair nor run.json finds room: the log's header tells."""
    code = RUN + (
        "motrace.start(folder)\n"
        "try:\n"
        "    with open(folder + '/fill', 'wb', 0) as file:\n"
        "        while True: file.write(bytes(4096))\n"
        "except OSError: pass\n"
        "record(0, 9000); {}"
    )
    for number, (end, status) in enumerate(
        (("motrace.stop()", "completed"), ("1 / 0", "crashed"), ("os._exit(0)", "crashed"))
    ):
        run_program("-c", code.format(end), small_disk / str(number), check=False)
        recording = load_run(small_disk / str(number) / "01")
        assert recording.manifest.status == status
        assert any("found no room (a full disk)" in text for text in recording.warnings)
        (small_disk / str(number) / "fill").unlink()
