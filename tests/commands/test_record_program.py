"""``run_record --instrument FILE -- python prog.py ARGS``: any Python program, with no edit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motrace.analysis import load
from motrace.attribution.pieces import collect_segments
from motrace.collect import scalene, torchprof
from motrace.collect.registry import Settings
from motrace.commands.passes import usable
from motrace.commands.record import free_name
from motrace.readers.recording import read_recording
from motrace.readers.scalene import read_lines
from motrace.readers.torch.kineto import read_torch
from motrace.record.torch_hook import FRAMES
from motrace.vocabulary import ClockMethod
from tests.commands.test_record_errors import one_line
from tests.conftest import ROOT
from tests.record.test_spans import names
from tests.reports import said, segments

PROGRAM = """
import atexit, json, os, sys
from json import loads
atexit.register(lambda: json.loads('"at exit"'))
def work(turns):
    for turn in range(turns):
        step(turn)
def step(turn):
    return loads(str(turn))
if __name__ == "__main__":
    work(int(sys.argv[1]))
    print(sys.argv, os.path.basename(__file__), __name__, "PYTHONPATH" in os.environ and os.environ["PYTHONPATH"])
    sys.stdout.write(sys.stdin.read())
    sys.exit(int(sys.argv[2]))
"""
TABLE = """
frame = "__main__.step"
[phases]
"json.loads" = "parse"
"__main__.step" = "step"
[segments]
drain = { after = "__main__.work" }
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program, and beside it what to measure of it."""
    (tmp_path / "what.toml").write_text(TABLE)
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def record(
    run_program: Callable, folder: Path, *command: object, file: str = "what.toml"
) -> subprocess.CompletedProcess[str]:
    """Record ``command`` into folder/x, whatever its exit status."""
    words = ("--out", folder, "--name", "x", "--instrument", folder / file, "--", *command)
    return run_program("-m", "tools.run_record", *words, check=False)


def manifest_of(folder: Path) -> dict[str, Any]:
    """The run's manifest."""
    return json.loads((folder / "x/01-custom/run.json").read_text())


def test_a_program_of_ones_own(run_program: Callable, program: Path, tmp_path: Path) -> None:
    done = record(run_program, tmp_path, sys.executable, program, 3, 0)
    assert done.returncode == 0, done.stderr
    turn = [("frame", None, True), ("step", "frame", True), ("parse", "step", True)]
    assert names(tmp_path / "x/01-custom") == [*turn, *turn, *turn, ("parse", None, True)]
    printed = (tmp_path / "x/01-custom/log.txt").read_text()
    assert str([str(program), "3", "0"]) in printed and "program.py __main__" in printed
    report = load(tmp_path / "x").report
    (run,) = report.runs
    assert report.comparison.own_program
    assert run.residual_ns == 0 and run.frames == 3 and run.mode == "custom" and run.status == "completed"
    assert list(segments(run)) == ["startup", "loop", "drain", "shutdown"]
    experiment = json.loads((tmp_path / "x/experiment.json").read_text())
    assert experiment["environment"]["program"]["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}")


MARKS = """
import sys, motrace
with motrace.span("prepare"):
    pass
if sys.argv[1] == "segment":
    motrace.segment("loop")
for turn in range(3):
    with motrace.frame() if sys.argv[1] != "span" else motrace.span("step"):
        pass
"""


@pytest.mark.parametrize(("marks", "own_word"), [("segment", True), ("frame", True), ("span", False)])
def test_a_program_that_marks_its_own_loop(run_program: Callable, tmp_path: Path, marks: str, own_word: bool) -> None:
    """Nothing in the file says where the loop begins: the program's own word counts, or its first frame."""
    (tmp_path / "marks.py").write_text(MARKS)
    (tmp_path / "what.toml").write_text('[phases]\n"json.loads" = "parse"\n')
    assert record(run_program, tmp_path, sys.executable, tmp_path / "marks.py", marks).returncode == 0
    recording = read_recording(tmp_path / "x/01-custom")
    found = collect_segments(recording)
    assert [one.name for one in found] == ["startup", "loop", "shutdown"]
    assert recording.loop.name[0] == "prepare"
    assert bool(found[1].start_ns >= recording.loop.end_ns[0]) is own_word


BUSY = """
import sys, time
def step(turn):
    until = time.perf_counter() + 0.06
    while time.perf_counter() < until:
        sum(range(2000))
    import torch
    return torch.ones(8, 8) @ torch.ones(8, 8)
for turn in range(14):
    step(turn)
"""


