"""``run_record --collect nsys`` and ``nsys profile ... run_record`` with the real Nsight Systems."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motrace.readers.run import load_run
from tests.collect.nsys_help import emitted, installed, ours, processes, rows, tables
from tests.conftest import ROOT, wait_for

WORKLOADS = "tests.programs.workloads"
RANGE, MARK = 59, 34
"""A pass that hung, and its repetition."""
pytestmark = pytest.mark.nsys


@pytest.fixture(scope="module", autouse=True)
def scratch() -> Iterator[Path]:
    """Where nsys keeps what it needs, and what tells our processes from those of others who use nsys here."""
    with tempfile.TemporaryDirectory(prefix="mt-") as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", name)  # short: there are sockets in it
        yield Path(name)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(scratch: Path) -> Iterator[None]:
    """No process and no temporary folder of nsys."""
    installed()
    yield
    wait_for(lambda: not processes("=motrace-", scratch))
    assert not list(scratch.glob("motrace-nsys-*"))


def command(out: Path, *words: object) -> list[str]:
    """run_record on the light workload, into ``out``/x."""
    base = (sys.executable, "-m", "tools.run_record", "--out", out, "--name", "x", "--mode", "none", "--frames", 50)
    return [str(word) for word in (*base, "--workload", f"{WORKLOADS}:Plain", "--collect-timeout", 20, *words)]


def record(out: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Its end."""
    return subprocess.run(
        command(out, *words), cwd=ROOT, text=True, capture_output=True, timeout=240, env={**os.environ, **environment}
    )


def manifest(out: Path, run_id: str) -> dict[str, Any]:
    return json.loads((out / "x" / run_id / "run.json").read_text())


def warnings(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("warning")]


def check_ranges(run_dir: Path, export: Path) -> None:
    """What the recorder emitted is what nsys recorded."""
    pid = json.loads((run_dir / "run.json").read_text())["process"]["pid"]
    assert len(ours(export, pid, RANGE)) == emitted(run_dir) > 50
    marks = ours(export, pid, MARK)
    assert [name for name, _ in marks].count(f"motrace.run {run_dir.name}") == 1
    syncs = [payload for name, payload in marks if name == "motrace.sync"]
    begin, end = load_run(run_dir).bounds_ns()
    assert len(syncs) >= 2 and all(payload is not None and begin < payload < end for payload in syncs)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    installed()
    out = tmp_path_factory.mktemp("traces")
    return out, record(out, "--collect", "nsys")


