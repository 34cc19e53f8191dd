"""``analyze`` and ``compare``, on recordings and on what is none."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import motrace
from motrace import analysis
from motrace.attribution.run import RunAnalysis
from motrace.commands import analyze, compare
from motrace.findings.compare import contrast_runs, gate
from motrace.findings.model import SCHEMA_VERSION, Report
from motrace.findings.values import PoolKey
from motrace.report.schema import decode
from tests.conftest import ROOT
from tests.findings import made

WORKLOAD = "tests.programs.workloads:Plain"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two experiments of two runs each."""
    import sys

    out = tmp_path_factory.mktemp("traces")
    for name in ("one", "two"):
        words = ("--mode", "none", "--repeat", 2, "--frames", 20, "--workload", WORKLOAD, "--out", out, "--name", name)
        subprocess.run([sys.executable, "-m", "tools.run_record", *map(str, words)], cwd=ROOT, check=True)
    return out


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
    return lines[0]


def test_everything_below_a_folder_is_analysed(recorded: Path, run_program: Callable) -> None:
    done = run_program("-m", "tools.analyze", recorded)
    for name in ("one", "two"):
        folder = recorded / name / "analysis"
        report = json.loads((folder / "report.json").read_text())
        assert report["schema_version"] == SCHEMA_VERSION and report["experiment"] == name
        assert [run["run_id"] for run in report["runs"]] == ["01-none", "02-none"]
        assert f"report: {folder / 'report.html'}" in done.stdout
        assert sorted(path.suffix for path in folder.iterdir()) == [".html", ".json", ".md", *[".parquet"] * 9]


