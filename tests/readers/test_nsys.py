"""What an export of Nsight Systems says is what the tables say, in every format and version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motrace.dataset.tables import EVENT_TABLES, SCHEMAS, RunKey, check
from motrace.readers.nsys import columnar, export, sqlite
from motrace.readers.nsys.enums import api_name, metric_unit, waits_on
from motrace.readers.nsys.export import convert, nvtx_table, open_trace
from tests.conftest import SHARED

from .exports import FORMATS, KEY, MEMSET, Export, everything, gid

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]


def same(times: np.ndarray) -> np.ndarray:
    return times


@pytest.fixture
def tables(tmp_path: Path) -> Callable[..., Tables]:
    """Convert an export and read back what came out, checked against the declared schemas."""
    count = iter(range(100))

    def read(export: Export, form: str = "sqlite", to_run: Any = same, **options: Any) -> Tables:
        folder = tmp_path / str(next(count))
        trace = open_trace(export.write(folder / "in", form), tmp_path)
        rows = convert(trace, KEY, folder / "out", to_run, **options)
        found: Tables = {}
        for path in sorted((folder / "out").iterdir()):
            table = pq.read_table(path)
            check(table, SCHEMAS[path.stem])
            assert table.num_rows == rows[path.stem] > 0
            found[path.stem] = table.to_pylist()
        assert set(found) == set(rows)
        return found

    return read


def columns(rows: Rows, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_the_same(tables: Callable[..., Tables], form: str) -> None:
    found = tables(everything(), form)
    assert found == tables(everything(), "sqlite")
    assert set(found) == set(EVENT_TABLES) - {"lines"}


def test_trace_describes_itself(tmp_path: Path) -> None:
    trace = open_trace(everything().sqlite(tmp_path / "report1.sqlite"), tmp_path)
    assert (trace.name, trace.product_version, trace.schema_version) == ("report1.sqlite", "2026.2.1.210", "3.25.0")
    assert (trace.utc_start_ns, trace.duration_ns) == (1_700_000_000_000_000_000, 10_000)
    assert trace.processes == {7: "train", 8: "other"}
    assert trace.threads == {(7, 70): "train main", (8, 80): "other main"}
    assert trace.profiled == {7, 8}
    assert trace.gpus == {0: "H100"}
    assert "start" in trace.tables["NVTX_EVENTS"]
    assert trace.warnings == []


def test_ranges_of_two_processes_with_the_same_numbers(tables: Callable[..., Tables]) -> None:
    rows = tables(everything())["nvtx"]
    assert columns(rows, "pid", "domain", "category", "name", "payload") == [
        (7, "", None, "outer", None),
        (7, "train domain", "train category", "train inner", -5),
        (8, "", None, "outer", None),
        (8, "other domain", "other category", "other inner", -5),
    ]


def test_ranges_open_ended_and_ended_elsewhere(tables: Callable[..., Tables]) -> None:
    export = Export()
    export.add("ANALYSIS_DETAILS", duration=1000)
    export.range(1, None, "never popped")
    export.range(2, 1000, "popped by the end")
    export.range(3, 9, "crossing", eventType=60, endGlobalTid=gid(7, 71))
    export.range(4, 9, "staying", eventType=60, endGlobalTid=gid(7, 70))
    export.range(5, None, "mark", eventType=34, uint64Value=2**62)
    export.range(6, None, "thread name", eventType=39)
    export.range(7, 8, "", textId=export.id("registered"), text=None, category=9, doubleValue=1.5)
    rows = tables(export)["nvtx"]
    assert columns(rows, "name", "kind", "start_ns", "end_ns", "closed", "end_tid", "category", "payload") == [
        ("never popped", "range", 1, 1000, False, None, None, None),
        ("popped by the end", "range", 2, 1000, False, None, None, None),
        ("crossing", "start_end", 3, 9, True, 71, None, None),
        ("staying", "start_end", 4, 9, True, None, None, None),
        ("mark", "mark", 5, 5, True, None, None, 2**62),
        ("registered", "range", 7, 8, True, None, "9", None),
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_one_domain_alone(tmp_path: Path, form: str) -> None:
    trace = open_trace(everything().write(tmp_path / "in", form), tmp_path)
    names = lambda domain: nvtx_table(trace, domain).column("name").to_pylist()
    assert names("train domain") == ["train inner"]
    assert names("") == ["outer", "outer"]
    assert names("absent") == []
    assert nvtx_table(trace, "absent").schema == nvtx_table(trace).schema
    assert nvtx_table(trace).schema.names == SCHEMAS["nvtx"].names[len(RunKey._fields) :]


def test_gpu_operations_and_their_launches(tables: Callable[..., Tables]) -> None:
    export = everything()
    export.kernel(5000, 5100, "cut off", 999)
    export.add(MEMSET, start=5200, end=5201, deviceId=1, streamId=2, correlationId=None, globalPid=gid(7), bytes=9)
    rows = tables(export)["gpu_ops"]
    named = ("pid", "kind", "name", "queue", "start_ns", "launch_ns", "launch_tid", "bytes")
    assert columns(rows, *named) == [
        (7, "kernel", "kernel<int>(float*)", 7, 147, 120, 70, None),
        (8, "kernel", "kernel<int>(float*)", 7, 148, 120, 80, None),
        (7, "kernel", "cut off", 7, 5000, None, None, None),
        (7, "memcpy", "Device-to-Host", 7, 170, 160, 70, 64),
        (8, "memcpy", "Device-to-Host", 7, 170, 160, 80, 64),
        (7, "memset", "memset", 2, 5200, None, None, 9),
        (7, "graphics", "vkQueueSubmit", 3, 2100, 2020, 71, None),
    ]


def test_calls_are_counted_once_and_say_what_they_wait_for(tables: Callable[..., Tables]) -> None:
    rows = tables(everything())["api_calls"]
    assert [row for row in columns(rows, "api", "pid", "name", "waits_on") if row[1] == 7] == [
        ("cuda", 7, "cudaLaunchKernel", None),
        ("cuda", 7, "cudaMemcpy", "memcpy"),
        ("vulkan", 7, "vkCmdDraw", None),
        ("vulkan", 7, "vkQueueSubmit", None),
        ("vulkan", 7, "vkWaitForFences", "fence"),
        ("osrt", 7, "futex", "futex"),
    ]


@pytest.mark.parametrize(
    ("api", "what", "names"),
    [
        ("cuda", "device", "cudaDeviceSynchronize cuCtxSynchronize"),
        ("cuda", "stream", "cudaStreamSynchronize cuStreamSynchronize_ptsz"),
        ("cuda", "event", "cudaEventSynchronize cuEventSynchronize"),
        ("cuda", "memcpy", "cudaMemcpy cuMemcpyDtoH_v2 cudaMemcpy2DToArray cudaMemcpyToSymbol"),
        ("cuda", None, "cudaMemcpyAsync cuMemcpyHtoDAsync_v2 cudaStreamWaitEvent cudaMemset cudaLaunchKernel"),
        ("osrt", "condition", "pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait"),
        ("osrt", None, "pthread_cond_signal pthread_create open64 mmap munmap pthread_mutex_unlock"),
        ("osrt", "semaphore", "sem_wait sem_timedwait sem_clockwait"),
        ("osrt", "lock", "pthread_mutex_lock pthread_mutex_timedlock pthread_rwlock_rdlock"),
        ("osrt", "poll", "poll ppoll epoll_wait epoll_pwait select pselect"),
        ("osrt", "io", "read pread64 recv recvfrom recvmsg write pwrite64 writev sendmsg fread fwrite"),
        ("osrt", "sleep", "nanosleep clock_nanosleep usleep sleep"),
        ("osrt", "child", "waitpid wait4 waitid wait"),
        ("osrt", "device", "ioctl"),
        ("osrt", "thread", "pthread_join pthread_timedjoin_np"),
        ("osrt", "barrier", "pthread_barrier_wait"),
        ("vulkan", "semaphore", "vkWaitSemaphores vkWaitSemaphoresKHR"),
        ("vulkan", "queue", "vkQueueWaitIdle"),
        ("vulkan", "device", "vkDeviceWaitIdle"),
        ("vulkan", "image", "vkAcquireNextImageKHR vkAcquireNextImage2KHR"),
        ("vulkan", None, "vkQueueSubmit vkCmdWaitEvents"),
    ],
)
def test_waits_are_told_by_name(api: str, what: str | None, names: str) -> None:
    assert {name: waits_on(api, name) for name in names.split()} == dict.fromkeys(names.split(), what)


def test_names_of_functions_and_units_of_metrics() -> None:
    assert api_name("cudaLaunchKernelExC_v11060") == "cudaLaunchKernelExC"
    assert api_name("cudaMemcpyAsync_v3020_ptsz") == "cudaMemcpyAsync_ptsz"
    assert api_name("cuMemcpyDtoH_v2") == "cuMemcpyDtoH_v2"
    assert [metric_unit(name) for name in ("SMs Active [Throughput %]", "Clock [MHz]", "Odd []", "Plain")] == [
        "%", "MHz", "", "",
    ]  # fmt: skip


def test_debug_labels_pair_within_their_command_buffer(tables: Callable[..., Tables]) -> None:
    rows = tables(everything())["gpu_labels"]
    assert columns(rows, "context", "name", "tid", "start_ns", "end_ns") == [
        (3, "shadow", 71, 2002, 2006),
        (4, "main", 71, 2003, 2010),
    ]


def test_scheduling_pairs_within_a_thread(tables: Callable[..., Tables]) -> None:
    rows = tables(everything())["thread_states"]
    assert sorted(columns([row for row in rows if row["pid"] == 7], "start_ns", "end_ns", "state")) == [
        (500, 600, "running"),
        (600, 700, "blocked"),
        (700, 800, "running"),
        (800, 850, "runnable"),
        (850, 10_000, "running"),
    ]


def test_scheduling_of_old_versions_says_only_when_it_ran(tables: Callable[..., Tables]) -> None:
    export = everything()
    for row in export.tables["SCHED_EVENTS"]:
        del row["threadState"]
    assert {row["state"] for row in tables(export)["thread_states"]} == {"running"}


def test_scheduling_out_of_order_is_sorted(tables: Callable[..., Tables]) -> None:
    export = everything()
    export.tables["SCHED_EVENTS"].reverse()
    by_time = lambda rows: sorted(map(repr, rows))
    assert by_time(tables(export)["thread_states"]) == by_time(tables(everything())["thread_states"])


def test_samples_share_stacks(tables: Callable[..., Tables]) -> None:
    found = tables(everything())
    frames = {row["stack_id"]: row["frames"] for row in found["stacks"]}
    assert sorted(frames.values()) == [["main (libx.so)", "a (libx.so)"], ["main (libx.so)", "b (libx.so)"]]
    of_7 = [row for row in found["samples"] if row["pid"] == 7]
    assert [frames[row["stack_id"]][-1][0] for row in of_7] == ["a", "b", "a"]
    assert columns(of_7, "t_ns", "weight_ns", "state") == [
        (1000, 10, "running"),
        (1010, 10, "running"),
        (1020, 10, "running"),
    ]


def test_call_stacks_taken_for_other_reasons_weigh_nothing(tables: Callable[..., Tables]) -> None:
    export = everything()
    export.add("COMPOSITE_EVENTS", id=1, start=1015, threadState=2, globalTid=gid(7, 70), cpuCycles=0)
    rows = [row for row in tables(export)["samples"] if row["t_ns"] == 1015]
    assert columns(rows, "weight_ns", "state", "stack_id") == [(0, "blocked", 0)]


def test_metrics(tables: Callable[..., Tables]) -> None:
    rows = tables(everything())["gpu_metrics"]
    assert columns(rows, "t_ns", "device", "metric", "value", "unit") == [
        (900, 1, "SMs Active [Throughput %]", 55.0, "%"),
        (901, 1, "GPC Clock Frequency [MHz]", 1500.0, "MHz"),
    ]


def test_processes_and_window_choose_events(tables: Callable[..., Tables]) -> None:
    every = tables(everything())
    some = tables(everything(), pids=[8], window_ns=(150, 1010))
    assert set(some) == set(every) - {"gpu_labels"}
    for name, rows in some.items():
        begin, end = ("t_ns", "t_ns") if name in ("samples", "gpu_metrics") else ("start_ns", "end_ns")
        if name != "stacks":
            expected = [
                row for row in every[name] if row.get("pid", 8) == 8 and row[begin] < 1010 and row[end] >= 150
            ]  # fmt: skip
            assert rows == expected, name
    assert {row["stack_id"] for row in some["samples"]} == {row["stack_id"] for row in some["stacks"]}
    assert len(some["stacks"]) < len(every["stacks"])
    assert tables(everything(), pids=[]).keys() == {"gpu_metrics"}


def test_a_launch_outside_the_window_is_still_known(tables: Callable[..., Tables]) -> None:
    rows = tables(everything(), window_ns=(175, 300), pids=[7])["gpu_ops"]
    assert columns(rows, "kind", "launch_ns") == [("kernel", 120), ("memcpy", 160)]


def test_times_are_mapped(tables: Callable[..., Tables]) -> None:
    def to_run(times: np.ndarray) -> np.ndarray:
        return times * 2 - 1000

    plain, mapped = tables(everything()), tables(everything(), to_run=to_run)
    assert set(plain) == set(mapped)
    for name, rows in plain.items():
        for before, after in zip(rows, mapped[name], strict=True):
            for column in ("start_ns", "end_ns", "t_ns", "launch_ns"):
                if before.get(column) is not None:
                    assert after[column] == before[column] * 2 - 1000, (name, column)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_size_of_batches_changes_nothing(
    tables: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch, form: str, rows: int
) -> None:
    whole = tables(everything(), form)
    for module in (sqlite, columnar):
        monkeypatch.setattr(module, "CHUNK_ROWS", rows)
    pieces = tables(everything(), form)
    assert set(pieces) == set(whole)
    for name, expected in whole.items():
        assert sorted(map(repr, pieces[name])) == sorted(map(repr, expected)), name


def test_sparse_ids_are_read(tables: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Row ids far apart do not make as many empty ranges."""
    made = Export()
    for shift in range(60):
        made.add("StringIds", id=1 << shift, value=f"s{shift}")
    trace = open_trace(made.sqlite(tmp_path / "report1.sqlite"), tmp_path)
    assert trace.strings.texts(np.array([1, 1 << 40, 7])) == ["s0", "s40", "string#7"]