def test_scalene_and_torch_see_a_program_from_outside(run_program: Callable, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "busy.py").write_text(BUSY)
    (tmp_path / "what.toml").write_text('frame = "__main__.step"\n[phases]\n"__main__.step" = "step"\n')
    words = ("--out", tmp_path, "--name", "x", "--collect", "scalene,torch", "--instrument", tmp_path / "what.toml")
    done = run_program("-m", "tools.run_record", *words, "--", sys.executable, tmp_path / "busy.py", check=False)
    assert done.returncode == 0 and "warning" not in done.stdout, done.stdout + done.stderr
    rows = read_lines(tmp_path / "x/02-custom-scalene" / scalene.FILE).to_pylist()
    assert {row["file"].rpartition("/")[2] for row in rows} == {"busy.py"}  # no package, and nothing of the recorder
    assert sum(row["python_pct"] + row["native_pct"] + row["system_pct"] for row in rows if row["line"] in (5, 6)) > 1
    trace = json.loads((tmp_path / "x/03-custom-torch" / torchprof.FILE).read_text())
    own = [event["name"] for event in trace["traceEvents"] if event.get("ph") == "X"]
    assert own.count("aten::mm") == FRAMES
    clock = read_torch(tmp_path / "x/03-custom-torch" / torchprof.FILE).clock
    assert clock is not None and clock.method is ClockMethod.MARKS


def test_a_tool_that_the_programs_environment_lacks_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without installed packages
    (tmp_path / "python").chmod(0o755)
    settings = Settings(python=(str(tmp_path / "python"),))
    found, warnings = usable(("scalene", "torch"), settings)
    assert found == []
    assert "Scalene is not installed in the program's own environment" in warnings[0]
    assert f"{tmp_path}/python -m pip install scalene" in warnings[0]
    assert "no torch" in warnings[1]


@pytest.mark.parametrize("status", [2, 3])
def test_its_exit_status_is_told(run_program: Callable, program: Path, tmp_path: Path, status: int) -> None:
    """And is not ours, where 2 is wrong usage and 3 a failed gate."""
    done = record(run_program, tmp_path, sys.executable, program, 2, status)
    assert done.returncode == 1
    assert f"it ended with sys.exit({status})" in one_line(done)
    assert json.loads((tmp_path / "x/01-custom/run.json").read_text())["exit_code"] == status
    (run,) = load(tmp_path / "x").report.runs
    assert run.status == "crashed" and run.frames == 2 and run.residual_ns == 0


def test_its_exceptions_are_shown_as_python_shows_them(run_program: Callable, program: Path, tmp_path: Path) -> None:
    done = record(run_program, tmp_path, sys.executable, program, "many", 0)
    assert done.returncode == 1
    assert "ValueError: invalid literal for int() with base 10: 'many'" in one_line(done)
    log = (tmp_path / "x/01-custom/log.txt").read_text()
    plain = subprocess.run([sys.executable, program, "many", "0"], capture_output=True, text=True)
    assert plain.stderr in log, "no frame of ours in it"


@pytest.mark.parametrize(
    ("words", "spans"),
    [
        (("-m", "json.tool", "data.json"), 1),
        (("-mjson.tool", "data.json"), 1),
        (("-X", "utf8", "-m", "json.tool", "data.json"), 1),
        (("-c", "import json, sys; [json.loads(open(sys.argv[1]).read()) for _ in range(2)]", "data.json"), 2),
        (("-m", "timeit", "-n", "5", "-r", "2", "-s", "import json", "json.loads('[1]')"), 10),
    ],
)
def test_programs_that_we_did_not_write(
    run_program: Callable, tmp_path: Path, words: tuple[str, ...], spans: int
) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"a": [1, 2]}')
    (tmp_path / "json.toml").write_text('[phases]\n"json.loads" = "parse"\n"json.load" = "load"\n')
    command = [str(data) if word == "data.json" else word for word in words]
    done = record(run_program, tmp_path, sys.executable, *command, file="json.toml")
    assert done.returncode == 0, done.stderr
    found = [name for name, _, _ in names(tmp_path / "x/01-custom")]
    assert found.count("parse") == spans
    printed = (tmp_path / "x/01-custom/log.txt").read_text()
    if "timeit" not in words:
        plain = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
        assert printed == plain.stdout
    (run,) = load(tmp_path / "x").report.runs
    assert run.residual_ns == 0


