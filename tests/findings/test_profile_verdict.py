"""A profile that stands alone gets its own answer: right, or an abstention that says what is not visible."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from motrace import analysis
from motrace.findings.codes import Action, Doubt, Meaning, Whole
from motrace.findings.model import Verdict
from motrace.report.sections import answer

PROGRAM = """\
import os, time
def work(n):
    total = 0
    for i in range(n):
        total += i
def rest():
    time.sleep(0.01)
def send(fd):
    os.write(fd, b"x" * 65536)
def frame():
    join("a", "b")
def call(native):
    native.hash(1)
"""
MAIN = "<module> (program.py:30);loop (program.py:20)"
IMPORT = "<module> (program.py:1);_find_and_load (<frozen importlib._bootstrap>:1176)"


def pyspy(folder: Path, samples: Mapping[str, int], source: bool = True) -> Verdict:
    """The verdict of py-spy's raw samples; ``source``: the program lies beside them."""
    if source:
        (folder / "program.py").write_text(PROGRAM)
        os.utime(folder / "program.py", (1, 1))
    (folder / "stacks.txt").write_text("".join(f"{stack} {count}\n" for stack, count in samples.items()))
    return analysis.load(folder / "stacks.txt").report.verdict


@pytest.mark.parametrize(("leaf", "meaning"), [
    ("work (program.py:5)", Meaning.THREAD_RUNS), ("rest (program.py:7)", Meaning.SLEEPS),
    ("send (program.py:9)", Meaning.WAITS_FOR_PIPE), ("frame (program.py:11)", Meaning.THREAD_RUNS),
    ("wait (threading.py:327)", Meaning.WAITS_WHILE_IDLE), ("select (selectors.py:416)", Meaning.WAITS_FOR_PIPE),
])  # fmt: skip
def test_lines_without_native_frames_say_what_their_source_calls(tmp_path: Path, leaf: str, meaning: Meaning) -> None:
    verdict = pyspy(tmp_path, {f"{MAIN};{leaf}": 180, f"{MAIN};work (program.py:4)": 20, IMPORT: 60})
    assert verdict.leading is not None and verdict.meaning is meaning
    assert verdict.leading.share == pytest.approx(1.0 if meaning is Meaning.THREAD_RUNS else 0.9)
    assert verdict.leading.lo_share < verdict.leading.share and not verdict.certain
    assert verdict.heaviest[0].name == leaf
    assert verdict.settle is not None and verdict.settle.action is Action.ADD_NATIVE_AND_IDLE


def test_a_line_whose_source_is_not_here_is_no_evidence(tmp_path: Path) -> None:
    verdict = pyspy(tmp_path, {f"{MAIN};rest (program.py:7)": 180, f"{MAIN};work (program.py:4)": 20}, source=False)
    assert verdict.leading is None and verdict.heaviest[0].name == "rest (program.py:7)"


def test_source_that_was_changed_since_is_no_evidence(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "program.py").write_text(PROGRAM)
    os.utime(folder / "program.py", (1 << 33, 1 << 33))
    assert pyspy(folder, {f"{MAIN};rest (program.py:7)": 180}, source=False).leading is None


def test_a_thread_that_moves_between_lines_runs(tmp_path: Path) -> None:
    verdict = pyspy(tmp_path, {f"{MAIN};work (x.py:4)": 100, f"{MAIN};work (x.py:5)": 60}, source=False)
    assert verdict.meaning is Meaning.THREAD_RUNS and verdict.doubt is Doubt.RUNNING_ALONE
    assert verdict.whole is Whole.RUNNING


def test_a_program_that_was_seen_only_while_it_started_gets_no_verdict(tmp_path: Path) -> None:
    verdict = pyspy(tmp_path, {IMPORT: 60, f"{MAIN};work (program.py:5)": 6, f"{MAIN};rest (program.py:7)": 3})
    assert verdict.leading is None and verdict.doubt is Doubt.RUNNING_ALONE


@pytest.mark.parametrize(("native", "meaning", "certain"), [
    ("clock_nanosleep (libc.so.6);time_sleep (timemodule.c:390)", Meaning.SLEEPS, True),
    ("EVP_Digest (libcrypto.so.3)", Meaning.THREAD_RUNS, False),
])  # fmt: skip
def test_native_frames_are_evidence(tmp_path: Path, native: str, meaning: Meaning, certain: bool) -> None:
    leaf = ";".join(reversed(native.split(";")))
    verdict = pyspy(tmp_path, {f"{MAIN};rest (program.py:7);{leaf}": 180, f"{MAIN};f (a.py:4);x (libz.so.1)": 20})
    assert verdict.meaning is meaning and verdict.certain is certain