def test_old_names_of_tables(tmp_path: Path) -> None:
    export = Export("2.9.1", "EXPORT_META_DATA")
    export.id("x")
    trace = open_trace(export.sqlite(tmp_path / "old.sqlite"), tmp_path)
    assert trace.schema_version == "2.9.1"
    assert trace.warnings == []


def test_tables_and_columns_that_are_not_there(tables: Callable[..., Tables]) -> None:
    export = Export()
    export.add("CUPTI_ACTIVITY_KIND_KERNEL", start=5, end=9)
    export.add("CUPTI_ACTIVITY_KIND_RUNTIME", start=1, end=2, globalTid=gid(7, 70), nameId=3)
    found = tables(export)
    assert columns(found["gpu_ops"], "name", "pid", "device", "launch_ns") == [("", 0, 0, None)]
    assert columns(found["api_calls"], "name", "correlation") == [("string#3", None)]


def test_complaints_of_the_profiler_become_warnings(tmp_path: Path) -> None:
    export = everything()
    for severity, text in ((1, "chatter"), (2, "No CUDA\nevents"), (3, "broken"), (3, "broken")):
        export.add("DIAGNOSTIC_EVENT", timestamp=-5, severity=severity, text=text)
    export.add("PROFILER_OVERHEAD", start=10, end=30, nameId=1, globalTid=gid(7, 70))
    trace = open_trace(export.sqlite(tmp_path / "a.sqlite"), tmp_path)
    assert trace.warnings == ["a.sqlite: nsys warning: No CUDA events", "a.sqlite: nsys error: broken"]
    assert trace.profiled == {7}  # the other one is of another nsys


