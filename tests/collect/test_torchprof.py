"""torch.profiler in the loop, on the clock of the spans; a small GPU trace of our own making."""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import motrace
from motrace.cautions import CautionCode
from motrace.collect.pyspy import _clock_pair
from motrace.collect.torchprof import FILE, TorchCollector
from motrace.dataset.ranges import Ranges
from motrace.errors import MotraceError
from motrace.readers.torch.kineto import read_torch
from motrace.record.torch_hook import FIRST_FRAME, FRAMES, VARIABLE, TorchHook, frame_hook
from motrace.vocabulary import ClockMethod
from tests.collect.observed import spans_of

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ranges]:
    """A loop of ours with the hook; its trace, and the spans, which bear the same names as its ranges."""
    folder = tmp_path_factory.mktemp("torch")
    run_dir = motrace.start(folder / "run", cpu_clocks=False)
    hook = TorchHook(str(folder / FILE))
    for number in range(FIRST_FRAME + FRAMES + 2):
        hook.frame(number)
        with motrace.frame():
            for name, size in (("policy", 200), ("step", 80)):
                with motrace.span(name), torch.profiler.record_function(name):
                    torch.randn(size, size) @ torch.randn(size, size)
                    time.sleep(0.001 * (1 + number % 3))
    hook.end()
    motrace.stop()
    ((_, spans),) = spans_of(run_dir).items()
    return folder / FILE, spans


def starts(spans: Ranges, name: str) -> np.ndarray[Any, Any]:
    return np.sort(spans.start_ns[np.array(spans.name) == name])


def apart_ns(trace: Any, spans: Ranges) -> np.ndarray[Any, Any]:
    """How far ranges begin after the spans around them."""
    found = []
    for row in trace.tables["nvtx"].to_pylist():
        times = starts(spans, row["name"])
        found.append(row["start_ns"] - times[np.abs(times - row["start_ns"]).argmin()])
    return np.array(found)


def test_marks_put_ranges_upon_their_spans(traced: tuple[Path, Ranges]) -> None:
    path, spans = traced
    trace = read_torch(path)
    assert trace.clock is not None and trace.clock.method is ClockMethod.MARKS
    assert trace.clock.error_ns < 1_000_000
    assert trace.tables["nvtx"].num_rows == 2 * FRAMES
    apart = apart_ns(trace, spans)
    assert np.median(np.abs(apart)) < 300_000 + trace.clock.error_ns


def without_marks(path: Path, folder: Path) -> Path:
    data = json.loads(path.read_text())
    data["traceEvents"] = [row for row in data["traceEvents"] if not str(row.get("name")).startswith("motrace.sync")]
    (folder / "theirs.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    return folder / "theirs.json.gz"


def test_a_trace_made_by_others_is_aligned_by_the_names_of_its_ranges(
    traced: tuple[Path, Ranges], tmp_path: Path
) -> None:
    path, spans = traced
    marked = read_torch(path)
    trace = read_torch(without_marks(path, tmp_path), spans)
    assert trace.clock is not None and marked.clock is not None and trace.clock.method is ClockMethod.RANGES
    allowed = trace.clock.error_ns + marked.clock.error_ns + 300_000
    assert abs(trace.clock.offset_ns - marked.clock.offset_ns) < allowed


def test_without_names_its_clock_is_utc(traced: tuple[Path, Ranges], tmp_path: Path) -> None:
    path, spans = traced
    theirs = without_marks(path, tmp_path)
    monotonic_ns, utc_ns = _clock_pair()
    trace = read_torch(theirs, None, utc_ns - monotonic_ns)
    assert trace.clock is not None and trace.clock.method is ClockMethod.UTC
    assert np.median(np.abs(apart_ns(trace, spans))) < trace.clock.error_ns + 500_000
    unknown = read_torch(theirs)
    assert unknown.clock is None and unknown.warnings[0].code is CautionCode.NOT_ALIGNED


def synthetic(folder: Path) -> Path:
    """Two kernels, a copy and a memset with their calls; one kernel's call is not in the trace."""

    def event(cat: str, name: str, ts: float, dur: float, pid: Any, tid: Any, **args: Any) -> dict[str, Any]:
        return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur, "pid": pid, "tid": tid, "args": args}

    rows = [
        event("cuda_runtime", "cudaLaunchKernel", 1000, 5, 42, 43, correlation=7),
        event("kernel", "gemm", 1010.5, 100.25, 1, 13, correlation=7, device=1, stream=13),
        event("cuda_runtime", "cudaMemcpyAsync", 1200, 4, 42, 43, correlation=8),
        event("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)", 1210, 10, 1, 13, correlation=8, device=1, stream=13,
              bytes=4096),
        event("gpu_memset", "Memset (Device)", 1300, 1, 1, 13, correlation=9, device=1, stream=13, bytes=64),
        event("cuda_runtime", "cudaStreamSynchronize", 1301, 30, 42, 43, correlation=10),
        event("cpu_op", "aten::mm", 990, 20, 42, 43),
        {"ph": "f", "cat": "ac2g", "id": 7, "ts": 1010, "pid": 1, "tid": 13, "name": "ac2g"},
        {"ph": "M", "name": "process_name", "pid": "NamedSpans", "args": {}},
    ]  # fmt: skip
    path = folder / "gpu.json"
    path.write_text(json.dumps({"baseTimeNanoseconds": 1_790_000_000_000_000_000, "traceEvents": rows}))
    return path


def test_gpu_work_is_tied_to_the_calls_that_launched_it(tmp_path: Path) -> None:
    shift = 1_790_000_000_000_000_000
    trace = read_torch(synthetic(tmp_path), None, shift)
    kernel, copy, memset = trace.tables["gpu_ops"].to_pylist()
    assert (kernel["start_ns"], kernel["end_ns"]) == (1_010_500, 1_110_750)
    assert (kernel["device"], kernel["queue"], kernel["pid"]) == (1, 13, 42)
    assert (kernel["launch_ns"], kernel["launch_tid"], kernel["correlation"]) == (1_000_000, 43, 7)
    assert (copy["name"], copy["bytes"], copy["kind"]) == ("Device-to-Host", 4096, "memcpy")
    assert memset["launch_ns"] is None and memset["pid"] == 42
    calls = trace.tables["api_calls"].to_pylist()
    assert [call["waits_on"] for call in calls] == [None, None, "stream"]


def test_the_collector_switches_the_hook_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = TorchCollector()
    assert collector.missing() is None and collector.intrusive
    assert frame_hook() is None
    ((name, value),) = collector.environment(tmp_path).items()
    assert name == VARIABLE
    monkeypatch.setenv(name, value)
    hook = frame_hook()
    assert hook is not None
    hook.frame(0)
    hook.end()  # before its first frame: nothing is written, nothing is imported
    (warning,) = collector.finish(tmp_path)
    assert "no trace was written" in warning
    assert collector.command([sys.executable, "x"], tmp_path) == [sys.executable, "x"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"traceEvents": [{"ph": "X", "cat": "kernel"}]}', '{"traceEv'])
def test_a_bad_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(MotraceError) as error:
        read_torch(path)
    assert "t.json" in str(error.value) and "\n" not in str(error.value)
    assert TorchCollector().finish(tmp_path) != []