def test_running_is_certain_where_the_samples_show_waits_too(tmp_path: Path) -> None:
    hashes, sleeps = "EVP_Digest (libcrypto.so.3)", "time_sleep (timemodule.c:390);clock_nanosleep (libc.so.6)"
    verdict = pyspy(tmp_path, {f"{MAIN};work (program.py:5);{hashes}": 160, f"{MAIN};rest (program.py:7);{sleeps}": 40})
    assert verdict.meaning is Meaning.THREAD_RUNS and verdict.certain and verdict.leading is not None
    assert verdict.leading.lo_share < 0.8 < verdict.leading.hi_share


def line(number: int, source: str, python: float, native: float, system: float) -> dict[str, object]:
    """A line as Scalene writes it."""
    return {"lineno": number, "line": source, "n_cpu_percent_python": python, "n_cpu_percent_c": native,
            "n_sys_percent": system, "n_copy_mb_s": 0.0, "n_peak_mb": 0.0}  # fmt: skip


@pytest.mark.parametrize(("source", "numbers", "meaning"), [
    ("    time.sleep(rest)\n", (20.0, 0.0, 1.0), Meaning.SLEEPS),
    ("    os.write(fd, b'x' * (1 \\u003c\\u003c 15))\n", (1.0, 0.0, 20.0), Meaning.WAITS_FOR_PIPE),
    ("    library.call()\n", (1.0, 0.0, 20.0), Meaning.WAITS_WHILE_IDLE),
    ("    np.copyto(a, b)\n", (1.0, 20.0, 1.0), Meaning.THREAD_RUNS),
])  # fmt: skip
def test_scalene_is_a_hint_that_is_never_certain(
    tmp_path: Path, source: str, numbers: tuple[float, float, float], meaning: Meaning
) -> None:
    mine = {"lines": [line(7, source, *numbers), line(3, "    total += 1\n", 2.0, 0.0, 0.0)]}
    library = {"lines": [line(982, "  self._target(*self._args)\n", 0.0, 60.0, 10.0)]}
    files = {"/home/me/program.py": mine, "/usr/lib/python3.11/threading.py": library}
    (tmp_path / "scalene.json").write_text(json.dumps({"elapsed_time_sec": 1.0, "files": files}))
    verdict = analysis.load(tmp_path / "scalene.json").report.verdict
    assert verdict.meaning is meaning and verdict.doubt is Doubt.HINTS_ALONE
    assert verdict.heaviest[0].name == "program.py:7"


def event(cat: str, name: str, start_us: float, end_us: float, tid: int = 7) -> dict[str, object]:
    """A complete event of Kineto's."""
    return {"ph": "X", "cat": cat, "name": name, "pid": 7, "tid": tid, "ts": 1e6 + start_us,
            "dur": end_us - start_us}  # fmt: skip


@pytest.mark.parametrize(("events", "meaning", "certain"), [
    ([event("cpu_op", "aten::mm", 0, 80), event("cpu_op", "aten::add", 95, 100)], Meaning.THREAD_RUNS, True),
    ([event("cpu_op", "aten::mm", 0, 20), event("cpu_op", "aten::add", 95, 100)], None, False),
    ([event("python_function", "<built-in function sleep>", 10, 90), event("python_function", "a.py(1): f", 0, 100),
      event("cpu_op", "aten::mm", 0, 10)], Meaning.SLEEPS, True),
    ([event("python_function", "a.py(1): f", 0, 100), event("cpu_op", "aten::mm", 0, 10)], Meaning.THREAD_RUNS, False),
    ([event("cpu_op", "c10d::allreduce_", 0, 90), event("cpu_op", "aten::mm", 90, 100)], None, False),
])  # fmt: skip
def test_operators_of_a_cpu_program_are_its_own_work(
    tmp_path: Path, events: list[dict[str, object]], meaning: Meaning | None, certain: bool
) -> None:
    data = {"schemaVersion": 1, "traceEvents": [*events, event("cpu_op", "aten::relu", 0, 3, tid=8)]}
    (tmp_path / "trace.json").write_text(json.dumps(data))
    report = analysis.load(tmp_path / "trace.json").report
    assert report.verdict.meaning is meaning and report.verdict.certain is certain
    if meaning is Meaning.SLEEPS:
        told = {text.lead: text.text for text in answer.verdict(report.verdict)}
        assert "<built-in function sleep> 80.0 %" in told["Heaviest there:"]