SECRET = "hunter2-TOKEN-9f8e7d"


def test_the_environment_goes_nowhere(tmp_path: Path) -> None:
    export = everything()
    export.add("TARGET_INFO_SYSTEM_ENV", name="DeviceEnvironment", value=f"API_KEY={SECRET}")
    export.add("META_DATA_CAPTURE", name="PROCESS_0:ENVIRONMENT_VARIABLE_7", value=f"API_KEY={SECRET}")
    export.add("ProcessStreams", globalPid=gid(7), filenameId=export.id("stdout"), contentId=export.id(f"K={SECRET}"))
    trace = open_trace(export.sqlite(tmp_path / "a.sqlite"), tmp_path)
    convert(trace, KEY, tmp_path / "out", same)
    nvtx = nvtx_table(trace)
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"TOKEN" not in written + repr((nvtx.to_pylist(), trace.warnings, trace.threads, trace.processes)).encode()
    assert b"train main" not in written  # nothing but what a table declares


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_an_nsys_file(tmp_path: Path, form: str) -> None:
    assert export.is_nsys_file(everything().write(tmp_path / "in", form))


def test_what_is_none(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "a.nsys-rep").mkdir()
    (tmp_path / "b.txt").write_text("x")
    with sqlite3.connect(tmp_path / "c.sqlite") as db:
        db.execute("CREATE TABLE mine (x)")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "d.parquet")
    with pa.OSFile(str(tmp_path / "e.arrow"), "wb") as out, pa.ipc.new_stream(out, pa.schema([("x", pa.int64())])):
        pass
    (tmp_path / "f.arrow").write_bytes(b"no arrow")
    names = ("a.nsys-rep", "b.txt", "c.sqlite", "d.parquet", "e.arrow", "f.arrow", "absent.sqlite", ".")
    assert [name for name in names if export.is_nsys_file(tmp_path / name)] == []
    (tmp_path / "g.nsys-rep").write_bytes(b"x")
    (tmp_path / "damaged.sqlite").write_bytes(b"x" * 5000)
    assert export.is_nsys_file(tmp_path / "g.nsys-rep") and export.is_nsys_file(tmp_path / "damaged.sqlite")


