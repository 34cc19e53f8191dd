"""Times that can't be, in files of VizTracer and Scalene; those of the others are in the tests of their readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motrace.analysis import load
from motrace.readers.times import DAY_NS, HOUR_NS, check
from motrace.readers.viztracer import read_viztracer


def test_a_long_trace_with_gaps_is_kept_whole() -> None:
    start = np.concatenate((np.arange(50) * HOUR_NS, [49 * HOUR_NS + 5 * HOUR_NS // 2]))
    stays, faults = check(start, start + HOUR_NS)
    assert stays.all() and not faults.total()
    stays, faults = check(np.array([7 * DAY_NS]), np.array([7 * DAY_NS + 5]))
    assert stays.all()


def test_impossible_times_are_set_aside(tmp_path: Path) -> None:
    def call(ts: float, dur: float = 5.0) -> dict[str, Any]:
        return {"ph": "X", "cat": "fee", "name": "f (a.py:1)", "pid": 1, "tid": 1, "ts": ts, "dur": dur}

    calls = [*(call(5e9 + 10 * n) for n in range(9)), call(1e30), call(0), call(5e9, -1), call(5e9 + 1e12)]
    (tmp_path / "x.json").write_text(json.dumps({"traceEvents": calls, "viztracer_metadata": {"version": "1.1.1"}}))
    found = read_viztracer(tmp_path / "x.json")
    assert len(found) == 9 and found.extent_ns[1] - found.extent_ns[0] == 85_000
    assert {one.code.value: one.values["count"] for one in found.warnings} == {
        "times_far_off": 2, "times_zero": 1, "durations_negative": 1,
    }  # fmt: skip
    (profile,) = load(tmp_path / "x.json").report.profiles
    assert profile.warnings == found.warnings


@pytest.mark.parametrize(
    ("start", "elapsed", "seconds", "code"),
    [(1.7e9, 2.5, 2.5, None), (-1, 2.5, None, "durations_negative"), (1.7e9, -2.5, None, "durations_negative"),
     (1.7e9, "NaN", None, "times_missing"), (1e30, 1, None, "times_far_off")],
)  # fmt: skip
def test_the_times_of_scalene_are_checked(
    tmp_path: Path, start: float, elapsed: Any, seconds: float | None, code: str | None
) -> None:
    line = {"lineno": 3, "n_cpu_percent_python": 50}
    data = {"start_time_absolute": start, "elapsed_time_sec": 0, "files": {"a.py": {"lines": [line]}}}
    text = json.dumps(data).replace('"elapsed_time_sec": 0', f'"elapsed_time_sec": {elapsed}')
    (tmp_path / "x.json").write_text(text)
    (profile,) = load(tmp_path / "x.json").report.profiles
    assert profile.lines is not None and profile.lines.seconds == seconds
    assert [one.code.value for one in profile.warnings] == ([code] if code else [])
