"""Traces of torch.profiler as torch writes them, also when it goes wrong; ``cases`` are those of others."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from motrace.cautions import Caution, CautionCode
from motrace.errors import MotraceError
from motrace.ingest.registry import source_of
from motrace.readers.torch.kineto import GPU_RANGE, RANGE, TorchTrace, read_torch
from motrace.readers.torch.stream import EventStream
from tests.readers.kineto import CASES, UTC_US, event, frames, text, written

MM = '"name": "aten::mm"'


def warned(trace: TorchTrace) -> dict[CautionCode, Caution]:
    """Warnings but that no clock ties the trace to anything."""
    return {one.code: one for one in trace.warnings if one.code is not CautionCode.NOT_ALIGNED}


def lengths(trace: TorchTrace, table: str) -> list[int]:
    return [row["end_ns"] - row["start_ns"] for row in trace.tables[table].to_pylist()]


def count_of(trace: TorchTrace) -> tuple[int, ...]:
    """Steps, operators, calls, kernels."""
    tables = trace.tables
    rows = tables["nvtx"], trace.operators, tables["api_calls"], tables["gpu_ops"]
    return tuple(table.num_rows for table in rows)


@pytest.mark.parametrize(
    ("wrong", "code", "name"),
    [
        (r'"name": "C:\Users\u\torch\cuda\__init__.py(219): f"', CautionCode.BAD_BACKSLASHES,
         r"C:\Users\u\torch\cuda\__init__.py(219): f"),
        ('"name": "C:\\Users\\"', CautionCode.BAD_BACKSLASHES, "C:\\Users\\"),
        ('"name": "say "hi, there" to"', CautionCode.BAD_QUOTES, 'say "hi, there" to'),
        ('"name": "a\n\x01b"', CautionCode.CONTROL_CHARACTERS, "a\n\x01b"),
        (b'"name": "mm\xff\xfe"', CautionCode.BAD_UTF8, "mm\ufffd"),
        *((f'{MM}, "x": {word}', CautionCode.BAD_NUMBERS, "aten::mm") for word in
          ("NaN", "nan", "-nan", "-nan(ind)", "1.#QNAN", "Infinity", "-inf", "+INF")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("which", [0, 3])
def test_what_torch_breaks_is_mended(tmp_path: Path, wrong: Any, code: CautionCode, name: str, which: int) -> None:
    parts = text(frames()).encode().split(MM.encode())
    new = wrong if isinstance(wrong, bytes) else wrong.encode()
    content = MM.encode().join(parts[: which + 1]) + new + MM.encode().join(parts[which + 1 :])
    trace = read_torch(written(tmp_path, content))
    assert count_of(trace) == (6, 6, 12, 6) and trace.operators.column("name").to_pylist()[which] == name
    ((found, caution),) = warned(trace).items()
    assert found is code and (caution.values["count"], caution.values["first"]) == (1, 5 * which + 2)


def test_faults_in_every_event_and_of_every_kind_at_once(tmp_path: Path) -> None:
    wrong = '"name": "C:\\Us "q" \x02", "y": -nan(ind)'
    trace = read_torch(written(tmp_path, text(frames(200)).replace(MM, wrong)))
    assert count_of(trace) == (200, 200, 400, 200)
    assert {one.values["count"] for one in warned(trace).values()} == {200} and len(warned(trace)) == 4


def test_a_file_that_is_cut_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    whole = text(frames())
    for at in random.Random(12).sample(range(whole.index('"aten::mm"') + 200, len(whole) - 10), 40):
        trace = read_torch(written(tmp_path, whole[:at]))
        complete = Counter(row["cat"] for row in frames()[: whole[:at].count('"args"')])
        assert sum(count_of(trace)) in (sum(complete.values()), sum(complete.values()) - 1)
        assert CautionCode.CUT_OFF in warned(trace)
    zipped = gzip.compress(whole.encode())
    trace = read_torch(written(tmp_path, zipped[:-40]))
    assert sum(count_of(trace)) > 10 and CautionCode.CUT_OFF in warned(trace)


def test_an_event_that_can_t_be_mended_is_lost_alone(tmp_path: Path) -> None:
    trace = read_torch(written(tmp_path, text(frames()).replace(MM, '"name": {]', 1)))
    assert count_of(trace) == (6, 5, 12, 6)
    assert warned(trace)[CautionCode.EVENTS_LOST].values["count"] == 1


@pytest.mark.parametrize(
    ("ts", "dur", "ns"),
    [(f"{UTC_US}", "1", 1000), (f"{UTC_US}.567", "0.001", 1), (f"{UTC_US}.9", "1234.567", 1_234_567),
     (f'"{UTC_US}.25"', "1e3", 1_000_000), (f"{UTC_US}.1234567", "2.0000", 2000)],
)  # fmt: skip
def test_times_are_whole_nanoseconds(tmp_path: Path, ts: str, dur: str, ns: int) -> None:
    content = text([event("kernel", "k", "TS", "DUR", device=0)]).replace('"TS"', ts).replace('"DUR"', dur)
    trace = read_torch(written(tmp_path, content))
    assert lengths(trace, "gpu_ops") == [ns]
    digits = (ts.strip('"').partition(".")[2] + "000")[:3]
    assert trace.extent_ns[0] == UTC_US * 1000 + int(digits)


@pytest.mark.parametrize(
    ("ts", "dur", "code"),
    [(0, 0, CautionCode.TIMES_ZERO), (UTC_US + 3_000_000, -1, CautionCode.DURATIONS_NEGATIVE),
     (UTC_US, -UTC_US, CautionCode.DURATIONS_NEGATIVE), (2**63, 1, CautionCode.TIMES_FAR_OFF),
     (UTC_US, 18_446_744_073_709, CautionCode.TIMES_FAR_OFF), (UTC_US - 604_800_000_000, 5, CautionCode.TIMES_FAR_OFF),
     (None, 1, CautionCode.TIMES_MISSING), ("soon", 1, CautionCode.TIMES_MISSING), (-5, 1, CautionCode.TIMES_FAR_OFF)],
)  # fmt: skip
def test_impossible_times_are_set_aside(tmp_path: Path, ts: Any, dur: Any, code: CautionCode) -> None:
    rows = [*frames(), event("kernel", "stray", ts, dur, device=0, stream=7)]
    trace = read_torch(written(tmp_path, text(rows)))
    assert count_of(trace) == (6, 6, 12, 6) and trace.extent_ns[1] - trace.extent_ns[0] == 59_000_000
    assert {found: one.values["count"] for found, one in warned(trace).items()} == {code: 1}


def test_a_clock_that_starts_at_0_is_kept(tmp_path: Path) -> None:
    rows = [{**row, "ts": row["ts"] - UTC_US} for row in frames()]
    trace = read_torch(written(tmp_path, text(rows)))
    assert count_of(trace) == (6, 6, 12, 6) and trace.extent_ns == (0, 59_000_000) and not warned(trace)
    late = [{**row, "ts": row["ts"] + 30_000_000} for row in rows]
    trace = read_torch(written(tmp_path, text([*late, event("kernel", "stray", 0, 0, device=0)])))
    assert trace.extent_ns == (30_000_000_000, 30_059_000_000) and CautionCode.TIMES_ZERO in warned(trace)


@pytest.mark.parametrize("base", ["before", "after"])
def test_recognised_and_read_wherever_what_names_it_is(tmp_path: Path, base: str) -> None:
    big = {"distributedInfo": {"pg_config": [{"ranks": list(range(60_000))}]}}
    rows = [{**row, "ts": row["ts"] - UTC_US} for row in frames()]
    named = {"schemaVersion": 1, "baseTimeNanoseconds": 1_700_000_000_000_000_001}
    data = {**big, **named, "traceEvents": rows} if base == "before" else {"traceEvents": rows, "x": big, **named}
    path = written(tmp_path, json.dumps(data))
    found = source_of(path)
    assert found is not None and found.name == "torch.profiler"
    assert read_torch(path).extent_ns[0] == 1_700_000_000_000_000_001


def test_the_gpu_s_copy_of_an_annotation_is_another_row(tmp_path: Path) -> None:
    rows = [*frames(2), event("gpu_user_annotation", "ProfilerStep#0", UTC_US + 400, 7000)]
    trace = read_torch(written(tmp_path, text(rows)))
    found = [(row["name"], row["kind"], row["end_ns"] - row["start_ns"]) for row in trace.tables["nvtx"].to_pylist()]
    assert found == [
        ("ProfilerStep#0", RANGE, 9_000_000), ("ProfilerStep#1", RANGE, 9_000_000),
        ("ProfilerStep#0", GPU_RANGE, 7_000_000),
    ]  # fmt: skip


def test_rocm_is_read_as_cuda(tmp_path: Path) -> None:
    nvidia, amd = (read_torch(written(tmp_path, text(frames(vendor=vendor)))) for vendor in ("cuda", "hip"))
    assert [row["waits_on"] for row in amd.tables["api_calls"].to_pylist()] == [None, "device"] * 6
    for name in ("gpu_ops", "nvtx"):
        assert amd.tables[name].to_pylist() == nvidia.tables[name].to_pylist()
    copy = event("gpu_memcpy", "CopyHostToDevice", UTC_US, 5, bytes=4096, device=0)
    (row,) = read_torch(written(tmp_path, text([copy]))).tables["gpu_ops"].to_pylist()
    assert (row["name"], row["kind"], row["bytes"]) == ("Host-to-Device", "memcpy", 4096)


def test_what_is_not_read_is_counted(tmp_path: Path) -> None:
    strays = [event(cat, "x", UTC_US, 5) for cat in ("cuda_sync", "mtia_insight", "overhead", "overhead", "new")]
    trace = read_torch(written(tmp_path, text([*frames(), *strays, {"ph": "B", "name": "y", "ts": 1}])))
    caution = warned(trace)[CautionCode.CATEGORIES_UNREAD]
    assert caution.values["count"] == 6
    assert caution.values["names"] == (
        "overhead (2)", "cuda_sync (1)", "mtia_insight (1)", "new (1)", "no category (1)",
    )  # fmt: skip


def test_other_vendors_devices_are_read(tmp_path: Path) -> None:
    strays = [event("xpu_runtime", "urQueueFinish", UTC_US, 5), event("mtia_ccp_events", "DMA HtoD", UTC_US, 5),
              event("hpu_op", "memcpy_d2h", UTC_US, 5), event("hpu_op", "gemm", UTC_US, 5)]  # fmt: skip
    tables = read_torch(written(tmp_path, text(strays))).tables
    assert tables["api_calls"].column("waits_on").to_pylist() == ["queue"]
    operations = zip(*(tables["gpu_ops"].column(name).to_pylist() for name in ("kind", "name")))
    assert sorted(operations) == [("kernel", "gemm"), ("memcpy", "Device-to-Host"), ("memcpy", "Host-to-Device")]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    rows = [event("python_function", f"f{number}", UTC_US + number, 1, note="x" * 100) for number in range(40_000)]
    path = written(tmp_path, text(rows))
    size = path.stat().st_size
    del rows
    tracemalloc.start()
    try:
        count = sum(1 for _ in EventStream(path))
        assert count == 40_000 and tracemalloc.get_traced_memory()[1] < 6_000_000 < 10_000_000 < size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", ["", "{}", '{"traceEvents": []}', '{"traceEvents": [5, "x"]}'])
def test_what_holds_no_event_is_one_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(MotraceError, match=r"trace\.json") as error:
        read_torch(written(tmp_path, content))
    assert "\n" not in str(error.value)


RIGHT = {
    "01_backslash_kineto336.json": ((6, 6, 12, 6), {CautionCode.BAD_BACKSLASHES: 6}),
    "02_nan_literal.json": ((6, 6, 12, 6), {CautionCode.BAD_NUMBERS: 1}),
    "03_nonutf8_kineto988.json": ((6, 6, 12, 6), {CautionCode.BAD_UTF8: 1}),
    "04_controlchar_pytorch130622.json": ((6, 6, 12, 6), {CautionCode.CONTROL_CHARACTERS: 1}),
    "05_ts0_kineto109.json": ((6, 6, 12, 6), {CautionCode.TIMES_ZERO: 1}),
    "06_negdur_kineto646.json": ((6, 6, 12, 6), {CautionCode.DURATIONS_NEGATIVE: 2}),
    "07_truncated.json": ((4, 4, 8, 3), {CautionCode.CUT_OFF: 1}),
    "09_big_header_pgconfig.json": ((6, 6, 12, 6), {}),
    "10_gpu_annotations.json": ((12, 6, 12, 6), {}),
    "11_hip.json": ((6, 6, 12, 6), {}),
    "12_int_us_1us_kernels.json": ((6, 6, 12, 6), {}),
    "kineto_schemaVersion_at_end.json": ((480, 240, 480, 240), {}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_cases(name: str) -> None:
    if not (CASES / name).exists():
        pytest.skip("the cases are not here")
    found = source_of(CASES / name)
    trace = read_torch(CASES / name)
    counts, warnings = RIGHT[name]
    assert found is not None and found.name == "torch.profiler" and count_of(trace) == counts
    assert {code: one.values["count"] for code, one in warned(trace).items()} == warnings
    assert set(lengths(trace, "gpu_ops")) == {1000 if name.startswith("12") else 7_000_000}
    assert (trace.extent_ns[1] - trace.extent_ns[0]) == (39_000_000 if name.startswith("07") else 59_000_000)
    waits = [row["waits_on"] for row in trace.tables["api_calls"].to_pylist()]
    assert Counter(waits) == {None: counts[2] // 2, "device": counts[2] // 2}