def test_a_name_that_is_not_there_is_one_warning(run_program: Callable, program: Path, tmp_path: Path) -> None:
    (tmp_path / "what.toml").write_text(
        '[phases]\n"json.loads" = "p"\n"json.gone" = {phase = "x", versions = "Python 2"}\n'
    )
    done = record(run_program, tmp_path, sys.executable, program, 1, 0)
    assert done.returncode == 0
    text = "json.gone is not measured: json has no gone (versions that have it: Python 2)"
    assert done.stdout.count(text) == 1
    assert any(text in warning for warning in said(load(tmp_path / "x").report))


def test_a_command_of_an_installed_package(run_program: Callable, tmp_path: Path) -> None:
    """A console script is a Python program too: its first line names its interpreter."""
    script = tmp_path / "greet"
    script.write_text(f"#!{sys.executable}\nimport json\nprint('hello', json.loads('1'))\n")
    script.chmod(0o755)
    (tmp_path / "what.toml").write_text('[phases]\n"json.loads" = "parse"\n')
    done = record(run_program, tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert [name for name, _, _ in names(tmp_path / "x/01-custom")] == ["parse"]


@pytest.mark.parametrize(
    ("table", "words", "message"),
    [
        (None, (sys.executable, "x.py"), "what.toml can't be read: No such file"),
        ("[phases", (sys.executable, "x.py"), "what.toml: "),
        ("", (sys.executable, "x.py"), "names nothing to measure"),
        (TABLE, (), "give the program after `--`"),
        (TABLE, ("no-such-program",), "no-such-program: no such program"),
        (TABLE, ("ls", "-l"), "ls is not a Python program"),
        (TABLE, (sys.executable,), "must be a script, -m MODULE or -c CODE"),
        (TABLE, (sys.executable, "-m"), "-m: what comes after it is missing"),
        (TABLE, (sys.executable, "-I", "x.py"), "-I: an isolated Python can't load the recorder"),
    ],
)
def test_what_can_not_be_recorded_is_one_line(
    run_program: Callable, tmp_path: Path, table: str | None, words: tuple[str, ...], message: str
) -> None:
    if table is not None:
        (tmp_path / "what.toml").write_text(table)
    done = record(run_program, tmp_path, *words)
    assert done.returncode in (1, 2)
    assert message in one_line(done)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--frames", 3), ("--mode", "both"), ("--seed", 0), ("--workload", "humanoid")]
)
def test_options_of_workloads_are_refused(
    run_program: Callable, program: Path, tmp_path: Path, option: str, value: object
) -> None:
    words = ("--instrument", tmp_path / "what.toml", option, value, "--", sys.executable, program)
    done = run_program("-m", "tools.run_record", "--out", tmp_path, *words, check=False)
    assert done.returncode == 2 and f"{option} is for workloads" in one_line(done)


def test_a_script_that_is_not_there(run_program: Callable, tmp_path: Path) -> None:
    (tmp_path / "what.toml").write_text(TABLE)
    done = record(run_program, tmp_path, sys.executable, "nowhere.py")
    assert done.returncode == 1 and "nowhere.py: no such script" in one_line(done)


def test_a_program_that_takes_ctrl_c_for_its_end_was_interrupted(tmp_path: Path) -> None:
    """It exits with 0, and nobody knows how far it would have gone: that is not a completed run."""
    (tmp_path / "what.toml").write_text('frame = "__main__.step"\n[phases]\n"__main__.step" = "step"\n')
    (tmp_path / "program.py").write_text(
        "import time\ndef step():\n    time.sleep(0.01)\n"
        "try:\n    while True: step()\nexcept KeyboardInterrupt:\n    print('tidied up')\n"
    )
    words = ("--out", tmp_path, "--name", "x", "--instrument", tmp_path / "what.toml", "--")
    command = [sys.executable, "-m", "tools.run_record", *words, sys.executable, tmp_path / "program.py"]
    process = subprocess.Popen([str(word) for word in command], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("x/01-custom/spans-*.bin")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.strip() == "run_record: interrupted; what was recorded is kept"
    told = manifest_of(tmp_path)
    assert (told["status"], told["exit_code"]) == ("interrupted", 0) and told["workload"]["frames"] > 5
    assert "tidied up" in (tmp_path / "x/01-custom/log.txt").read_text()


def test_two_that_begin_in_the_same_second(tmp_path: Path) -> None:
    """Nobody gave a name, so nobody is told that it is taken."""
    assert free_name(tmp_path, "program-1") == "program-1"
    (tmp_path / "program-1").mkdir()
    (tmp_path / "program-1-2").mkdir()
    assert free_name(tmp_path, "program-1") == "program-1-3"
