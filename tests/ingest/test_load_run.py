"""Runs and the traces that watched them, joined: with the real Nsight Systems, and on traces by others."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from motrace import analysis
from motrace.collect.nsys import find_nsys
from motrace.commands import analyze
from motrace.errors import MotraceError
from motrace.ingest.discover import find
from motrace.ingest.registry import NSYS, source_of
from motrace.report.say import say
from motrace.vocabulary import ClockMethod
from tests.collect.nsys_help import installed
from tests.conftest import PROGRAMS, ROOT, SHARED
from tests.readers.exports import everything
from tests.reports import events, read_report, said

A100, H100 = (SHARED / "fixtures" / name for name in ("a100_saxpy.sqlite", "h100_2gpu_1s.sqlite"))


def needs(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not here: it comes with the workplace, not with the project")
    return path


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of known composition under nsys with scheduling off: a run folder, and its export elsewhere."""
    nsys = installed()
    out = tmp_path_factory.mktemp("watched")
    trace = (
        "profile",
        "--trace=nvtx,osrt",
        "--sample=none",
        "--cpuctxsw=none",
        f"--session-new=join-{uuid.uuid4().hex[:12]}",
    )
    program = (sys.executable, PROGRAMS / "composition.py", out / "run", out / "truth.json", 8)
    words = [str(word) for word in (nsys.path, *trace, "--output", out / "far/report", *program)]
    (out / "far").mkdir()
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=240)
    stream, report = out / "far/report.qdstrm", out / "far/report.nsys-rep"
    if stream.exists():
        nsys.import_stream(stream, report)
    return out


@pytest.fixture(scope="module")
def joined(watched: Path) -> analysis.Analysis:
    return analysis.load(watched)


@pytest.mark.nsys
def test_a_report_anywhere_below_the_path_is_joined_to_its_run(joined: analysis.Analysis) -> None:
    (run,) = joined.report.runs
    assert run.mode == "custom" and run.residual_ns == 0
    assert events(run)["nvtx"] > 50 and events(run)["api_calls"] > 100


@pytest.mark.nsys
def test_the_clocks_are_aligned_to_less_than_50_us(joined: analysis.Analysis) -> None:
    (row,) = [row for row in joined.report.clocks if row.source == "nsys"]
    assert row.pairs > 50 and row.method is ClockMethod.RANGES
    assert row.error_ns < 50_000
    spans, nvtx = joined.tables["spans"].to_pandas(), pd.read_parquet(joined.events["nvtx"][0])
    ranges = nvtx[(nvtx["kind"] == "range") & (nvtx["domain"] == "motrace") & (nvtx["tid"] == spans["tid"].mode()[0])]
    assert len(ranges) >= 0.9 * len(spans)  # the program ends by os._exit: what nsys had not yet saved is lost
    for name, theirs in ranges.groupby(ranges["name"].astype(str)):
        mine = spans[spans["name"] == name].sort_values("start_ns")
        theirs = theirs.sort_values("start_ns").rename(columns={"start_ns": "range_start_ns", "end_ns": "range_end_ns"})
        pairs = pd.merge_asof(
            theirs, mine, left_on="range_start_ns", right_on="start_ns", direction="nearest", suffixes=("_range", "")
        )
        # A range begins before its span and ends after it: within the error, on the aligned clock too.
        assert (pairs["range_start_ns"] <= pairs["start_ns"] + row.error_ns).mean() > 0.8
        assert (pairs["range_end_ns"] >= pairs["end_ns"] - row.error_ns).mean() > 0.8


@pytest.mark.nsys
def test_waits_name_what_the_loop_thread_waited_on(joined: analysis.Analysis) -> None:
    waits = joined.tables["waits"].to_pandas()
    loop = waits[(waits["role"] == "loop") & waits["waits_on"].notna()]
    most = loop.sort_values("total_ns").groupby(loop["phase"].astype(str)).last()["waits_on"]
    assert most["sleep"] == "sleep"
    assert most["child"] in ("io", "poll")
    assert most["other thread"] in ("semaphore", "futex", "condition")


