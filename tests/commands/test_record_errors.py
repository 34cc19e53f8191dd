"""Errors that a user will meet: one line, the right exit status, and what was recorded is kept."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from motrace.analysis import load
from tests.collect.observed import reached, state_of
from tests.conftest import ROOT, wait_for
from tests.reports import phases, said

WORKLOADS = "tests.programs.workloads"


def record(run_program: Callable, out: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """run_record into ``out``, whatever its exit status."""
    return run_program("-m", "tools.run_record", "--out", out, "--name", "x", *words, check=False, **environment)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line on stderr."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--frames", "0"), "--frames 0: must be at least 1"),
        (("--frames", "many"), "invalid int value"),
        (("--warmup", "-1"), "--warmup -1: must be at least 0"),
        (("--num-envs", "0"), "--num-envs 0: must be at least 1"),
        (("--seed", "-1"), "--seed -1"),
        (("--seed", str(1 << 63)), "must be between 0 and"),
        (("--repeat", "0"), "--repeat 0"),
        (("--size", "321x181"), "use --size 322x182"),
        (("--size", "big"), "--size big: write it as WIDTHxHEIGHT"),
        (("--size", "4x4"), "must be between 16 and 8192"),
        (("--stall-timeout", "0"), "--stall-timeout 0"),
        (("--stall-timeout", "nan"), "--stall-timeout nan"),
        (("--collect-timeout", "0"), "--collect-timeout 0"),
        (("--collect", "pyspy", "--pyspy-rate", "0"), "--pyspy-rate 0: must be 1 to 1000"),
        (("--collect", "threads", "--pyspy-rate", "50"), "--pyspy-rate: add pyspy to --collect"),
        (("--pyspy-light",), "--pyspy-light: add pyspy to --collect"),
        (("--collect", "nothing"), "--collect nothing: nothing; choose from "),
        (("--collect", ""), "nothing is named"),
        (("--nsys-args", "'"), "No closing quotation"),
        (("--mode", "sideways"), "invalid choice"),
        (("--preset", "huge"), "invalid choice"),
        (("--name", "../up"), "--name ../up: use only letters"),
        (("--no-such-flag",), "unrecognized arguments"),
        (("--repeet", "3"), "did you mean --repeat?"),
        (("--workload", "humanoyd"), "did you mean humanoid?"),
        (("--collect", "pispy"), "did you mean pyspy?"),
        (("foo",), "unrecognized arguments: foo; to measure a program use `--instrument FILE -- python prog.py`"),
        (("python", "prog.py"), "unrecognized arguments: python; to measure a program"),
        (("--instrument", "x.toml", "python", "prog.py"), "unrecognized arguments: python; to measure a program"),
        (("--", "python", "prog.py"), "the workload humanoid takes no arguments; to measure a program"),
        (("--", "--load-run", "X"), "-- --load-run X: the workload humanoid takes no arguments"),
        (("--nsys-args", "--trace=nvtx"), "--nsys-args: add nsys to --collect"),
        (("--collect", "threads", "--nsys-args="), "--nsys-args: add nsys to --collect"),
        (("--collect-timeout", "60"), "--collect-timeout: add nsys to --collect"),
        (("--video-per-env",), "--video-per-env: mode none makes no video"),
        (
            ("--preset", "quick", "--frames", "1", "--warmup", "1", "--num-envs", "1", "--size", "64x48"),
            "--preset: every size that it sets is given",
        ),
        (("--name", ""), "--name : use only letters"),
        (("--workload", "nothing"), "give humanoid, unilab or MODULE:CLASS"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    run_program: Callable, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = run_program("-m", "tools.run_record", "--mode", "none", "--out", tmp_path, *words, check=False)
    assert done.returncode == 2
    assert message in one_line(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ("no_such_module:Class", "No module named 'no_such_module'"),
        (f"{WORKLOADS}:NoSuchClass", "has no NoSuchClass"),
    ],
)
def test_a_workload_that_is_not_there(run_program: Callable, tmp_path: Path, workload: str, message: str) -> None:
    done = record(run_program, tmp_path, "--mode", "none", "--workload", workload)
    assert done.returncode == 2
    assert message in one_line(done)


def test_a_folder_that_can_not_be_made(run_program: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = record(run_program, tmp_path / "file", "--mode", "none")
    assert done.returncode == 1
    assert "can't be made" in one_line(done) and "--out" in one_line(done)


def test_a_name_that_is_taken(run_program: Callable, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    done = record(run_program, tmp_path, "--mode", "none")
    assert done.returncode == 2
    assert "exists already" in one_line(done)


def test_arguments_reach_the_workload(run_program: Callable, tmp_path: Path) -> None:
    words = ("--mode", "none", "--frames", 2, "--workload", f"{WORKLOADS}:Plain", "--", "--its-own", "flag")
    done = record(run_program, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "x/01-none/run.json").read_text())
    assert manifest["workload"]["arguments"] == ["--its-own", "flag"]
    assert load(tmp_path / "x").report.runs[0].frames == 2


@pytest.mark.parametrize(
    ("workload", "reason", "status"),
    [
        ("Raises", "ValueError: something in two lines", 1),
        ("Exits", "the process ended with status 7: last words", 1),
        ("Killed", "killed by SIGKILL", 1),
        pytest.param("Panics", "Motrix panicked: ", 1, marks=pytest.mark.motrix),
        pytest.param("Closes", "the renderer closed in mid-run: ", 1, marks=pytest.mark.motrix),
    ],
)
def test_a_run_that_fails_is_told_and_kept(
    run_program: Callable, tmp_path: Path, workload: str, reason: str, status: int
) -> None:
    done = record(run_program, tmp_path, "--frames", 3, "--repeat", 2, "--workload", f"{WORKLOADS}:{workload}")
    assert done.returncode == status
    assert reason in one_line(done)
    assert "next: python -m tools.analyze" in done.stdout
    report = load(tmp_path / "x").report
    (run,) = report.runs  # the others were not started
    assert run.status == "crashed" and reason.split(":")[0] in run.status_reason
    assert run.frames == 3 and run.residual_ns == 0
    assert any("crashed" in text for text in said(report))
    assert not report.verdict.certain
    experiment = json.loads((tmp_path / "x/experiment.json").read_text())
    assert [entry["status"] for entry in experiment["runs"]] == ["crashed", *["not started"] * 3]


def test_a_profiler_that_hears_nothing_is_told(run_program: Callable, tmp_path: Path) -> None:
    """MOTRACE_NVTX makes the worker believe that a profiler is attached; none is, so nvtx gives its dummy."""
    words = ("--mode", "none", "--frames", 2, "--workload", f"{WORKLOADS}:Plain")
    done = record(run_program, tmp_path, *words, MOTRACE_NVTX="1")
    assert done.returncode == 0
    (warning,) = [line for line in done.stdout.splitlines() if line.startswith("warning")]
    assert "records none of our ranges" in warning and "nvtx==0.2.11" in warning
    manifest = json.loads((tmp_path / "x/01-none/run.json").read_text())
    assert manifest["nvtx"] == {"attached": True, "dummy": True, "shimmed": False}
    assert manifest["profiler_attached"] is True
    assert warning.endswith(manifest["collector_warnings"][0])


def test_a_run_that_hangs_is_ended_and_says_where(run_program: Callable, tmp_path: Path) -> None:
    words = ("--mode", "none", "--workload", f"{WORKLOADS}:Sleeps", "--stall-timeout", 4)
    done = record(run_program, tmp_path, *words)
    assert done.returncode == 1
    assert "no span for 4 s" in one_line(done) and "stuck here" in one_line(done)
    (run,) = load(tmp_path / "x").report.runs
    assert run.status == "crashed" and run.residual_ns == 0


def start(out: Path, workload: str) -> subprocess.Popen[str]:
    """run_record in the background, its run under way when this returns."""
    words = (
        "--mode",
        "none",
        "--out",
        out,
        "--name",
        "x",
        "--workload",
        f"{WORKLOADS}:{workload}",
        "--frames",
        "1000000",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.run_record", *map(str, words)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def under_way() -> bool:
        assert process.poll() is None
        return reached(out / "x/01-none", 20) or reached(out / "x/01-none", span="stuck here")

    wait_for(under_way)
    return process


def pending(pid: int, number: int) -> bool:
    """Whether a process that is stopped has been sent a signal."""
    (mask,) = re.findall(r"ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_kept(tmp_path: Path, number: int) -> None:
    process = start(tmp_path, "Plain")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "run_record: interrupted; what was recorded is kept"
    (run,) = load(tmp_path / "x").report.runs
    assert run.status == "interrupted" and run.residual_ns == 0 and run.frames > 10


def test_a_frame_that_ctrl_c_cut_short_does_not_count(tmp_path: Path) -> None:
    """Frames of 0.6 s: the signal falls into one; the workload says how many it finished."""
    process = start(tmp_path, "Slow")
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    manifest = json.loads((tmp_path / "x/01-none/run.json").read_text())
    (run,) = load(tmp_path / "x").report.runs
    assert run.status == "interrupted" and run.residual_ns == 0
    assert run.frames == manifest["workload"]["frames"] >= 1
    assert phases(run)["step"].time.p50_ns >= 600_000_000


def test_a_run_that_ignores_ctrl_c_is_killed_by_the_third(tmp_path: Path) -> None:
    """sleep returns at once on a signal, so this one is stuck for good only in a SIGSTOP."""
    process = start(tmp_path, "Sleeps")
    pid = json.loads((tmp_path / "x/01-none/run.json").read_text())["process"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) == "T")
    for passed_on in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(signal.SIGINT)
        wait_for(lambda sent=passed_on: pending(pid, sent))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not Path(f"/proc/{pid}").exists()


def test_a_run_dies_with_its_launcher_and_is_analysed(tmp_path: Path) -> None:
    process = start(tmp_path, "Plain")
    pid = json.loads((tmp_path / "x/01-none/run.json").read_text())["process"]["pid"]
    process.kill()
    process.communicate()
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    report = load(tmp_path / "x").report
    assert report.runs[0].residual_ns == 0 and report.runs[0].frames > 10


@pytest.mark.motrix
def test_without_a_vulkan_driver_the_package_is_named(run_program: Callable, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no driver")
    done = record(run_program, tmp_path, VK_DRIVER_FILES=nowhere, VK_ICD_FILENAMES=nowhere)
    assert done.returncode == 1
    line = one_line(done)
    assert "no Vulkan adapter" in line and "mesa-vulkan-drivers" in line
    assert list(tmp_path.iterdir()) == []


def corrupt(path: Path) -> None:
    path.write_bytes(b"this is not a checkpoint")


def cut_off(path: Path) -> None:
    from motrace.workloads.policy import seeded_policy

    seeded_policy(0).save(path)
    path.write_bytes(path.read_bytes()[:100_000])


def other_shape(path: Path) -> None:
    import torch

    from motrace.workloads.policy import seeded_policy

    state = {"mlp." + key: value for key, value in seeded_policy(0).network.state_dict().items()}
    state["mlp.0.weight"] = torch.zeros(512, 98)
    torch.save({"actor_state_dict": state}, path)


def other_content(path: Path) -> None:
    import torch

    torch.save({"weights": 1}, path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (Path.mkdir, "a folder; give the checkpoint file in it"),
        (corrupt, "not a torch checkpoint of plain tensors"),
        (cut_off, "it may be cut off"),
        (other_shape, "mlp.0.weight is (512, 98), this policy (160-512-256-128-29) needs (512, 160)"),
        (other_content, "holds no 'actor_state_dict'"),
    ],
)
def test_a_checkpoint_that_can_not_be_used(run_program: Callable, tmp_path: Path, make: Callable, message: str) -> None:
    path = tmp_path / "policy.pt"
    make(path)
    done = record(run_program, tmp_path, "--mode", "none", "--frames", 2, "--checkpoint", path)
    assert done.returncode == 1
    assert message in one_line(done)


def test_a_disk_that_is_full_in_mid_run(run_program: Callable, small_disk: Path) -> None:
    """The loop goes on, the user is told, and what was kept is analysed."""
    done = record(
        run_program, small_disk, "--mode", "none", "--frames", 60_000, "--workload", "tests.programs.slower:Fast"
    )
    assert done.returncode != 0
    assert "the disk is full" in one_line(done) and "--out" in one_line(done)
    assert "low disk" in done.stdout
    report = load(small_disk / "x").report
    (run,) = report.runs
    assert run.residual_ns == 0 and run.frames > 1000
    assert any("found no room (a full disk)" in text for text in said(report))
    assert any("low disk" in text for text in said(report))
