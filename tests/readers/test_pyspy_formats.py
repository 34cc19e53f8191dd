"""Files of py-spy as it writes them, and files that are none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from motrace.collect.pyspy import _program
from motrace.dataset.ranges import Ranges
from motrace.errors import MotraceError
from motrace.readers.pyspy.align import agreement
from motrace.readers.pyspy.formats import COUNTED, ORDERED, TIMED, read_any
from motrace.readers.pyspy.frames import frame_text
from motrace.readers.pyspy.lock_log import parse_log
from motrace.readers.pyspy.samples import read_profile

FORMATS = {"raw": COUNTED, "flamegraph": COUNTED, "speedscope": ORDERED, "chrometrace": TIMED}
PROGRAM = """
import threading, time
def outer():
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end: inner()
def inner():
    return sum(range(2000))
def nap():
    time.sleep(3600)
threading.Thread(target=nap, daemon=True, name="napper").start()
print("ready", flush=True)
while True:
    outer()
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The same program in all four formats."""
    folder = tmp_path_factory.mktemp("formats")
    (folder / "program.py").write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, folder / "program.py"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    written = {}
    for name in FORMATS:
        written[name] = folder / name
        words = [_program(), "record", "--pid", str(process.pid), "--rate", "100", "--duration", "1", "--idle"]
        words += ["--threads", "--format", name, "--output", str(written[name])]
        subprocess.run(words, check=True, capture_output=True, timeout=60)
    yield written
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_py_spy_is_read(files: dict[str, Path], name: str) -> None:
    profile = read_any(files[name])
    assert profile.kind == FORMATS[name]
    assert not profile.native
    assert len(profile.threads) == 2
    seen = {stack[-1].split(" ")[0] for stack in profile.stacks}
    assert {"nap", "outer", "inner"} & seen == {"nap", "outer", "inner"} or {"nap", "inner"} <= seen
    assert all(stack[0].startswith(("<module>", "Thread._bootstrap")) for stack in profile.stacks), profile.stacks
    for thread in profile.threads:
        assert thread.tid > 0 and thread.count.sum() >= 1


def test_formats_agree(files: dict[str, Path]) -> None:
    shares = {}
    for name in ("raw", "flamegraph", "speedscope"):
        profile = read_any(files[name])
        assert 150 <= sum(int(thread.count.sum()) for thread in profile.threads) <= 202
        inner: Counter[bool] = Counter()
        for thread in profile.threads:
            for stack, count in zip(thread.stack, thread.count):
                inner[any(frame.startswith("outer") for frame in profile.stacks[stack])] += int(count)
        shares[name] = inner[True] / inner.total()
    assert max(shares.values()) - min(shares.values()) < 0.2, shares


def test_a_profile_becomes_samples_and_stacks_without_times(files: dict[str, Path]) -> None:
    seen = read_profile(files["raw"], pid=7)
    assert not seen.timed and len(seen.warnings) == 1
    assert set(seen.samples.to_pydict()["pid"]) == {7}
    assert sum(seen.samples.to_pydict()["weight_ns"]) == pytest.approx(2e9, rel=0.3)
    assert read_profile(files["speedscope"]).warnings == []


def test_a_cut_off_chrometrace_is_read_up_to_there(files: dict[str, Path], tmp_path: Path) -> None:
    text = files["chrometrace"].read_text()
    (tmp_path / "cut").write_text(text[: len(text) // 2])
    whole, half = read_any(files["chrometrace"]), read_any(tmp_path / "cut")
    assert 0 < sum(len(thread.t_s) for thread in half.threads) < sum(len(thread.t_s) for thread in whole.threads)


BAD = {
    "empty": "",
    "text": "hello world\n",
    "json": "{}",
    "list": "[1, 2]",
    "other trace": '[{"ph": "X", "ts": 1}]',
    "cut": '{"shared": {"frames": [',
    "evented": json.dumps({"shared": {"frames": []}, "profiles": [{"type": "evented"}]}),
    "bad index": json.dumps({"shared": {"frames": []}, "profiles": [
        {"type": "sampled", "unit": "seconds", "name": "x", "samples": [[3]], "weights": [1]}]}),
    "svg": "<svg></svg>",
    "binary": "\0\1\2\3",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "profile"
    path.write_text(BAD[name])
    with pytest.raises(MotraceError) as error:
        read_any(path)
    assert "profile is not a file of py-spy" in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MotraceError, match="can't be read"):
        read_any(tmp_path / "none")


def test_frames_lose_what_is_particular_to_a_machine() -> None:
    assert frame_text("f", "/home/me/env/lib/python3.11/site-packages/numpy/x.py", 3) == "f (numpy/x.py:3)"
    assert frame_text("f", "/usr/lib/python3.11/threading.py", 3) == "f (threading.py:3)"
    assert frame_text("0x7fc5e918ba9b", "/usr/lib/x86_64-linux-gnu/libc.so.6", 0) == "? (libc.so.6)"
    assert frame_text("f", "", 0) == "f"


LOG = """[2026-11-21T06:08:38.818979228Z INFO  py_spy::config] config Config {
        blocking: Lock,
[2026-11-21T06:08:42.000000001Z DEBUG remoteprocess::linux] attached to thread 5
[2026-11-21T06:08:42.000000002Z DEBUG remoteprocess::linux] attached to thread 6
[2026-11-21T06:08:42.000000003Z DEBUG remoteprocess::linux] detached from thread 5
[2026-11-21T06:08:42.000000004Z DEBUG remoteprocess::linux] detached from thread 6
[2026-11-21T06:08:43.000000001Z DEBUG remoteprocess::linux] attached to thread 5
[2026-11-21T06:08:43.000000003Z DEBUG remoteprocess::linux] detached from thread 5
[2026-11-21T06:08:43.000000009Z WARN  py_spy::sampler] Failed to get stack trace from 5
[2026-11-21T06:08:44.000000001Z DEBUG remoteprocess::linux] attached to thread 5
[2026-11-21T06:08:44.000000008Z DEBUG remoteprocess::linux] detached from thread 5
[2026-11-21T06:08:45.000000001Z DEBUG remoteprocess::linux] attached to thr"""


def test_the_lock_log_becomes_stops() -> None:
    groups = parse_log(LOG)
    assert (groups.count, groups.failed) == (3, {1})
    assert groups.stops[5][:, 0].tolist() == [0, 2]
    assert (groups.stops[5][:, 2] - groups.stops[5][:, 1]).tolist() == [2, 7]
    assert len(groups.stops[6]) == 1
    assert groups.stops[5][0, 1] % 10**9 == 1 and groups.first_utc_ns % 10**9 == 818979228


def test_a_frame_that_is_everywhere_tells_no_span() -> None:
    """Where 94 % of the time is one span, ``main`` is in that span for 94 % of its samples, and tells nothing."""
    stacks = [("main", "wait"), ("main", "policy")]
    stack = np.tile([0] * 47 + [1] * 3, 10)
    assert agreement(stacks, stack, stack) == (500, 500)
    unknown = [("main",), ("main",)]
    assert agreement(unknown, stack, stack) == (0, 0)
    elsewhere = np.random.default_rng(0).permutation(stack)
    assert agreement(stacks, stack, elsewhere)[1] < 50


def test_the_innermost_span_is_the_label() -> None:
    spans = Ranges(np.array(["frame", "a", "b", "frame"]), np.array([0, 2, 4, 20]), np.array([10, 9, 6, 30]))
    found = spans.labels(np.array([-1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 19, 20, 29, 30]))
    assert found.tolist() == [-1, 0, 0, 1, 2, 2, 1, 1, 0, -1, -1, 0, 0, -1]
    nothing = Ranges(np.array([], str), np.array([], np.int64), np.array([], np.int64))
    assert nothing.labels(np.array([3])).tolist() == [-1]