def test_report_json_keeps_its_contract(recorded: Path, tmp_path: Path) -> None:
    assert analyze.main([str(recorded / "one"), "--out", str(tmp_path)]) == 0
    text = (tmp_path / "report.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    report = decode(text, "report.json", Report)
    assert [run.key for run in report.runs] == [PoolKey("none")] * 2 == 2 * [pool.key for pool in report.pools]
    assert report.command is not None and report.command.argv[:3] == ["python", "-m", "tools.run_record"]


def test_one_run_of_an_experiment_can_be_given(recorded: Path, tmp_path: Path) -> None:
    assert analyze.main([str(recorded / "one" / "02-none"), "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert [run["run_id"] for run in report["runs"]] == ["02-none"]
    assert report["environment"]["os"], "what the experiment says of the machine holds for its run"


def test_several_experiments_with_one_out(recorded: Path, tmp_path: Path) -> None:
    assert analyze.main([str(recorded), "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def here(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """analyze in this process: its exit status, and the only line on stderr."""
    status = analyze.main([str(word) for word in words])
    (line,) = capsys.readouterr().err.strip().splitlines()
    return status, line


def test_an_empty_folder(run_program: Callable, tmp_path: Path) -> None:
    done = run_program("-m", "tools.analyze", tmp_path, check=False)
    assert done.returncode == 1 and "holds no recording" in one_line(done)


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, line = here(capsys, tmp_path / "nothing")
    assert status == 1 and "no such file or folder" in line


def test_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    status, line = here(capsys, tmp_path / "file")
    assert status == 1 and "nor a file of py-spy" in line


def test_a_folder_that_is_something_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "spans.txt").write_text("no log")
    status, line = here(capsys, tmp_path)
    assert status == 1 and "holds no recording" in line


def test_a_bad_experiment_does_not_stop_the_others(recorded: Path, run_program: Callable, tmp_path: Path) -> None:
    shutil.copytree(recorded / "one", tmp_path / "good")
    (tmp_path / "bad" / "run").mkdir(parents=True)
    (tmp_path / "bad" / "run" / "run.json").write_text('{"run_id": "run", "status": "completed"}')
    done = run_program("-m", "tools.analyze", tmp_path, check=False)
    assert done.returncode == 1 and "no span was recorded" in one_line(done)
    assert (tmp_path / "good" / "analysis" / "report.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00\x01"])
def test_a_broken_manifest_is_a_warning(recorded: Path, tmp_path: Path, content: str) -> None:
    shutil.copytree(recorded / "one", tmp_path / "x")
    (tmp_path / "x" / "01-none" / "run.json").write_text(content)
    (tmp_path / "x" / "experiment.json").write_text(content)
    assert analyze.main([str(tmp_path / "x")]) == 0
    report = json.loads((tmp_path / "x" / "analysis" / "report.json").read_text())
    assert len(report["runs"]) == 2
    assert all(run["residual_ns"] == 0 for run in report["runs"])
    assert json.dumps(report["warnings"]).count(".json") >= 2


def test_a_truncated_span_log_is_analysed_up_to_there(recorded: Path, tmp_path: Path) -> None:
    shutil.copytree(recorded / "one", tmp_path / "x")
    (log,) = (tmp_path / "x" / "01-none").glob("spans-*.bin")
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    assert analyze.main([str(tmp_path / "x")]) == 0
    first, second = json.loads((tmp_path / "x" / "analysis" / "report.json").read_text())["runs"]
    assert 0 < first["frames"] < second["frames"] == 20
    assert first["residual_ns"] == 0
    assert first["status"] == "crashed" and "is cut off" in first["status_reason"], "it is not taken for a whole run"
    assert second["status"] == "completed"


def test_a_truncated_log_of_cpu_clocks_is_told(recorded: Path, tmp_path: Path) -> None:
    shutil.copytree(recorded / "one", tmp_path / "x")
    (log,) = (tmp_path / "x" / "01-none").glob("cpu-*.bin")
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    assert analyze.main([str(tmp_path / "x")]) == 0
    report = json.loads((tmp_path / "x" / "analysis" / "report.json").read_text())
    (warning,) = (one for one in report["warnings"] if f"{log.name} is cut off" in one["values"].get("text", ""))
    assert warning["code"] == "recorded" and warning["runs"] == ["01-none"]
    assert all(run["residual_ns"] == 0 for run in report["runs"])
    assert report["runs"][0]["unexplained_ns"] > 0 == report["runs"][1]["unexplained_ns"]


def test_an_output_folder_that_can_not_be_written(recorded: Path, run_program: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_program("-m", "tools.analyze", recorded / "one", "--out", tmp_path / "file" / "out", check=False)
    assert done.returncode == 1 and "--out" in one_line(done)


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        ["x", "--jobs", "0"],
        ["x", "--jobs", "two"],
        ["x", "--job", "1", "--sums"],
        ["x", "--phases", "d", "--sums"],
        ["x", "--out", "o", "--scrub", "s.sqlite"],
        ["x", "--sums", "--scrub", "s.sqlite"],
        [str(ROOT / "traces/demo-llvmpipe"), "--phases", "domain"],
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    status, _ = here(capsys, *words)
    assert status == 2


def test_a_program_of_ones_own_is_analysed(tmp_path: Path) -> None:
    """No launcher, no experiment: a folder into which motrace.start wrote."""
    motrace.start(tmp_path / "mine")
    for _ in range(5):
        with motrace.frame(), motrace.span("my phase"):
            sum(range(1_000_000))  # long against what a busy machine takes away
    motrace.stop()
    assert analyze.main([str(tmp_path / "mine")]) == 0
    report = json.loads((tmp_path / "mine" / "analysis" / "report.json").read_text())
    (run,) = report["runs"]
    assert run["status"] == "completed" and run["mode"] == "custom" and run["frames"] == 5
    assert "my phase" in [one["phase"] for one in run["phases"]]
    buckets = {one["bucket"]: one["time"]["ns"] for one in run["buckets"]}
    waited = sum(row["time"]["ns"] for row in run["causes"] if row["state"] == "runnable")
    assert buckets["python_overhead"] > 0.5 * (sum(buckets.values()) - waited), buckets


def test_a_program_that_raises_is_a_crash(run_program: Callable, tmp_path: Path) -> None:
    code = "import motrace, sys; motrace.start(sys.argv[1])\nwith motrace.span('x'): raise ValueError('broken')"
    done = run_program("-c", code, tmp_path / "mine", check=False)
    assert done.returncode == 1
    manifest = json.loads((tmp_path / "mine" / "01" / "run.json").read_text())
    assert manifest["status"] == "crashed" and manifest["status_reason"] == "ValueError: broken"


@pytest.mark.parametrize("where", ["frame", "segment"])
def test_no_report_is_made_of_parts_that_do_not_add_up(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    """One nanosecond more, in a frame or outside of all."""
    honest = analysis.build_tables

    def off_by_one(run: RunAnalysis) -> dict[str, pa.Table]:
        made = honest(run)
        rows = made["attribution"].to_pylist()
        row = next(row for row in rows if (row["frame"] is None) == (where == "segment"))
        row |= {name: row[name] + 1 for name in ("ns", "lo_ns", "hi_ns")}
        return {**made, "attribution": pa.Table.from_pylist(rows, schema=made["attribution"].schema)}

    monkeypatch.setattr(analysis, "build_tables", off_by_one)
    assert analyze.main([str(recorded / "one"), "--out", str(tmp_path / "out")]) == 1
    assert "1 ns are attributed twice or not at all" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# -- compare --------------------------------------------------------------------------------------


def test_an_experiment_does_not_regress_against_itself(recorded: Path) -> None:
    assert compare.main([str(recorded / "one"), str(recorded / "one"), "--fail-over", "0%"]) == 0


def test_a_regression_is_found(recorded: Path, run_program: Callable, tmp_path: Path) -> None:
    """The same workload, each frame twenty times as long."""
    words = ("--mode", "none", "--repeat", 3, "--frames", 10, "--workload", "tests.programs.slower:Slower")
    run_program("-m", "tools.run_record", *words, "--out", tmp_path, "--name", "slow")
    words = ("-m", "tools.compare", "--fail-over", "50%", "--unlike")
    done = run_program(*words, recorded / "one", tmp_path / "slow", check=False)
    assert done.returncode == 3
    assert "frame got" in done.stderr and "slower" in done.stderr and "(unlike: workload, frames)" in done.stderr
    done = run_program(*words, tmp_path / "slow", recorded / "one")
    assert "unlike: frames: 10 against 20" in done.stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [("5%", 0.05), ("5", 0.05), ("5 %", 0.05), ("0.5%", 0.005), ("0", 0.0), ("150", 1.5)],
)
def test_percentages(text: str, value: float) -> None:
    assert compare.fraction(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["five", "-1%", "%", "nan", "inf", "0.05", "1e9999"])
def test_no_percentages(capsys: pytest.CaptureFixture[str], recorded: Path, text: str) -> None:
    assert compare.main([str(recorded / "one"), str(recorded / "two"), f"--fail-over={text}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--fail-over" in line


UNLIKE = {
    "frames": ({"frames": 30}, "frames: 20 against 30"),
    "environments": ({"num_envs": 8}, "environments: 4 against 8"),
    "size": ({"width": 64, "height": 48}, "size: 320x180 against 64x48"),
    "program": ({"workload": "another:Class"}, f"workload: {WORKLOAD} against another:Class"),
    "arguments": ({"workload_args": ["--x", "1"]}, "arguments of the workload: none against --x 1"),
    "overrides": ({"overrides": ["a=1"]}, "overrides: none against a=1"),
    "capture": ({"capture": "async"}, "capture: none against async"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_experiments_are_not_compared(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    changed, message = UNLIKE[name]
    shutil.copytree(recorded / "one", tmp_path / "other")
    path = tmp_path / "other/experiment.json"
    facts = json.loads(path.read_text())
    facts["command"]["options"] |= changed
    path.write_text(json.dumps(facts))
    words = [str(recorded / "one"), str(tmp_path / "other"), "--fail-over", "5%"]
    assert compare.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"did not do the same work ({message})" in line and "--unlike" in line
    assert compare.main([*words, "--unlike"]) == 0
    assert f"unlike: {message}" in capsys.readouterr().out


def test_versions_that_changed_are_listed(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are what a comparison is made for, so they are no reason to refuse it."""
    shutil.copytree(recorded / "one", tmp_path / "other")
    path = tmp_path / "other/experiment.json"
    facts = json.loads(path.read_text())
    facts["environment"]["packages"] |= {"numpy": "9.9.9"}
    facts["environment"]["os"] = "Another OS"
    path.write_text(json.dumps(facts))
    assert compare.main([str(recorded / "one"), str(tmp_path / "other")]) == 0
    changed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("changed: ")]
    assert [line.split(": ")[1] for line in changed] == ["OS", "numpy"] and changed[1].endswith("against 9.9.9")


def test_what_the_runs_tell_is_compared_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames where no options are known, the adapter, what rode along, and a profiler around it."""
    for name in ("base", "new"):
        shutil.copytree(ROOT / "traces/demo-llvmpipe/01-record", tmp_path / name / "01-record")
    path = tmp_path / "new/01-record/run.json"
    manifest = json.loads(path.read_text())
    manifest["adapter"]["name"], manifest["adapter"]["driver_info"] = "Another GPU", "a newer driver"
    path.write_text(json.dumps({**manifest, "collectors": ["threads"], "profiler_attached": True}))
    (tmp_path / "new/experiment.json").write_text(json.dumps({"command": {"options": {"frames": 61}}}))
    assert compare.main([str(tmp_path / "base"), str(tmp_path / "new")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for told in (
        "frames: 60 against 61",
        "against Another GPU",
        "collectors: none against threads",
        "none against yes",
    ):
        assert told in line
    assert line.count(" against ") == 4, line


def test_a_mode_that_is_gone_does_not_pass(recorded: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copytree(recorded / "one", tmp_path / "base")
    shutil.copytree(recorded / "one/01-none", tmp_path / "base/03-record")
    path = tmp_path / "base/03-record/run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "run_id": "03-record", "mode": "record"}))
    words = [str(tmp_path / "base"), str(recorded / "one")]
    assert compare.main([*words, "--fail-over", "5%"]) == 3
    assert "compare: record: can't decide: no run of it completed" in capsys.readouterr().err
    assert compare.main(words) == 0


def test_another_interpreter_or_machine_is_what_a_comparison_is_for(recorded: Path, tmp_path: Path) -> None:
    shutil.copytree(recorded / "one", tmp_path / "other")
    path = tmp_path / "other/experiment.json"
    facts = json.loads(path.read_text())
    facts["command"]["options"] |= {"python": "/another/python", "video_per_env": False}
    facts["environment"]["packages"] = {"numpy": "99"}
    path.write_text(json.dumps(facts))
    assert compare.main([str(recorded / "one"), str(tmp_path / "other"), "--fail-over", "5"]) == 0


@pytest.mark.parametrize(
    ("base", "new", "slower"),
    [
        ([100, 101, 99], [120, 121, 119], True),
        ([100, 101, 99], [100, 101, 99], False),
        ([100, 101, 99], [50, 51, 49], False),
        ([100, 120, 80], [100, 115, 90], None),  # the interval allows more than 5 %
        ([100, 101, 99], [105, 106, 104], None),
        ([100], [90], None),  # one run has no spread
        ([100], [300], None),
    ],
)
def test_what_passes_a_gate(base: list[int], new: list[int], slower: bool | None) -> None:
    judged = gate(contrast_runs(*([made.run(wall=ns, frames=1) for ns in times] for times in (new, base))), 0.05)
    assert [one.slower for one in judged] == [slower, slower]


def test_a_gate_that_can_not_tell_does_not_pass(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, run in (("one", "01-none"), ("two", "02-none")):  # one run each
        shutil.copytree(recorded / name, tmp_path / name)
        shutil.rmtree(tmp_path / name / run)
    words = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert compare.main(words) == 0
    assert compare.main([*words, "--fail-over", "500"]) == 3
    assert "none: frame: can't decide whether it got slower by more than 500 %" in capsys.readouterr().err


def test_comparing_with_several_experiments(recorded: Path, run_program: Callable) -> None:
    done = run_program("-m", "tools.compare", recorded, recorded / "one", check=False)
    assert done.returncode == 1 and "holds 2 experiments" in one_line(done)


# -- the motrace command --------------------------------------------------------------------------


def test_the_console_command(recorded: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from motrace.cli import main

    assert main(["analyze", str(recorded / "one"), "--out", str(tmp_path)]) == 0
    assert main(["--help"]) == 0
    assert main([]) == 2
    assert main(["dance"]) == 2
    assert main(["analyse"]) == 2
    told = capsys.readouterr().err
    assert "no command 'dance'" in told and "did you mean analyze?" in told


def test_manifests_that_say_little_are_reported(tmp_path: Path) -> None:
    """Of a video, an adapter, episodes, options or an environment nothing is known: dashes, and no failure."""
    shutil.copytree(ROOT / "traces/demo-llvmpipe/01-record", tmp_path / "x/01-record")
    path = tmp_path / "x/01-record/run.json"
    manifest = json.loads(path.read_text())
    kept = {key: manifest[key] for key in ("schema_version", "run_id", "mode", "status", "clocks", "process")}
    path.write_text(json.dumps(kept))
    for file in (tmp_path / "x/01-record").glob("*.mp4"):
        file.unlink()
    assert analyze.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["runs"][0]["residual_ns"] == 0
    rows = {row["item"]: row for row in report["benchmark"]}
    assert rows["video.frames"]["value"] is None and rows["video.frames"]["remark"] is not None


INTERRUPTED_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pyarrow":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from motrace.cli import command
sys.exit(command("analyze", ["nowhere"]))
"""


def test_ctrl_c_while_a_command_is_imported_is_one_line(run_program: Callable) -> None:
    done = run_program("-c", INTERRUPTED_IMPORT, check=False)
    assert done.returncode == 130
    assert one_line(done) == "analyze: interrupted"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kineto.json", b'{"traceEvents": [], "schemaVersion": 1}'),
        ("scalene.json", b'{"alloc_samples": 3, "elapsed_time_sec": 3, "files": 7}'),
        ("speedscope.json", b'{"exporter": "py-spy", "$schema": "https://www.speedscope.app/", "profiles": []'),
        ("export.sqlite", b"SQLite format 3\0" + b"x" * 900),
        ("report.nsys-rep", b"x" * 900),
        ("nothing.txt", b"x"),
    ],
)
def test_an_error_names_a_file_once(name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert analyze.main([str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    what, _, advice = line.partition("run `")
    assert what.startswith(f"analyze: {path}") and what.count(name) == 1 and (name in advice) == bool(advice)