def test_a_pass_follows_the_quiet_runs(experiment: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, done = experiment
    assert done.returncode == 0 and done.stderr == "" and warnings(done) == []
    entries = json.loads((out / "x/experiment.json").read_text())["runs"]
    assert [(one["run_id"], one["collectors"], one["observer"], one["status"]) for one in entries] == [
        ("01-none", [], False, "completed"),
        ("02-none-nsys", ["nsys"], True, "completed"),
    ]
    unprofiled, watched = manifest(out, "01-none"), manifest(out, "02-none-nsys")
    assert unprofiled["options"] == watched["options"]
    assert unprofiled["nvtx"] == {"attached": False} and unprofiled["collect"] == {}
    assert watched["nvtx"]["attached"] is True and watched["nvtx"]["dummy"] is False
    assert watched["exit_code"] == 0 and watched["collector_warnings"] == []
    assert watched["resources"]["cpu_ns"] > 10_000_000
    told = watched["collect"]["nsys"]
    assert told["version"] == installed().version_text and told["perf_events"] is False and told["hung"] is False
    assert {"--sample=none", "--cpuctxsw=none"} <= set(told["flags"])


def test_ranges_recorded_are_ranges_emitted(experiment: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    run_dir = experiment[0] / "x/02-none-nsys"
    names = {path.name for path in run_dir.iterdir()}
    assert {"nsys.nsys-rep", "nsys.sqlite"} <= names or {"nsys.nsys-rep", "nsys_pqtdir"} <= names
    assert not [name for name in names if name.endswith(".qdstrm") or name.startswith(".")]
    assert {one["path"] for one in manifest(experiment[0], "02-none-nsys")["artifacts"]} >= {"nsys.nsys-rep"}
    check_ranges(run_dir, sqlite_of(run_dir))
    assert {"OSRT_API", "NVTX_EVENTS"} <= tables(sqlite_of(run_dir))


def sqlite_of(run_dir: Path) -> Path:
    """The SQLite export, made where the pass chose another type."""
    made = run_dir / "nsys.sqlite"
    if not made.exists():
        installed()._export("sqlite", run_dir / "nsys.nsys-rep", made)
    return made


@pytest.mark.motrix
def test_a_pass_with_the_real_renderer(tmp_path: Path) -> None:
    done = record(
        tmp_path, "--workload", "humanoid", "--mode", "record", "--warmup", 2, "--frames", 8, "--num-envs", 1,
        "--size", "64x36", "--collect", "nsys",
    )  # fmt: skip
    assert done.returncode == 0 and warnings(done) == [], done.stdout + done.stderr
    run_dir = tmp_path / "x/02-record-nsys"
    check_ranges(run_dir, sqlite_of(run_dir))
    watched, unprofiled = manifest(tmp_path, "02-record-nsys"), manifest(tmp_path, "01-record")
    assert watched["adapter"] == unprofiled["adapter"] and watched["adapter"]["backend"] == "Vulkan"
    assert (
        watched["video"]["frames"] == 8
        and watched["workload"]["state_sha256"] == unprofiled["workload"]["state_sha256"]
    )
    export = sqlite_of(run_dir)
    ((calls,),) = rows(export, "SELECT count(*) FROM VULKAN_API")
    assert calls > 1000
    if installed().profile_options.has("--trace", "vulkan-annotations"):
        labels = {name for (name,) in rows(export, "SELECT value FROM VULKAN_DEBUG_API JOIN StringIds ON id = textId")}
        assert "main_opaque_pass_3d" in labels, "WGPU_DEBUG makes the renderer name its passes"


def test_the_users_flags_are_passed_on(tmp_path: Path) -> None:
    done = record(tmp_path, "--collect", "nsys", "--nsys-args", "--trace=nvtx")
    assert done.returncode == 0, done.stderr
    flags = manifest(tmp_path, "02-none-nsys")["collect"]["nsys"]["flags"]
    assert [flag for flag in flags if flag.startswith("--trace")] == ["--trace=nvtx"]
    run_dir = tmp_path / "x/02-none-nsys"
    check_ranges(run_dir, sqlite_of(run_dir))
    assert "OSRT_API" not in tables(sqlite_of(run_dir))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("-o elsewhere", "--output is set by run_record"),
        ("--no-such-flag=1", "this version of nsys has no --no-such-flag"),
        ("'unbalanced", "No closing quotation"),
    ],
)
def test_flags_that_can_not_work_are_refused_at_once(tmp_path: Path, args: str, message: str) -> None:
    done = record(tmp_path, "--collect", "nsys", "--nsys-args", args)
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_flags_that_nsys_refuses_cost_the_pass_alone(tmp_path: Path) -> None:
    done = record(tmp_path, "--collect", "nsys", "--nsys-args", "--trace=no-such-api")
    assert done.returncode == 0 and done.stderr == ""
    assert any("the tool that should start the process did not: " in text for text in warnings(done))
    experiment = json.loads((tmp_path / "x/experiment.json").read_text())
    assert experiment["status"] == "completed"
    assert [one["status"] for one in experiment["runs"]] == ["completed", "crashed"]


def start(out: Path, *words: object) -> tuple[subprocess.Popen[str], int]:
    """run_record, and the measured process of its pass under nsys, which goes on until it is ended."""
    words = ("--workload", f"{WORKLOADS}:EndlessUnderProfiler", "--collect", "nsys", *words)
    process = subprocess.Popen(
        command(out, *words), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: process.poll() is not None or list(out.glob("x/02-none-nsys/spans-*.bin")))
    pid = wait_for(lambda: manifest(out, "02-none-nsys").get("process"))["pid"]
    wait_for(lambda: emitted(out / "x/02-none-nsys") > 100)
    return process, pid


