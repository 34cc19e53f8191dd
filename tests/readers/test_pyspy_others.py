"""Files of py-spy from other machines and versions: handles for thread ids, old weights, console scripts, odd times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from motrace.analysis import load
from motrace.cautions import CautionCode
from motrace.dataset.profiles import StackProfile, UserProfile
from motrace.dataset.stack_frames import is_native
from motrace.readers.pyspy.formats import read_any
from motrace.report.document import full
from motrace.report.markdown import render
from tests.readers.kineto import CASES
from tests.reports import said

FRAMES = [{"name": "loop", "file": "/opt/train.py", "line": 10}, {"name": "step", "file": "/opt/env.py", "line": 20}]


def speedscope(threads: dict[str, list[float]], unit: str = "seconds", **fields: Any) -> str:
    """A file with the weights of each thread's samples."""
    profiles = [
        {"type": "sampled", "name": name, "unit": unit, "startValue": 0, "endValue": len(threads),
         "samples": [[0, 1]] * len(weights), "weights": weights}
        for name, weights in threads.items()
    ]  # fmt: skip
    schema = "https://www.speedscope.app/file-format-schema.json"
    return json.dumps({"$schema": schema, "profiles": profiles, "shared": {"frames": FRAMES}, **fields})


def analysed(path: Path) -> tuple[UserProfile, StackProfile, list[str]]:
    """What the report of a file alone shows, and its warnings."""
    report = load(path).report
    (profile,) = report.profiles
    assert profile.stacks is not None
    return profile, profile.stacks, said(report)


def made(folder: Path, text: str) -> Path:
    (folder / "profile.json").write_text(text)
    return folder / "profile.json"


@pytest.mark.parametrize(
    ("names", "ids"),
    [(["Thread 0x7F3A11 \"MainThread\"", "Thread 0x7F3A12 \"worker\"", "Thread 0x7F3A13 \"worker\""],
      [0x7F3A11, 0x7F3A12, 0x7F3A13]),
     (["Process 7 Thread 0xFFFFFFFFFFFFFFF0 \"a\"", "Process 7 Thread 0xF0 \"a\""], [(1 << 63) - 16, 0xF0]),
     (["py-spy", "py-spy "], [None, None])],
)  # fmt: skip
def test_threads_stay_apart(tmp_path: Path, names: list[str], ids: list[int | None]) -> None:
    threads = {name: [0.01] * (30 - place) for place, name in enumerate(names)}
    _, stacks, _ = analysed(made(tmp_path, speedscope(threads, exporter="py-spy@0.4.0")))
    assert [(one.tid, one.samples) for one in stacks.threads] == [(tid, 30 - place) for place, tid in enumerate(ids)]


def test_threads_of_the_other_formats_stay_apart(tmp_path: Path) -> None:
    raw = "".join(f"thread (0x7F3A1{n}): worker;step (env.py:{n});f (a.py:1) 10\n" for n in range(3))
    assert len(analysed(made(tmp_path, raw))[1].threads) == 3
    events = [
        {"cat": "py-spy", "ph": ph, "pid": 7, "tid": 140_000_000_000_000 + n, "ts": ts, "name": "f", "args": {}}
        for n in range(3)
        for ph, ts in (("B", 0), ("E", 1e6), ("B", 1e6), ("E", 2e6))
    ]
    assert len(read_any(made(tmp_path, json.dumps(events))).threads) == 3


@pytest.mark.parametrize(
    ("exporter", "unit", "weight", "seconds", "code"),
    [("py-spy@0.3.8", "seconds", 1.0, 2.5, CautionCode.RATE_ASSUMED),
     ("py-spy@0.3.0", "none", 1, 2.5, CautionCode.RATE_ASSUMED),
     ("py-spy@0.3.9", "seconds", 1.0, 250, None), ("py-spy@0.4.0", "seconds", 0.02, 5, None),
     ("py-spy", "seconds", 1.0, None, CautionCode.NO_SECONDS), ("py-spy", "milliseconds", 10, 2.5, None)],
)  # fmt: skip
def test_old_weights_are_counts(
    tmp_path: Path, exporter: str, unit: str, weight: float, seconds: float | None, code: CautionCode | None
) -> None:
    threads = {'Thread 11 "MainThread"': [weight] * 200, 'Thread 12 "worker"': [weight] * 50}
    path = made(tmp_path, speedscope(threads, unit, exporter=exporter))
    profile, stacks, _ = analysed(path)
    assert stacks.seconds == (pytest.approx(seconds) if seconds is not None else None) and stacks.samples == 250
    assert [one.share for one in stacks.threads] == [0.8, 0.2] and stacks.lines[0].share == 1
    assert [one.code for one in profile.warnings] == ([code] if code else [])