FRAMES = 12


def viztracer(path: Path, body: Mapping[str, float], other: tuple[str, float] | None = None) -> Verdict:
    """The verdict of VizTracer's calls: frames of 10 ms, in each ``body`` (ms by name); ``other``: a thread's calls."""
    events: list[dict[str, object]] = [{"ph": "X", "cat": "fee", "name": "main (a.py:1)", "pid": 7, "tid": 7, "ts": 1e6,
                                        "dur": FRAMES * 1e4}]  # fmt: skip
    for frame in range(FRAMES):
        at = 1e6 + frame * 1e4
        for name, ms in body.items():
            events.append({"ph": "X", "cat": "fee", "name": name, "pid": 7, "tid": 7, "ts": at, "dur": ms * 1e3})
            at += ms * 1e3
        if other is not None:
            events.append({"ph": "X", "cat": "fee", "name": other[0], "pid": 7, "tid": 9, "ts": 1e6 + frame * 1e4,
                           "dur": other[1] * 1e3})  # fmt: skip
    path.write_text(json.dumps({"traceEvents": events, "viztracer_metadata": {"version": "1.1.1"}}))
    return analysis.load(path).report.verdict


def test_calls_that_sleep_are_certain_and_calls_that_run_are_not(tmp_path: Path) -> None:
    slept = viztracer(tmp_path / "a.json", {"time.sleep": 8.0, "step (a.py:5)": 2.0})
    assert slept.meaning is Meaning.SLEEPS and slept.certain and slept.heaviest[0].name == "time.sleep"
    (run,) = analysis.load(tmp_path / "a.json").report.runs  # the table of buckets holds the same time
    assert slept.leading is not None and run.residual_ns == 0
    (pacing,) = (one for one in run.buckets if one.bucket == "pacing")
    assert (pacing.share, pacing.lo_share) == pytest.approx((slept.leading.share,) * 2, abs=0.01)
    ran = viztracer(tmp_path / "b.json", {"time.sleep": 2.0, "step (a.py:5)": 8.0})
    assert ran.meaning is Meaning.THREAD_RUNS and ran.doubt is Doubt.CALLS_ALONE


def test_a_lock_is_explained_by_who_worked_meanwhile(tmp_path: Path) -> None:
    body = {"_thread.lock.acquire": 8.0, "step (a.py:5)": 2.0}
    idle = viztracer(tmp_path / "a.json", body, ("_thread.lock.acquire", 9.0))
    assert idle.meaning is Meaning.WAITS_WHILE_IDLE
    worked = viztracer(tmp_path / "b.json", body, ("zlib.compress", 7.5))
    assert worked.meaning is Meaning.OTHER_THREADS_WORK and not worked.certain


def test_the_kernel_that_a_thread_waits_for_is_named(tmp_path: Path) -> None:
    """A thread that spends its time in one wait for one kernel: the answer of a trace without a loop of ours."""
    events: list[dict[str, object]] = []
    for frame in range(5):
        at = frame * 1000.0
        events += [
            event("user_annotation", f"frame {frame}", at, at + 1000),
            event("cuda_runtime", "cudaLaunchKernel", at, at + 5) | {"args": {"correlation": frame + 1}},
            event("cuda_runtime", "cudaDeviceSynchronize", at + 10, at + 960),
            event("kernel", "step_kernel", at + 6, at + 958)
            | {"pid": 0, "args": {"correlation": frame + 1, "device": 0, "stream": 7}},
        ]
    (tmp_path / "trace.json").write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    verdict = analysis.load(tmp_path / "trace.json").report.verdict
    assert [one.name for one in verdict.heaviest] == ["step_kernel", "cudaDeviceSynchronize"]
    assert verdict.heaviest[0].share == pytest.approx(0.952, abs=0.01)
    told = {text.lead: text.text for text in answer.verdict(verdict)}
    assert told["Heaviest there:"].startswith("step_kernel 95.2 %")
