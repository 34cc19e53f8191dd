"""Profiles that users made with their own py-spy, Scalene and torch.profiler: found, joined, else analysed alone."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from motrace import analysis
from motrace.commands import analyze
from motrace.dataset.profiles import ProfileTimes, UserProfile
from motrace.findings.model import Report
from motrace.ingest.discover import walk
from motrace.ingest.registry import source_of
from tests.conftest import PROGRAMS, ROOT
from tests.reports import pools, read_report, said, segment_phases

PYSPY_PROGRAM = Path(sysconfig.get_path("scripts")) / "py-spy"
PROGRAM = PROGRAMS / "profiled.py"
FRAMES = 80
FORMATS = ("raw", "speedscope", "chrometrace", "flamegraph")


def run(*words: object, folder: Path) -> None:
    """Run a command of the user's to its end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def under_pyspy(folder: Path, output: str, run_folder: str, *flags: str) -> None:
    """The program under the user's py-spy."""
    words = (PYSPY_PROGRAM, "record", "-r", "100", *flags, "-o", output, "--", sys.executable, PROGRAM)
    run(*words, run_folder, FRAMES, folder=folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has at the end of a day: runs under one tool each, and files under names of the user's own."""
    if not PYSPY_PROGRAM.exists():
        pytest.skip("py-spy is not installed")
    pytest.importorskip("scalene")
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("own")
    for number, form in enumerate(FORMATS):
        extra = ("--native", "--idle") if form == "speedscope" else ()
        under_pyspy(folder, f"profile.{number}", form, "-f", form, *extra)
    run(sys.executable, PROGRAM, "kineto", FRAMES, "kineto.trace", folder=folder)
    run(sys.executable, "-m", "scalene", "run", "--cpu-only", "-o", "lines.json", PROGRAM, "---", "scalene", 2 * FRAMES,
        folder=folder)  # fmt: skip
    (folder / "scalene/notes").mkdir()
    (folder / "lines.json").rename(folder / "scalene/notes/mine")
    return folder


@pytest.fixture(scope="module")
def report(made: Path) -> Report:
    """All of it analysed: the runs with what belongs to them."""
    target = made.parent / "copy"
    shutil.copytree(made, target)  # copy2 keeps when the files were written
    assert analyze.main([str(target), "--out", str(target / "out")]) == 0
    return read_report(target / "out" / target.name)


def profiles(report: Report) -> dict[str, UserProfile]:
    return {one.file: one for one in report.profiles}


def test_files_are_told_by_what_is_in_them(made: Path) -> None:
    found = {str(file.path.relative_to(made)): file.source.name for file in walk(made)[1]}
    assert found == {
        **{f"profile.{number}": "py-spy" for number in range(4)},
        "kineto.trace": "torch.profiler", "scalene/notes/mine": "Scalene",
    }  # fmt: skip


def test_each_belongs_to_the_run_whose_process_it_watched(report: Report) -> None:
    found = profiles(report)
    joined = {name: one.run for name, one in found.items()}
    # Raw and flamegraph name no process and lie beside five runs: they stay alone, in reports of their own.
    assert joined == {
        "profile.1": "speedscope",
        "profile.2": "chrometrace",
        "kineto.trace": "kineto",
        "mine": "scalene",
    }
    assert found["mine"].joined_by == "the folder it lies in"
    disturbed = {one.run_id for one in report.runs if one.profiler_attached}
    assert disturbed == set(joined.values())
    assert all(one.residual_ns == 0 for one in report.runs)


def test_runs_of_one_id_are_called_by_their_folders(report: Report) -> None:
    assert sorted(one.run_id for one in report.runs) == sorted((*FORMATS, "kineto", "scalene"))


def test_a_kineto_trace_is_put_on_the_clock_of_its_run(made: Path, report: Report) -> None:
    (clock,) = [row for row in report.clocks if row.source.startswith("torch.profiler")]
    assert clock.run_id == "kineto" and clock.error_ns <= 2_000_000  # on a busy machine by UTC: the error says so
    out = made.parent / "copy/out/copy"
    spans, nvtx = (pd.read_parquet(out / f"{name}.parquet") for name in ("spans", "nvtx"))
    spans = spans[spans["run"] == "kineto"]
    for name in ("count", "digest", "rest"):
        mine = spans[spans["name"] == name]["start_ns"].sort_values().to_numpy()
        theirs = nvtx[nvtx["name"] == name]["start_ns"].sort_values().to_numpy()
        assert len(mine) == len(theirs) == FRAMES
        assert np.median(np.abs(mine - theirs)) < clock.error_ns + 300_000


def test_what_a_profile_tells_is_true(report: Report) -> None:
    told = profiles(report)["profile.1"]
    stacks = told.stacks
    assert stacks is not None and stacks.native
    assert (told.format, told.times) == ("speedscope", ProfileTimes.ORDERED)
    classes = {one.kind: one for one in stacks.classes}
    assert sum(one.samples or 0 for one in classes.values()) == stacks.samples > 30
    assert {"interpreter", "sleeping"} <= set(classes) and any("crypto" in name or "hash" in name for name in classes)
    assert all((one.lo or 0) <= one.share <= (one.hi or 0) for one in classes.values())
    hot = {one.name.split(" (")[0] for one in stacks.lines[:6]}
    assert {"digest", "main"} <= hot
    without = profiles(report)["profile.2"]
    assert without.stacks is not None and not without.stacks.native and without.stacks.classes == ()
    assert without.times is ProfileTimes.FROM_START


def test_samples_of_users_do_not_reach_the_run_s_own_composition(report: Report) -> None:
    assert all(one.trace is None or not one.trace.samples for one in report.runs)
    assert all(pool.composed is None for pool in pools(report).values())


@pytest.mark.parametrize(("name", "form"), [("profile.0", "raw"), ("profile.3", "flamegraph")])
def test_what_belongs_to_no_run_is_analysed_alone(
    made: Path, tmp_path: Path, name: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(made / name, tmp_path / "x.any")
    assert analyze.main([str(tmp_path / "x.any")]) == 0
    shown = capsys.readouterr().out
    assert "x.any" in shown and "of no run here" in shown
    out = tmp_path / "analysis/x.any"
    one = read_report(out)
    (told,) = one.profiles
    stacks = told.stacks
    assert stacks is not None and one.runs == () and (told.format, told.run) == (form, None)
    assert told.times is ProfileTimes.COUNTED
    assert "digest" in " ".join(spot.name for spot in stacks.lines)
    for page in ("report.md", "report.html"):
        text = (out / page).read_text()
        assert "py-spy file x.any" in text and "Analysed alone" in text
    samples = pd.read_parquet(out / "samples.parquet")
    assert samples["weight_ns"].sum() == pytest.approx(stacks.seconds * 1e9)
    assert set(zip(samples["experiment"], samples["run"])) == {("x.any", "x.any")}
    assert not (out / "attribution.parquet").exists()


def test_a_kineto_trace_alone_has_phases(made: Path, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(gzip.compress((made / "kineto.trace").read_bytes()))
    one = analysis.load(tmp_path)
    (run_,) = one.report.runs
    assert one.name == "t" and run_.mode == "trace" and run_.residual_ns == 0
    totals = {name: phase.total_ns for name, phase in segment_phases(run_, "loop").items()}
    events = one.report.profiles[0].events
    assert events is not None
    ranges = {row.name: row.total_ns for row in events.ranges}
    # The one that covers most repeats at the outermost level: it is the frame.
    assert {"count", "digest", "rest"} == set(ranges) and set(totals) < {*ranges, "glue"}
    assert "torch.profiler alone" in " ".join(said(one.report))


def test_a_file_in_a_run_s_folder_that_is_of_another_process_is_not_joined(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "raw", tmp_path / "e/mine")
    shutil.copy2(made / "profile.1", tmp_path / "e/mine/profile")
    shutil.copy2(made / "kineto.trace", tmp_path / "e/mine/trace")
    assert analyze.main([str(tmp_path / "e"), "--out", str(tmp_path / "out")]) == 0
    reports = {path.parent.name: read_report(path.parent) for path in tmp_path.glob("out/*/report.json")}
    assert set(reports) == {"e", "profile", "trace"} and reports["e"].profiles == ()
    for name in ("profile", "trace"):
        (told,) = reports[name].profiles
        assert told.joined_by is None
        assert "of another process than mine" in " ".join(said(reports[name]))


def test_a_file_that_names_nobody_belongs_to_the_run_it_lies_in(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "raw", tmp_path / "e/raw")
    shutil.copy2(made / "profile.0", tmp_path / "e/raw/flames.txt")
    one = analysis.load(tmp_path / "e")
    (told,) = one.report.profiles
    assert told.run == "run" and told.joined_by == "the folder it lies in"


def test_a_process_id_alone_joins_nothing_of_another_day(made: Path, tmp_path: Path) -> None:
    """Ids come again: a profile written long after the run, without motrace's frames, is of another process."""
    shutil.copytree(made / "speedscope", tmp_path / "e/run")
    text = (made / "profile.1").read_text().replace("motrace/record/", "elsewhere/").replace("motrace/", "elsewhere/")
    (tmp_path / "e/p").write_text(text)
    os.utime(tmp_path / "e/p", (1, 1))
    assert analyze.main([str(tmp_path / "e"), "--out", str(tmp_path / "out")]) == 0
    told = {path.parent.name: read_report(path.parent).profiles for path in tmp_path.glob("out/*/report.json")}
    assert told["e"] == () and told["p"][0].run is None


@pytest.mark.parametrize("name", ["profile.1", "profile.2", "kineto.trace", "scalene/notes/mine"])
def test_a_file_that_was_cut_off_is_one_line(
    made: Path, tmp_path: Path, name: str, run_program: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    whole = (made / name).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) * 2 // 3])
    done = run_program("-m", "tools.analyze", tmp_path / "cut", check=False)
    if done.returncode == 0:  # what is written event by event is read up to there
        assert name in ("profile.2", "kineto.trace") and "file cut" in done.stdout
        return
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "key"), [("profile.1", "profiles"), ("kineto.trace", "traceEvents")])
def test_a_file_in_which_nothing_was_seen_is_one_line(
    made: Path, tmp_path: Path, name: str, key: str, run_program: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "x").write_text(json.dumps({**json.loads((made / name).read_text()), key: []}))
    done = run_program("-m", "tools.analyze", tmp_path / "x", check=False)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
    assert "saw nothing" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x00\x01", b"{", b"[]", b"[1, 2]", b"plain words 3\n", b'{"traceEvents": []}', b"<svg></svg>",
        b"\x1f\x8bnothing", b'{"$schema": "https://www.speedscope.app/file-format-schema.json", "exporter": "other"}',
        b'{"files": {}}', b'[{"ph": "B", "cat": "mine", "name": "x"}]', b"a.py:3;b 4\n", b"main.c (f:1) 2 3 x\n",
    ],
)  # fmt: skip
def test_other_files_are_nobody_s(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert source_of(tmp_path / "x") is None


@pytest.mark.parametrize("name", ["kineto.trace", "profile.1", "scalene/notes/mine"])
def test_a_tool_may_be_named_at_the_end_of_a_file(made: Path, tmp_path: Path, name: str) -> None:
    """Written anew by another program, what names the tool comes last."""
    data = json.loads((made / name).read_text())
    big = {"mine": "x" * (1 << 17)}
    first = [key for key in ("traceEvents", "$schema", "alloc_samples") if key in data]
    rest = {key: value for key, value in data.items() if key not in first}
    (tmp_path / "x").write_text(json.dumps({**{key: data[key] for key in first}, **big, **rest}))
    assert source_of(tmp_path / "x") == source_of(made / name) is not None


def test_what_our_own_collectors_wrote_is_not_the_user_s(tmp_path: Path, made: Path) -> None:
    shutil.copytree(made / "speedscope", tmp_path / "run")
    shutil.copy(made / "profile.1", tmp_path / "run/py-spy.speedscope.json")
    runs, files = walk(tmp_path)
    assert files == [] and [file.collected for file in runs[tmp_path / "run"]] == [True]


def test_a_profile_of_several_processes_goes_to_the_run_of_each(tmp_path: Path) -> None:
    code = f"import subprocess, sys\nfor name in 'ab': subprocess.run([sys.executable, {str(PROGRAM)!r}, name, '40'])"
    words = (PYSPY_PROGRAM, "record", "-s", "-r", "100", "-f", "speedscope", "-o", "both", "--", sys.executable, "-c")
    run(*words, code, folder=tmp_path)
    one = analysis.load(tmp_path)
    told = one.report.profiles
    assert sorted(str(entry.run) for entry in told) == ["a", "b"]
    pids = {entry.run: {thread.pid for thread in entry.stacks.threads} for entry in told if entry.stacks is not None}
    logs = {name: {int(path.stem.split("-")[1]) for path in (tmp_path / name).glob("spans-*.bin")} for name in "ab"}
    assert pids == logs


def test_time_stamps_of_0_do_not_stretch_the_trace(tmp_path: Path) -> None:
    """Kineto writes some GPU events at 0 (its issue 109): they are left out with a warning; the frames are kept."""
    start = 1_700_000_000_000_000
    events = [
        {
            "ph": "X",
            "cat": "user_annotation",
            "name": f"Step#{number}",
            "pid": 1,
            "tid": 1,
            "ts": start + 1000 * number,
            "dur": 900,
            "args": {},
        }
        for number in range(6)
    ]
    stray = {**events[0], "cat": "kernel", "name": "gemm", "ts": 0, "args": {"device": 0, "stream": 7}}
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "deviceProperties": [], "traceEvents": [*events, stray]}))
    assert analyze.main([str(path), "--out", str(tmp_path / "out")]) == 0
    report = read_report(tmp_path / "out")
    assert report.runs[0].frames == 6 and report.runs[0].residual_ns == 0
    assert any("time stamp is 0" in text for text in said(report))