def test_seconds_that_are_not_known_are_not_shown(tmp_path: Path) -> None:
    one = load(made(tmp_path, speedscope({"py-spy": [1.0] * 50}, exporter="py-spy")))
    text = render(full(one.report, one.tables["frames"], one.tables["frame_phases"]))
    assert "50 samples, not known how many seconds" in text and "no version of py-spy" in text


def test_impossible_times_are_set_aside(tmp_path: Path) -> None:
    weights = [0.01] * 20 + [-1.0, 1e9]
    profile, stacks, texts = analysed(made(tmp_path, speedscope({'Thread 1 "a"': weights}, exporter="py-spy@0.4.0")))
    assert stacks.seconds == pytest.approx(0.2)
    assert {one.code for one in profile.warnings} == {CautionCode.DURATIONS_NEGATIVE, CautionCode.TIMES_FAR_OFF}
    assert sum("profile.json" in text for text in texts) == 2
    events = [
        {"cat": "py-spy", "ph": ph, "pid": 7, "tid": 1, "ts": ts, "name": name}
        for ph, ts, name in (("B", 0, "a"), ("B", 1e6, "b"), ("E", 1e18, "b"), ("B", 2e6, "c"), ("E", 3e6, "c"))
    ]
    profile, stacks, _ = analysed(made(tmp_path, json.dumps(events)))
    assert [one.code for one in profile.warnings] == [CautionCode.TIMES_FAR_OFF]
    assert stacks.seconds == pytest.approx(3)


@pytest.mark.parametrize(
    "frame",
    ["<module> (uvicorn:8)", "<module> (isaaclab-train:8)", "main (train.py:3)", "main (train.py)", "f (run:12)", "f",
     "<lambda> (librarian)", "g (librarian:9)", "f (<frozen importlib._bootstrap>:241)", "f (x.pyx:3)",
     "h (tool-3.11:5)", "main (python:3)", "f (nb.ipynb:1)", "f (ipykernel_1/12.py:1)"],
)  # fmt: skip
def test_frames_of_python(frame: str) -> None:
    assert not is_native(frame)


@pytest.mark.parametrize(
    "frame",
    ["? (libc.so.6)", "?", "0x7fc5e918ba9b", "write (libc-2.31.so)", "f (x.cpython-311-x86_64-linux-gnu.so)",
     "clone (?)", "<T as core::ops::Drop>::drop (motrixsim_py.abi3.so)", "_PyEval_EvalFrameDefault (python3.11)",
     "f (ceval.c:12)",
     "g (src/lib.rs:7)", "f (libSystem.dylib)", "f (CORE.dll)", "clock_gettime ([vdso])", "core::mem::swap (kit)",
     "PyObject_Call (blender)", "f (libtorch_cpu.so:12)"],
)  # fmt: skip
def test_frames_of_compiled_code(frame: str) -> None:
    assert is_native(frame)


def test_a_console_script_has_no_classes(tmp_path: Path) -> None:
    raw = "<module> (uvicorn:8);main (train.py:30);step (env.py:20) 120\n<module> (uvicorn:9) 80\n"
    _, stacks, _ = analysed(made(tmp_path, raw))
    assert not stacks.native and stacks.classes == () and stacks.lines[1].name == "<module> (uvicorn:9)"


@pytest.mark.parametrize(
    ("name", "threads", "seconds", "codes"),
    [("20_pyspy_434_weight1.speedscope.json", 2, 2.5, [CautionCode.RATE_ASSUMED]),
     ("21_pyspy_hex_threads.speedscope.json", 3, 3.0, []), ("22_pyspy_raw_script_noext.txt", 1, 2.0, [])],
)  # fmt: skip
def test_cases(name: str, threads: int, seconds: float, codes: list[CautionCode]) -> None:
    if not (CASES / name).exists():
        pytest.skip("the cases are not here")
    profile, stacks, _ = analysed(CASES / name)
    assert (len(stacks.threads), stacks.seconds, stacks.native) == (threads, pytest.approx(seconds), False)
    assert [one.code for one in profile.warnings] == codes