def fixture(name: str) -> Path:
    path = SHARED / "fixtures" / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def test_real_h100_export(tmp_path: Path) -> None:
    trace = open_trace(fixture("h100_2gpu_1s.sqlite"), tmp_path)
    assert convert(trace, KEY, tmp_path / "out", same) == {"nvtx": 16782, "api_calls": 5796, "gpu_ops": 4368}
    ops = pq.read_table(tmp_path / "out/gpu_ops.parquet").to_pandas()
    kernels = ops[ops["kind"] == "kernel"]
    assert len(kernels) == 3442
    assert kernels["launch_ns"].isna().sum() == 1810  # the recording was cut: never dropped
    assert (ops["launch_ns"].isna() | (ops["launch_ns"] <= ops["start_ns"])).all()
    calls = pq.read_table(tmp_path / "out/api_calls.parquet").to_pandas()
    waits = calls[calls["waits_on"].notna()]
    assert set(waits["name"]) == {"cudaStreamSynchronize"}
    assert set(waits["waits_on"]) == {"stream"}
    assert int((waits["end_ns"] - waits["start_ns"]).sum()) == 856_929_451
    assert trace.warnings == []


def test_real_a100_export(tmp_path: Path) -> None:
    trace = open_trace(fixture("a100_saxpy.sqlite"), tmp_path)
    rows = convert(trace, KEY, tmp_path / "out", same)
    assert rows == {"nvtx": 22, "api_calls": 57, "gpu_ops": 20, "thread_states": 1574, "stacks": 294, "samples": 5451}
    nvtx = nvtx_table(trace).to_pandas()
    assert set(nvtx["domain"]) == {"", "MPI"}
    assert set(nvtx["name"][nvtx["domain"] == ""]) == {"saxpy"}
    states = pq.read_table(tmp_path / "out/thread_states.parquet").to_pandas()
    for _, thread in states.sort_values("start_ns").groupby("tid", observed=True):
        assert (thread["start_ns"].values[1:] >= thread["end_ns"].values[:-1]).all()
    assert all(tid != 1230499 for _, tid in trace.threads)  # nsys's own
    assert trace.warnings == []


