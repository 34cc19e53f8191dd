"""Files of the real VizTracer: calls with exact times, on the run's clock or alone."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from motrace import analysis
from motrace.commands import analyze
from motrace.dataset.profiles import ProfileTimes
from motrace.findings.codes import Action, Advice
from motrace.ingest.registry import source_of
from motrace.vocabulary import ClockMethod
from tests.conftest import ROOT
from tests.reports import phases, said

pytest.importorskip("viztracer")

FRAMES = 40
LOOP = f"""
import hashlib, os, sys, time
def digest(): return hashlib.sha256(b"x" * 4_000_000).digest()
def small(): return 1
def step(): return [small() for _ in range(20)] and digest()
def rest(): time.sleep(0.002)
def frame(): step(), rest()
def frames():
    for _ in range({FRAMES}): frame()
"""
BODY = f"""
import queue, threading, loaded
def every(count): yield from range(count)
def policy(): return [hash(one) for one in range(2000)]
def clock(): return time.perf_counter()
def write(work):
    while work.get() is not None: digest()
def play(work):
    for index in every({FRAMES // 2}):
        clock(), policy(), step()
        if index % 4 == 0: rest()
        clock(), rest(), work.put(index)
def main():
    work = queue.SimpleQueue()
    threading.Thread(target=write, args=(work,)).start()
    rest(), play(work), digest(), play(work), work.put(None)
main()
"""
RECORDED = f"""
import motrace
from viztracer import VizTracer
tracer = VizTracer(output_file=sys.argv[2], verbose=0)
motrace.start(sys.argv[1], run_id="mine")
tracer.start()
for _ in range({FRAMES}):
    with motrace.frame():
        with motrace.span("step"): step()
        with motrace.span("rest"): rest()
tracer.stop()
motrace.stop()
tracer.save()
"""


def run(*words: object, folder: Path) -> None:
    """Run a command of the user's to its end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program under the command ``viztracer``, and a run that traced itself."""
    folder = tmp_path_factory.mktemp("viztracer")
    (folder / "alone.py").write_text(LOOP + "frames()\n")
    run(sys.executable, "-m", "viztracer", "-o", "alone.json", "alone.py", folder=folder)
    (folder / "loaded.py").write_text("import time\ndef load(): time.sleep(0.005)\nfor _ in range(100): load()\n")
    (folder / "body.py").write_text(LOOP + BODY)
    run(sys.executable, "-m", "viztracer", "-o", "body.json", "body.py", folder=folder)
    (folder / "recorded.py").write_text(LOOP + RECORDED)
    run(sys.executable, "recorded.py", "e/run", "trace.json", folder=folder)
    (folder / "trace.json").rename(folder / "e/mine.json")
    return folder


def test_a_file_alone_is_a_run_whose_phases_are_functions(made: Path, tmp_path: Path) -> None:
    (tmp_path / "any.name").write_bytes(gzip.compress((made / "alone.json").read_bytes()))
    one = analysis.load(tmp_path / "any.name")
    (found,) = one.report.runs
    assert found.residual_ns == 0 and found.frames == FRAMES and "VizTracer" in " ".join(said(one.report))
    assert {"time.sleep", "rest (alone.py)", "digest (alone.py)"} <= set(phases(found))
    (profile,) = one.report.profiles
    assert profile.functions is not None
    own = {row.name.split(" (")[0]: row for row in profile.functions.own_time}
    assert own["small"].count == 20 * FRAMES and own["time.sleep"].total_ns > FRAMES * 2_000_000
    calls = pd.concat([pd.read_parquet(path) for path in one.events["nvtx"]])
    assert len(calls) == profile.functions.calls and set(calls["domain"]) == {"VizTracer"}
    assert (
        set(zip(calls["experiment"], calls["run"]))
        == {key[:2] for key in one.dataset.runs}
        == {("any.name", "any.name")}
    )
    whole = calls[calls["name"].str.startswith("rest (")]
    took = (whole["end_ns"] - whole["start_ns"]).sum()
    assert took == pytest.approx(own["rest"].total_ns + own["time.sleep"].total_ns, abs=2 * FRAMES)


def test_an_iteration_is_a_frame_and_what_it_calls_its_phases(made: Path) -> None:
    """From a call of ``policy`` to the next, whatever is called twice, now and then, or by imports."""
    one = analysis.load(made / "body.json")
    (found,) = one.report.runs
    names = {name.split(" (")[0] for name in phases(found)}
    assert found.frames == FRAMES and found.residual_ns == 0
    assert {"policy", "step", "rest", "clock", "digest"} <= names
    assert not names & {"main", "play", "write", "<module>", "builtins.exec"}
    frames = one.tables["frames"].to_pandas()
    calls = pd.concat([pd.read_parquet(path) for path in one.events["nvtx"]])
    begins = calls[calls["name"].str.startswith("policy (")]["start_ns"].sort_values()
    assert frames["start_ns"].tolist() == begins.tolist()
    inside = frames["end_ns"][:-1].reset_index(drop=True) == frames["start_ns"][1:].reset_index(drop=True)
    assert inside.tolist() == [at + 1 != FRAMES // 2 for at in range(FRAMES - 1)]
    per_frame = one.tables["frame_phases"].to_pandas().groupby("phase", observed=True)["frame"].nunique()
    counts = {name.split(" (")[0]: count for name, count in per_frame.items()}
    assert counts["policy"] == counts["step"] == counts["rest"] == FRAMES


def test_a_trace_alone_says_what_takes_the_loops_time(made: Path) -> None:
    verdict = analysis.load(made / "alone.json").report.verdict
    assert verdict.advice == Advice(Action.READ_HEAVIEST) and verdict.settle == Advice(Action.RECORD_WITH_MOTRACE)
    assert "sha256" in verdict.heaviest[0].name and not verdict.certain


def test_calls_lie_in_the_spans_of_the_run_that_they_watched(made: Path) -> None:
    one = analysis.load(made / "e")
    (profile,) = one.report.profiles
    assert profile.run == "mine" and profile.joined_by == "its process and time"
    (clock,) = (row for row in one.report.clocks if row.source.startswith("VizTracer"))
    assert clock.method is ClockMethod.MONOTONIC and clock.error_ns < 200_000
    assert one.report.runs[0].profiler_attached
    spans = one.tables["spans"].to_pandas()
    calls = pd.concat([pd.read_parquet(path) for path in one.events["nvtx"]])
    for name in ("step", "rest"):
        inner = calls[calls["name"].str.startswith(f"{name} (")].sort_values("start_ns")
        outer = spans[spans["name"] == name].sort_values("start_ns")
        assert len(inner) == len(outer) == FRAMES
        error = clock.error_ns
        assert (inner["start_ns"].to_numpy() > outer["start_ns"].to_numpy() - error).all()
        assert (inner["end_ns"].to_numpy() < outer["end_ns"].to_numpy() + error).all()


def changed(source: Path, target: Path, shift_us: float, base: int | None) -> None:
    """A copy with its times moved, as ``--align_combine`` does, and another base."""
    data: dict[str, Any] = json.loads(source.read_text())
    data["viztracer_metadata"].pop("baseTimeNanoseconds", None)
    data["viztracer_metadata"] |= {"baseTimeNanoseconds": base} if base is not None else {}
    for event in data["traceEvents"]:
        if "ts" in event:
            event["ts"] += shift_us
    target.write_text(json.dumps(data))


def test_what_ties_its_clock(made: Path, tmp_path: Path) -> None:
    """Without a base its clock is CLOCK_MONOTONIC if it ran while the run did; moved to 0 nothing ties it."""
    data = json.loads((made / "e/mine.json").read_text())
    first = min(event["ts"] for event in data["traceEvents"] if "ts" in event)
    base = data["viztracer_metadata"]["baseTimeNanoseconds"]
    for name, shift_us, its, method in (
        ("no base", 0.0, None, ClockMethod.MONOTONIC),
        ("at 0", -first, None, None),
        ("another boot", -first, base + int(first * 1000), ClockMethod.UTC),
    ):
        home = tmp_path / name
        subprocess.run(["cp", "-a", made / "e", home], check=True)
        changed(made / "e/mine.json", home / "mine.json", shift_us, its)
        report = analysis.load(home).report
        (profile,) = report.profiles
        clocks = [row.method for row in report.clocks if row.source.startswith("VizTracer")]
        assert profile.run == "mine", name
        assert clocks == ([] if method is None else [method]), name
        assert (profile.times is ProfileTimes.UNALIGNED) == (method is None), name


@pytest.mark.parametrize(("keep", "said"), [(0.6, "cut off"), (0.0, "saw nothing")])
def test_a_bad_file_is_one_line(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], keep: float, said: str
) -> None:
    text = (made / "alone.json").read_text()
    nothing = '{"traceEvents": [], "viztracer_metadata": {"version": "1.1.1"}}'
    (tmp_path / "x.json").write_text(text[: int(len(text) * keep)] or nothing)
    assert analyze.main([str(tmp_path / "x.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "x.json" in line


def test_a_time_stamp_out_of_range_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = {"ph": "X", "cat": "fee", "name": "f (a.py:1)", "pid": 1, "tid": 1, "ts": 1e30, "dur": 1.0}
    (tmp_path / "x.json").write_text(json.dumps({"traceEvents": [call], "viztracer_metadata": {"version": "1.1.1"}}))
    assert analyze.main([str(tmp_path / "x.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no call with a usable time" in line


def test_other_chrome_traces_are_not_taken_for_its(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"traceEvents": [{"ph": "X", "cat": "mine", "name": "a", "ts": 1, "dur": 2}]}')
    assert source_of(tmp_path / "x") is None