def end(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def test_ctrl_c_ends_the_run_and_keeps_its_report(tmp_path: Path) -> None:
    process, pid = start(tmp_path)
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert done.returncode == 130
    assert done.stderr.strip() == "run_record: interrupted; what was recorded is kept"
    assert not Path(f"/proc/{pid}").exists()
    assert manifest(tmp_path, "02-none-nsys")["status"] == "interrupted"
    check_ranges(tmp_path / "x/02-none-nsys", sqlite_of(tmp_path / "x/02-none-nsys"))
    assert json.loads((tmp_path / "x/experiment.json").read_text())["status"] == "interrupted"


def test_a_launcher_that_is_killed_takes_everything_with_it(tmp_path: Path, scratch: Path) -> None:
    process, _ = start(tmp_path)
    process.kill()
    process.communicate()
    wait_for(lambda: not processes(str(tmp_path), scratch))
    wait_for(lambda: not processes("=motrace-", scratch))
    assert emitted(tmp_path / "x/02-none-nsys") > 100
    for folder in scratch.glob("motrace-nsys-*"):  # there is nobody left to remove it
        subprocess.run(["rm", "-r", folder], check=True)


def stop_for_ever(word: str, scratch: Path) -> list[int]:
    """Hold the processes of nsys of our session that have this word in their command line."""
    found = list(processes(word, scratch))
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    return found


def test_nsys_that_never_stops_is_ended(tmp_path: Path, scratch: Path) -> None:
    process, pid = start(tmp_path, "--collect-timeout", 2)
    assert stop_for_ever("--session-new=motrace-", scratch)
    os.kill(pid, signal.SIGTERM)
    done = end(process)
    (entry,) = [text for text in warnings(done) if "made no progress" in text]
    assert "nsys made no progress for 2 s after the run's end: killed" in entry
    assert manifest(tmp_path, "02-none-nsys")["collect"]["nsys"]["hung"] is True
    assert emitted(tmp_path / "x/02-none-nsys") > 100, "the run itself is kept"
    assert not processes("=motrace-", scratch)


def test_a_hang_with_perf_events_makes_the_pass_again_until_one_ends_well(tmp_path: Path, scratch: Path) -> None:
    words = ("--workload", f"{WORKLOADS}:LongUnderProfiler", "--collect", "nsys", "--collect-timeout", 6)
    args = ("--nsys-args", "--cpuctxsw=process-tree --trace=nvtx")
    process = subprocess.Popen(
        command(tmp_path, *words, *args), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: list(tmp_path.glob("x/02-none-nsys/spans-*.bin")))
    assert stop_for_ever("--session-name=motrace-", scratch), "the agent, which is what hangs"
    (tmp_path / "x/02-none-nsys/go").touch()
    done = end(process)
    assert done.returncode == 0 and done.stderr == ""
    assert any("it does that with perf events on" in text for text in warnings(done))
    assert (tmp_path / "x/02-none-nsys-again").is_dir(), done.stdout
    assert not (tmp_path / "x/02-none-nsys/nsys.nsys-rep").exists()
    last = json.loads((tmp_path / "x/experiment.json").read_text())["runs"][-1]["run_id"]
    told = manifest(tmp_path, last)["collect"]["nsys"]
    assert "--trace=nvtx" in told["flags"], "the user's other flags stay"
    assert last.startswith("02-none-nsys-again") and told["hung"] is False
    check_ranges(tmp_path / "x" / last, sqlite_of(tmp_path / "x" / last))


def test_a_run_that_is_killed_under_nsys_is_no_failure_of_the_experiment(tmp_path: Path) -> None:
    done = record(tmp_path, "--workload", f"{WORKLOADS}:KilledUnderProfiler", "--collect", "nsys")
    assert done.returncode == 0 and done.stderr == ""
    assert any("the process was killed by SIGKILL" in text for text in warnings(done))
    watched = manifest(tmp_path, "02-none-nsys")
    assert watched["status"] == "crashed" and watched["exit_code"] == -9
    assert sqlite_of(tmp_path / "x/02-none-nsys").exists()


def test_run_record_under_a_profiler_of_the_users_own(tmp_path: Path) -> None:
    """``nsys profile -o FILE python -m tools.run_record`` with no flag of ours, into a folder that is not there."""
    nsys = installed()
    flags = ("-s", "none", "--cpuctxsw=none", f"--session-new=motrace-{uuid.uuid4().hex[:12]}")
    output = tmp_path / "g1/report"
    words = [str(nsys.path), "profile", *flags, "-o", str(output), *command(tmp_path, "--collect", "nsys")]
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (warning,) = warnings(done)
    assert "can't be nested" in warning
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("profiled by nsys")]
    assert "its report is read where it lies below the folder to analyse; this one with `python -m tools" in told
    assert Path(ROOT / told.split("tools.analyze ")[1].rstrip("`")).resolve() == tmp_path.resolve()
    (following,) = [line for line in done.stdout.splitlines() if "next: python" in line]
    assert following.endswith(told.split("`")[1])  # where the report is too, not the experiment's folder alone
    run = manifest(tmp_path, "01-none")
    assert run["profiler_attached"] is True and run["profiled_by"] == "nsys"
    assert run["nvtx"]["attached"] is True and run["nvtx"]["dummy"] is False
    stream, report = output.with_suffix(".qdstrm"), output.with_suffix(".nsys-rep")
    if stream.exists():
        nsys.import_stream(stream, report)
    nsys._export("sqlite", report, output.with_suffix(".sqlite"))
    check_ranges(tmp_path / "x/01-none", output.with_suffix(".sqlite"))