def test_timed_waits_of_a_python_thread_one_switch_interval_after_the_other_are_for_the_interpreter_lock(
    tables: Callable[..., Tables],
) -> None:
    """As nsys records a thread that another one keeps the lock from: slices of 5 ms, then the rest, at once."""
    export = Export()
    ms, wait = 1_000_000, "pthread_cond_timedwait"
    for pid, name in ((7, "/usr/bin/python3.12"), (8, "/opt/bin/renderer")):
        export.add("PROCESSES", globalPid=gid(pid), pid=pid, name=name)
        tid = pid * 10
        export.osrt(10 * ms, 15 * ms + 70_000, wait, pid, tid)
        export.osrt(15 * ms + 80_000, 15 * ms + 90_000, wait, pid, tid)
        export.osrt(30 * ms, 31 * ms, wait, pid, tid)
        export.osrt(40 * ms, 60 * ms, wait, pid, tid)  # a busy machine: it came back late, and asked again
        export.osrt(60 * ms + 10_000, 61 * ms, wait, pid, tid)
        export.osrt(70 * ms, 90 * ms, wait, pid, tid)
        export.osrt(100 * ms, 105 * ms, "pthread_cond_wait", pid, tid)
    rows = tables(export)["api_calls"]
    waits = [what for pid, what in columns(rows, "pid", "waits_on") if pid == 7]
    assert waits == ["gil", "gil", "condition", "gil", "gil", "condition", "condition"]
    assert {what for pid, what in columns(rows, "pid", "waits_on") if pid == 8} == {"condition"}


def test_the_profilers_own_threads_are_not_the_programs(tables: Callable[..., Tables]) -> None:
    export = everything()
    before = tables(export)
    export.osrt(310, 390, "poll", 7, 79)  # a thread called [NSys]
    for start, into in ((520, 1), (580, 0)):
        export.add("SCHED_EVENTS", start=start, cpu=1, isSchedIn=into, globalTid=gid(7, 79), threadState=1)
    export.tables["SCHED_EVENTS"].sort(key=lambda row: row["start"])
    after = tables(export)
    assert after["api_calls"] == before["api_calls"] and after["thread_states"] == before["thread_states"]
