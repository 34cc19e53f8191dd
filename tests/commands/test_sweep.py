"""Sweeps: the order, the runs, what goes wrong, resuming, and one on the real renderer."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motrace.analysis import load
from motrace.cautions import CautionCode
from motrace.commands import analyze, compare
from motrace.commands.sweep import main
from motrace.commands.sweep_runs import grid, turns_of
from tests.collect.observed import reached
from tests.conftest import ROOT, wait_for

GROWING = "tests.programs.growing"
GRID = ("--num-envs", "1,2", "--size", "64x36,128x72")


def sweep(run_program: Callable, out: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A sweep named x into ``out``, whatever its exit status."""
    return run_program("-m", "tools.sweep", "--out", out, "--name", "x", *words, check=False, **environment)


def cheap(workload: str, *words: object) -> tuple[object, ...]:
    """Words for a sweep of a test's own workload."""
    return ("--mode", "capture", "--frames", 3, "--warmup", 0, "--workload", f"{GROWING}:{workload}", *words)


def manifest(out: Path) -> dict[str, Any]:
    """What sweep.json holds."""
    found: dict[str, Any] = json.loads((out / "x/sweep.json").read_text())
    return found


def run_ids(out: Path) -> list[str]:
    """Every run below a sweep."""
    return sorted(f"{path.parent.parent.name}/{path.parent.name}" for path in (out / "x").glob("*/*/run.json"))


def here(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """The command in this process: its exit status, and the only line on stderr."""
    status = main([str(word) for word in words])
    (line,) = capsys.readouterr().err.strip().splitlines()
    return status, line


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line on stderr."""
    (line,) = done.stderr.strip().splitlines()
    assert "Traceback" not in line
    return line


def test_the_order_goes_forwards_then_backwards() -> None:
    a, b, c = grid([1, 4], [(64, 36)]) + grid([1], [(128, 72)])
    turns = [(turn.point, turn.round) for turn in turns_of([a, b, c], 3)]
    assert turns == [(a, 1), (b, 1), (c, 1), (c, 2), (b, 2), (a, 2), (a, 3), (b, 3), (c, 3)]
    assert [point.name for point in (a, b, c)] == ["e001-64x36", "e004-64x36", "e001-128x72"]


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))
def test_a_linear_drift_adds_the_same_to_every_point(envs: int, sizes: int, pairs: int) -> None:
    points = grid(range(1, envs + 1), [(16 * size, 16) for size in range(1, sizes + 1)])
    turns = turns_of(points, 2 * pairs)
    when = {point: sum(index for index, turn in enumerate(turns) if turn.point == point) for point in points}
    assert len(turns) == len(points) * 2 * pairs == len(set(turns)) and len(set(when.values())) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--num-envs", "1,x"), "--num-envs 1,x: write whole numbers separated by commas"),
        (("--num-envs", "1,"), "write whole numbers"),
        (("--num-envs", "4,0"), "--num-envs 0: must be at least 1"),
        (("--size", "320x180,big"), "--size big: write it as WIDTHxHEIGHT"),
        (("--size", "320x180,321x181"), "use --size 322x182"),
        (("--repeat", "0"), "--repeat 0: must be at least 1"),
        (("--frames", "0"), "--frames 0: must be at least 1"),
        (("--warmup", "-1"), "--warmup -1: must be at least 0"),
        (("--seed", "-1"), "--seed -1: must be between 0 and"),
        (("--stall-timeout", "0"), "--stall-timeout 0"),
        (("--mode", "both"), "invalid choice"),
        (("--workload", "nothing"), "give humanoid, unilab or MODULE:CLASS"),
        (("--python", "python3"), "--python names UniLab's interpreter"),
        (("--name", "../up"), "--name ../up: use only letters"),
        (("--resume",), "--resume: say which sweep with --name"),
        (("--resume", "--name", "y"), "holds no sweep.json"),
        (("--no-such-flag",), "unrecognized arguments"),
        (("foo",), "unrecognized arguments: foo"),
        (("--", "--load-run", "X"), "the workload humanoid takes no arguments"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    status, line = here(capsys, "--mode", "none", "--out", tmp_path, *words)
    assert status == 2 and message in line
    assert list(tmp_path.iterdir()) == []


def test_both_commands_are_there(run_program: Callable, tmp_path: Path) -> None:
    script = "import sys; from motrace.cli import main; sys.exit(main())"
    for words in (("-m", "tools.sweep"), ("-c", script, "sweep")):
        done = run_program(*words, "--num-envs", "0", "--out", tmp_path, check=False)
        assert done.returncode == 2 and one_line(done).startswith("sweep: --num-envs 0")


@pytest.mark.parametrize(("folder", "message"), [("nowhere", "no such file or folder"), (".", "holds no recording")])
def test_a_folder_without_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: str, message: str) -> None:
    status, line = here(capsys, "--analyze", tmp_path / folder)
    assert status == 1 and message in line


@pytest.mark.parametrize("words", [("--frames", "60"), ("--resume",), ("--name", "x"), ("--", "--its-own")])
def test_analysing_records_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]) -> None:
    """An option that is for recording is an error, also where its value is the default."""
    status, line = here(capsys, "--analyze", tmp_path, *words)
    assert status == 2 and line.startswith(f"sweep: {' '.join(words) if words[0] == '--' else words[0]}")
    assert "--analyze records nothing" in line


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A whole sweep of a cheap workload: 4 points, 2 rounds."""
    out = tmp_path_factory.mktemp("sweep")
    words = ("--out", out, "--name", "x", *GRID, "--repeat", 2, *cheap("Grows"), "--", "--its-own")
    command = [sys.executable, "-m", "tools.sweep", *map(str, words)]
    return out, subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=120)