@pytest.mark.nsys
def test_true_causes_lie_inside_the_narrowed_bounds(watched: Path, joined: analysis.Analysis) -> None:
    truth = json.loads((watched / "truth.json").read_text())
    rows = joined.tables["attribution"].to_pandas()
    for phase, cause in (("other thread", "other_threads"), ("child", "other_processes")):
        found = rows[(rows["phase"] == phase) & (rows["cause"] == cause)]
        true = sum(one["other_ns"] for one in truth if one["phase"] == phase)
        assert true and found["evidence"].astype(str).str.contains("waiting_calls").any()
        held = rows[(rows["phase"] == phase) & (rows["cause"] == "gil")]["hi_ns"].sum()  # it works with the lock, too
        assert found["lo_ns"].sum() * 0.98 <= true <= (found["hi_ns"].sum() + held) * 1.02


@pytest.mark.nsys
def test_tables_are_written(watched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main([str(watched), "--out", str(tmp_path / "out")]) == 0
    for name in ("nvtx", "api_calls", "waits"):
        assert len(pd.read_parquet(tmp_path / "out" / f"{name}.parquet"))
    text = (tmp_path / "out/report.md").read_text()
    assert "## What profilers saw of" in text and say(ClockMethod.RANGES) in text
    assert (tmp_path / "out/report.html").read_text().count("What the loop thread waited on") == 1
    capsys.readouterr()


@pytest.mark.nsys
def test_a_stream_that_nobody_imported_is_read_and_kept(tmp_path: Path) -> None:
    nsys = installed()
    program = [sys.executable, str(PROGRAMS / "nvtx_ranges.py")]
    trace = ["--trace=nvtx", "--sample=none", "--cpuctxsw=none", f"--session-new=stream-{uuid.uuid4().hex[:12]}"]
    words = [str(nsys.path), "profile", *trace, f"--output={tmp_path / 'r'}", *program]
    done = subprocess.run([*words, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True, timeout=120)
    if (tmp_path / "r.nsys-rep").exists():
        pytest.skip("this nsys finds its importer")
    assert (tmp_path / "r.qdstrm").exists(), done.stdout + done.stderr
    one = analysis.load(tmp_path)
    assert (tmp_path / "r.qdstrm").exists() and one.report.runs


def test_somebody_elses_trace_has_phases_and_frames(tmp_path: Path) -> None:
    shutil.copy(needs(A100), tmp_path / "saxpy.sqlite")
    one = analysis.load(tmp_path)
    (run,) = one.report.runs
    assert one.name == "saxpy" and run.mode == "trace" and run.residual_ns == 0
    assert run.frames == 5
    gpu = one.tables["gpu_phases"].to_pandas()
    assert gpu["operations"].sum() == 20  # 5 kernels, 15 copies
    assert "default" in " ".join(said(one.report))
    assert [text for text in said(one.report) if "its frames cover 0.0%" in text]  # 0.2 ms of 1 s


def test_phases_can_be_chosen(tmp_path: Path) -> None:
    shutil.copy(needs(A100), tmp_path / "saxpy.sqlite")
    run = analysis.load(tmp_path, phases="MPI").report.runs[0]
    assert "MPI_Recv" in str(run.segment_phases)
    with pytest.raises(MotraceError, match=r"no push/pop range.*; it has MPI:\d+, :\d+ \("):
        analysis.load(tmp_path, phases="nothing-like-it")


def test_work_whose_launch_is_not_in_the_trace_is_kept(tmp_path: Path) -> None:
    """Over half of the kernels of this cut recording have no launching call; the other rank's are not the run's."""
    shutil.copy(needs(H100), tmp_path / "cut.sqlite")
    one = analysis.load(tmp_path)
    gpu = one.tables["gpu_phases"].to_pandas().set_index("phase")
    (pid,) = one.tables["threads"].to_pandas().query("role == 'loop'")["pid"]
    own = f"(globalPid >> 24) & 0xFFFFFF = {pid}"
    with sqlite3.connect(tmp_path / "cut.sqlite") as db:
        launched = "SELECT correlationId, globalTid >> 24 FROM CUPTI_ACTIVITY_KIND_RUNTIME WHERE eventClass IN (0, 1)"
        lost = sum(
            db.execute(
                f"SELECT count(*) FROM {table} WHERE {own} AND (correlationId, globalPid >> 24) NOT IN ({launched})"
            ).fetchone()[0]
            for table in ("CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY", "CUPTI_ACTIVITY_KIND_MEMSET")
        )
        every = sum(
            db.execute(f"SELECT count(*) FROM {table} WHERE {own}").fetchone()[0]
            for table in ("CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY", "CUPTI_ACTIVITY_KIND_MEMSET")
        )
    assert gpu.loc["unattributed", "operations"] >= lost > 1000
    assert gpu["operations"].sum() == every


def test_two_forms_of_one_report_count_once(tmp_path: Path) -> None:
    shutil.copy(needs(A100), tmp_path / "saxpy.sqlite")
    (tmp_path / "saxpy.nsys-rep").write_bytes(b"never looked at")
    assert len(find([tmp_path], tmp_path / "scratch")) == 1


@pytest.mark.parametrize("name", ["bad.sqlite", "bad.nsys-rep", "empty.sqlite"])
def test_a_bad_trace_does_not_stop_the_rest(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "traces/demo-llvmpipe", tmp_path / "good")
    (tmp_path / "good/01-record" / name).write_bytes(b"" if "empty" in name else b"SQLite format 3\0 no more")
    assert analyze.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert told.err == "" and told.out.count(name) >= 1
    report = read_report(tmp_path / "out")
    assert len([text for text in said(report) if name in text]) == 1 and report.runs


def test_a_folder_that_bears_a_reports_name_is_a_warning(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "traces/demo-llvmpipe", tmp_path / "good")
    (tmp_path / "good/nsys.nsys-rep").mkdir()
    report = analysis.load(tmp_path).report
    assert len([text for text in said(report) if "nsys.nsys-rep" in text]) == 1 and report.runs


@pytest.mark.parametrize("command", [["--out"], ["--sums", "--out"]])
def test_where_the_better_form_is_damaged_the_other_is_read(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An export that was cut off lies beside a form of the same recording that is whole."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/r.sqlite").write_bytes(b"")
    assert analyze.main([str(tmp_path / "in"), *command, str(tmp_path / "out")]) == 1
    assert "r.sqlite" in capsys.readouterr().err
    everything().write(tmp_path / "made", "arrow").rename(tmp_path / "in/r.arrow")
    assert analyze.main([str(tmp_path / "in"), *command, str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert told.err == "" and "r.sqlite: empty" in told.out
    assert list((tmp_path / "out").glob("report.json" if len(command) == 1 else "sums.csv"))


@pytest.mark.nsys
def test_a_report_of_a_newer_nsys_says_what_to_do(tmp_path: Path) -> None:
    assert find_nsys() is not None or installed()
    (tmp_path / "x.nsys-rep").write_bytes(b"not a report at all" * 100)
    with pytest.raises(MotraceError, match="nsys export"):
        analysis.load(tmp_path)


def test_scrub_keeps_the_original_and_says_what_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Path(shutil.copy(needs(A100), tmp_path / "r.sqlite"))
    before = source.read_bytes()
    for path, target, words in (
        (source, source, "the export itself"),
        (source, tmp_path / "no/such.sqlite", "no such folder"),
        (source, tmp_path, "a folder"),
        (tmp_path / "r.nsys-rep", tmp_path / "x.sqlite", "nsys export"),
        (tmp_path, tmp_path / "x.sqlite", "nsys export"),
        (tmp_path / "none.sqlite", tmp_path / "x.sqlite", "no such file"),
    ):
        assert analyze.main([str(path), "--scrub", str(target)]) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and words in told
    assert source.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["r.sqlite"]


def test_scrub_is_a_command(tmp_path: Path, run_program: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    run_program("-m", "tools.analyze", needs(A100), "--scrub", tmp_path / "clean.sqlite")
    with sqlite3.connect(tmp_path / "clean.sqlite") as db:
        assert db.execute("SELECT count(*) FROM NVTX_EVENTS").fetchone()[0] == 24
        told = "SELECT count(*) FROM TARGET_INFO_SYSTEM_ENV WHERE name LIKE '%nvironment%' AND length(value) > 0"
        assert db.execute(told).fetchone()[0] == 0


@pytest.mark.parametrize("form", ["sqlite", "arrow"])
def test_an_export_is_recognised_by_what_is_in_it(tmp_path: Path, form: str) -> None:
    """Whatever it is called."""
    everything().write(tmp_path / "made", form).rename(tmp_path / "any.name")
    assert source_of(tmp_path / "any.name") == NSYS
    (run,) = analysis.load(tmp_path / "any.name").report.runs
    assert run.residual_ns == 0 and events(run)["api_calls"]