def test_a_sweep_is_recorded_and_fitted(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, done = swept
    assert done.returncode == 0 and done.stderr == ""
    found = manifest(out)
    names = ["e001-64x36", "e002-64x36", "e001-128x72", "e002-128x72"]
    assert [entry["point"] for entry in found["runs"]] == [*names, *names[::-1]]
    assert {entry["status"] for entry in found["runs"]} == {"completed"} and found["status"] == "completed"
    entries = {entry["quantity"]: entry for entry in found["results"]["fits"]}
    assert set(entries) == {"frame", "capture"}
    assert entries["frame"]["fit"]["runs"] == 8 and len(entries["frame"]["points"]) == 4
    assert all(point["runs"] == 2 and point["mean_ns"] > 0 for point in entries["frame"]["points"])
    assert len(entries["frame"]["slopes"]) == 4
    assert "Frame (loop), mode capture" in done.stdout and "Growth with environments at 64x36" in done.stdout
    assert "tools.sweep" in " ".join(found["command"]["argv"]) and str(ROOT) not in (out / "x/sweep.md").read_text()


def test_each_point_is_an_experiment(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, _ = swept
    for name, envs in (("e001-64x36", 1), ("e002-128x72", 2)):
        report = load(out / "x" / name).report
        assert report.command is not None
        options = report.command.options
        assert report.experiment == f"x-{name}"
        assert report.experiment_id == json.loads((out / "x" / name / "experiment.json").read_text())["experiment_id"]
        assert not any(one.code is CautionCode.NO_EXPERIMENT_FILE for one in report.warnings)
        assert [run.run_id for run in report.runs] == ["01-capture", "02-capture"]
        assert options["num_envs"] == envs and options["workload_args"] == ["--its-own"]
        assert name.endswith("{width}x{height}".format(**options))
        assert all(run.frames == 3 and run.residual_ns == 0 for run in report.runs)


def test_the_times_are_those_of_the_reports(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, _ = swept
    rows = {row["run"]: row for row in manifest(out)["results"]["runs"]}
    (run, _) = load(out / "x/e002-64x36").report.runs
    row, capture = rows["x-e002-64x36/01-capture"], run.phase("capture")
    assert capture is not None
    assert (row["frame_ns"], row["capture_ns"]) == (run.loop_wall_ns / 3, capture.time.mean_ns)
    assert row["frame_ns"] >= 4e6  # two environments sleep 4 ms


def test_what_a_sweep_wrote_is_read_by_every_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, swept: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    shutil.copytree(swept[0], tmp_path / "traces")
    shutil.copytree(ROOT / "traces/demo-llvmpipe/02-none", tmp_path / "traces/z/02-none")  # what is sorted after it
    point = tmp_path / "traces/x/e001-64x36"
    for path in (tmp_path / "traces", tmp_path / "traces/x", point, point / "01-capture"):
        assert analyze.main([str(path)]) == 0
        assert (point / "analysis/report.html").exists()
        shutil.rmtree(point / "analysis")
    assert (tmp_path / "traces/z/analysis/report.html").exists()
    assert analyze.main([str(tmp_path / "traces"), "--out", str(tmp_path / "traces/results")]) == 0
    assert main(["--analyze", str(tmp_path / "traces/x")]) == 0
    assert analyze.main([str(tmp_path / "traces/x")]) == 0, "the results of an analysis are not a recording"
    other = tmp_path / "traces/x/e002-64x36"
    assert compare.main([str(point), str(point)]) == 0
    capsys.readouterr()
    assert compare.main([str(point), str(other)]) == 2
    assert "environments: 1 against 2" in capsys.readouterr().err
    assert compare.main([str(tmp_path / "traces/x"), str(other)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds 4 experiments" in line


def test_analysing_again_says_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, swept: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    shutil.copytree(swept[0] / "x", tmp_path / "x")
    before = {name: (tmp_path / "x" / name).read_bytes() for name in ("sweep.json", "sweep.md", "sweep.html")}
    for name in before:
        if name != "sweep.json":
            (tmp_path / "x" / name).unlink()
    assert main(["--analyze", str(tmp_path / "x")]) == 0
    assert {name: (tmp_path / "x" / name).read_bytes() for name in before} == before
    assert f"report: {tmp_path / 'x/sweep.html'}" in capsys.readouterr().out
    (tmp_path / "x/sweep.json").unlink()  # then it is a folder of experiments like any other
    assert main(["--analyze", str(tmp_path / "x")]) == 0
    assert manifest(tmp_path)["results"] == json.loads(before["sweep.json"])["results"]


def test_too_few_points_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, swept: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    shutil.copytree(swept[0] / "x/e001-64x36", tmp_path / "one")
    status, line = here(capsys, "--analyze", tmp_path / "one")
    assert status == 1
    assert "no fit: 2 completed runs at 1 point" in line and "at least 2 points and 3 runs" in line


def test_different_workloads_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, swept: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    shutil.copytree(swept[0] / "x", tmp_path / "x")
    path = tmp_path / "x/e001-64x36/experiment.json"
    facts = json.loads(path.read_text())
    facts["command"]["options"]["workload"] = "another"
    path.write_text(json.dumps(facts))
    status, line = here(capsys, "--analyze", tmp_path / "x")
    assert status == 1 and "different workloads" in line and "another" in line


def test_resuming_makes_only_what_is_missing(
    run_program: Callable,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    swept: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    shutil.copytree(swept[0] / "x", tmp_path / "x")
    shutil.rmtree(tmp_path / "x/e002-64x36/02-capture")
    shutil.rmtree(tmp_path / "x/e001-128x72")
    kept = {path: path.read_bytes() for path in (tmp_path / "x").glob("*/*/run.json")}
    words = (*GRID, "--repeat", 2, *cheap("Grows"), "--resume", "--", "--its-own")
    name = ("--out", tmp_path, "--name", "x")
    status, line = here(capsys, *name, *(word for word in words if word != "--resume"))
    assert status == 2 and "continue it with --resume" in line
    status, line = here(capsys, *name, *words, "another")
    assert status == 2 and "--resume: workload_args was ['--its-own'], now" in line
    done = sweep(run_program, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("completed in") == 3
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert run_ids(tmp_path) == run_ids(swept[0])
    assert manifest(tmp_path)["results"]["fits"][0]["fit"]["runs"] == 8
    more = sweep(run_program, tmp_path, "--repeat", 1, "--num-envs", "3", *GRID[2:], *words[6:])  # a grid may grow
    assert more.returncode == 0 and more.stdout.count("completed in") == 2
    assert manifest(tmp_path)["results"]["fits"][0]["fit"]["runs"] == 10


def test_a_point_that_fails_does_not_stop_the_others(run_program: Callable, tmp_path: Path) -> None:
    words = ("--num-envs", "1,2", "--size", "64x36", "--repeat", 3, *cheap("FailsAtTwo"))
    done = sweep(run_program, tmp_path, *words)
    assert done.returncode == 1
    assert "2 runs failed, first e002-64x36: 01-capture crashed: ValueError: two are too many" in one_line(done)
    assert done.stdout.count("warning: e002-64x36: 0") == 2 and "e002-64x36: not tried again" in done.stdout
    found = manifest(tmp_path)
    assert [entry["status"] for entry in found["runs"]] == [
        "completed", "crashed", "crashed", "completed", "completed", "not started",
    ]  # fmt: skip
    assert found["status"] == "crashed"
    assert "no fit: 3 completed runs at 1 point" in found["results"]["fits"][0]["unknown"]
    (left_out, *_) = (one["values"] for one in found["results"]["warnings"] if one["code"] == "run_left_out")
    assert left_out["run"].endswith("e002-64x36/01-capture") and left_out["reason"].startswith("ValueError")
    healed = sweep(run_program, tmp_path, *words, "--resume", HEALED="1")
    assert healed.returncode == 0, healed.stderr
    assert len(manifest(tmp_path)["command"]["earlier"]) == 1 and " s left" in healed.stdout
    expected = [f"e002-64x36/{name}" for name in ("01-capture", "01-capture-again1", "02-capture", "02-capture-again1",
                                                  "03-capture")]  # fmt: skip
    assert run_ids(tmp_path)[3:] == expected
    assert manifest(tmp_path)["results"]["fits"][0]["fit"]["runs"] == 6
    assert manifest(tmp_path)["status"] == "completed"


def test_a_point_that_hangs_is_ended(run_program: Callable, tmp_path: Path) -> None:
    words = ("--num-envs", "2,1", "--size", "64x36", "--repeat", 1, "--stall-timeout", 4)
    done = sweep(run_program, tmp_path, *words, *cheap("HangsAtTwo"))
    assert done.returncode == 1
    assert "no span for 4 s" in one_line(done) and "stuck here" in one_line(done)
    assert [entry["status"] for entry in manifest(tmp_path)["runs"]] == ["crashed", "completed"]


def test_ctrl_c_keeps_what_was_recorded(run_program: Callable, tmp_path: Path) -> None:
    words = ("--num-envs", "1,2", "--size", "64x36", "--repeat", 2, *cheap("HangsAtTwo"))
    command = [sys.executable, "-m", "tools.sweep", "--out", tmp_path, "--name", "x", *words]
    process = subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: process.poll() or reached(tmp_path / "x/e002-64x36/01-capture", span="stuck here"))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.count("\n") == 1 and "interrupted; what was recorded is kept: go on with --resume" in errors
    found = manifest(tmp_path)
    assert found["status"] == "interrupted"
    assert found["runs"][0]["status"] == "completed"
    assert {entry["status"] for entry in found["runs"][2:]} == {"not started"}
    resumed = sweep(run_program, tmp_path, *words, "--resume", HEALED="1")
    assert resumed.returncode == 0 and resumed.stdout.count("completed in") == 3
    assert manifest(tmp_path)["results"]["fits"][0]["fit"]["runs"] == 4


@pytest.mark.motrix
def test_a_sweep_of_the_real_renderer(run_program: Callable, tmp_path: Path) -> None:
    words = ("--num-envs", "1,2", "--size", "64x36", "--repeat", 2, "--frames", 3, "--warmup", 1, "--mode", "capture")
    done = sweep(run_program, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found = manifest(tmp_path)
    assert found["adapter"]["backend"] == "Vulkan"
    for row in found["results"]["runs"]:
        assert row["frames"] == 3 and row["adapter"] == found["adapter"]
        assert 0 < row["capture_ns"] < row["frame_ns"]
    for entry in found["results"]["fits"]:
        assert [term["name"] for term in entry["fit"]["terms"]] == ["fixed", "per_env"]
        assert entry["fit"]["runs"] == 4
    assert "Vulkan adapter" in (tmp_path / "x/sweep.md").read_text()
