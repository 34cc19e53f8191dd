"""The span recorder: what is written is what happened."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

import motrace
from motrace.attribution.pieces import collect_spans
from motrace.attribution.run import analyse_run
from motrace.attribution.tables import build_tables, residual_ns
from motrace.readers.recording import read_recording
from motrace.readers.spans import SpanLogFile
from motrace.record.spans import KIND_FRAME, OffFrame, OffSpan, OnSpan


def names(folder: Path) -> list[tuple[str, str | None, bool]]:
    """Name, parent's name and closed flag of every span, in order of begin."""
    spans = collect_spans(read_recording(folder))
    return [
        (spans.name[i], spans.name[spans.parent[i]] if spans.parent[i] >= 0 else None, bool(spans.closed[i]))
        for i in range(len(spans))
    ]


def test_spans_nest(recording: Path) -> None:
    with motrace.span("outer"):
        with motrace.span("inner"):
            pass
        with motrace.span("inner"):
            pass
    motrace.stop()
    assert names(recording) == [("outer", None, True), ("inner", "outer", True), ("inner", "outer", True)]


def test_times_are_monotonic_and_nested(recording: Path) -> None:
    with motrace.span("outer"), motrace.span("inner"):
        pass
    motrace.stop()
    spans = collect_spans(read_recording(recording))
    assert spans.start_ns[0] <= spans.start_ns[1] <= spans.end_ns[1] <= spans.end_ns[0]


def test_a_span_closes_when_an_exception_passes(recording: Path) -> None:
    with pytest.raises(ZeroDivisionError), motrace.span("outer"), motrace.span("inner"):
        _ = 1 // 0
    motrace.stop()
    assert names(recording) == [("outer", None, True), ("inner", "outer", True)]


def test_recursion_of_one_name(recording: Path) -> None:
    @motrace.span("down")
    def down(depth: int) -> None:
        if depth:
            down(depth - 1)

    down(3)
    motrace.stop()
    assert names(recording) == [("down", None, True), *[("down", "down", True)] * 3]


def test_decorators_cover_every_kind_of_function(recording: Path) -> None:
    @motrace.span("plain")
    def plain(value: int) -> int:
        """Kept."""
        return value + 1

    @motrace.span("generator")
    def generator(count: int):
        for number in range(count):
            with motrace.span("item"):
                pass
            yield number

    @motrace.span("coroutine")
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return "done"

    @motrace.span("stream")
    async def stream():
        yield await coroutine()

    async def everything() -> list[str]:
        return [text async for text in stream()]

    assert plain(1) == 2 and plain.__doc__ == "Kept." and plain.__name__ == "plain"
    assert list(generator(2)) == [0, 1]
    assert asyncio.run(everything()) == ["done"]
    motrace.stop()
    item = [("generator", None, True), ("item", "generator", True)]
    asleep = [("stream", None, True), ("coroutine", "stream", True)]
    assert names(recording) == [
        ("plain", None, True), *item, *item, ("generator", None, True), *asleep, *asleep, ("stream", None, True),
    ]  # fmt: skip


def test_time_is_conserved_where_generators_are_pulled_across_frames(recording: Path) -> None:
    """A span open between two resumptions would take the frames and spans after it for its own."""

    @motrace.span("load")
    def batches():
        while True:
            with motrace.span("read"):
                time.sleep(0.002)
            yield

    @motrace.span("stream")
    async def stream():
        for batch in source:
            yield batch

    async def loop() -> None:
        items = stream()
        for _ in range(3):
            with motrace.frame():
                with motrace.span("outer"):
                    await items.__anext__()
                time.sleep(0.005)
                await asyncio.sleep(0)
        await items.aclose()

    source = batches()
    with motrace.frame():
        next(source)
    asyncio.run(loop())
    source.close()
    motrace.stop()
    tables = build_tables(analyse_run(read_recording(recording)))
    assert residual_ns(tables) == 0
    frames = tables["frames"].to_pandas()
    assert frames["frame"].tolist() == [0, 1, 2, 3]
    rows = tables["attribution"].to_pandas().groupby(["frame", "phase"], observed=True)["ns"].sum()
    assert all(rows[frame, "read"] >= 1.9e6 and rows.get((frame, "load"), 0) < 2e6 for frame in range(4))
    assert all(rows[frame, "glue"] >= 4.9e6 for frame in (1, 2, 3)), "nobody is in a generator that waits"


def test_a_span_held_open_across_frames_takes_no_frame_from_the_loop(recording: Path) -> None:
    def held():
        while True:
            with motrace.span("held"):
                yield

    source = held()
    for _ in range(4):
        with motrace.frame():
            with motrace.span("step"):
                next(source)
            time.sleep(0.001)
    motrace.stop()
    tables = build_tables(analyse_run(read_recording(recording)))
    assert tables["frames"]["frame"].to_pylist() == [0, 1, 2, 3] and residual_ns(tables) == 0


def test_spans_that_interleave_keep_their_own_times(recording: Path) -> None:
    first, second = motrace.span("first"), motrace.span("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with motrace.span("between"):
        pass
    second.__exit__(None, None, None)
    motrace.stop()
    spans = collect_spans(read_recording(recording))
    end = dict(zip(spans.name, spans.end_ns.tolist()))
    start = dict(zip(spans.name, spans.start_ns.tolist()))
    assert end["first"] <= start["between"] < end["between"] <= end["second"]
    assert spans.closed.all()


def test_a_span_made_before_recording_records_after_it_starts(tmp_path: Path) -> None:
    early = motrace.span("made early")
    with early:
        pass  # not recorded
    motrace.start(tmp_path / "run", cpu_clocks=False)
    with early:
        pass
    motrace.stop()
    with early:
        pass  # not recorded
    assert names(tmp_path / "run" / "01") == [("made early", None, True)]


def test_a_span_around_start_and_one_around_stop(tmp_path: Path) -> None:
    with motrace.span("around start"):
        motrace.start(tmp_path / "run", cpu_clocks=False)
    with motrace.span("around stop"):
        motrace.stop()
    assert names(tmp_path / "run" / "01") == [("around stop", None, True)]


def test_switched_off_nothing_is_written(tmp_path: Path) -> None:
    span = motrace.span("nothing")
    assert type(span) is OffSpan and type(motrace.frame()) is OffFrame
    with span, motrace.frame():
        motrace.segment("loop")
    assert not motrace.is_recording()
    assert list(tmp_path.iterdir()) == []


def test_every_thread_has_a_log(recording: Path) -> None:
    def work() -> None:
        for _ in range(100):
            with motrace.span("work"):
                pass

    threads = [threading.Thread(target=work, name=f"worker {index}") for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    motrace.stop()
    logs = [SpanLogFile.read(path) for path in recording.glob("spans-*.bin")]
    worked = {log.thread_name: len(log.records) for log in logs if log.thread_name.startswith("worker")}
    assert worked == {f"worker {index}": 100 for index in range(4)}


def test_thread_ids_that_the_kernel_gives_again_get_new_logs(recording: Path) -> None:
    """Threads that follow each other often bear one id; nothing may be overwritten."""
    for _ in range(50):
        thread = threading.Thread(target=motrace.span("once")(lambda: None))
        thread.start()
        thread.join()
    motrace.stop()
    assert names(recording).count(("once", None, True)) == 50


def test_a_log_grows_and_keeps_open_spans(recording: Path) -> None:
    with motrace.span("whole"):
        for _ in range(20_000):  # ten chunks and more
            with motrace.span("part"):
                pass
    motrace.stop()
    found = names(recording)
    assert found[0] == ("whole", None, True)
    assert found[1:] == [("part", "whole", True)] * 20_000


def test_frames_are_numbered(recording: Path) -> None:
    for _ in range(3):
        with motrace.frame(), motrace.span("work"):
            pass
    motrace.stop()
    (log,) = [SpanLogFile.read(path) for path in recording.glob("spans-*.bin")]
    assert log.of_kind(KIND_FRAME)[:, 3].tolist() == [0, 1, 2]
    spans = collect_spans(read_recording(recording))
    assert [spans.frame[i] for i in range(len(spans)) if spans.name[i] == "work"] == [0, 1, 2]


def test_long_and_foreign_names_survive(recording: Path) -> None:
    odd = "спан ∂t " * 40
    with motrace.span(odd), motrace.span("x"):
        pass
    motrace.stop()
    assert [name for name, _, _ in names(recording)] == [odd, "x"]


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_span_needs_a_name(name: object) -> None:
    with pytest.raises(TypeError, match="needs a name"):
        motrace.span(name)  # type: ignore[arg-type]


def test_starting_twice_is_an_error(recording: Path) -> None:
    with pytest.raises(RuntimeError, match="already recording"):
        motrace.start(recording)


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        motrace.start(tmp_path / "file")
    assert not motrace.is_recording()


def test_stop_without_start_is_harmless() -> None:
    assert motrace.stop() == 0


def test_a_forked_child_records_apart(recording: Path) -> None:
    with motrace.span("parent"):
        pid = os.fork()
        if pid == 0:
            with motrace.span("child"):
                pass
            os._exit(0)
        os.waitpid(pid, 0)
    motrace.stop()
    spans = collect_spans(read_recording(recording))
    by_pid = {int(p): [spans.name[i] for i in range(len(spans)) if spans.pid[i] == p] for p in set(spans.pid.tolist())}
    assert by_pid == {os.getpid(): ["parent"], pid: ["child"]}


def test_the_class_of_a_span_says_whether_it_records(recording: Path) -> None:
    span = motrace.span("x")
    assert type(span) is OnSpan
    motrace.stop()
    assert type(span) is OffSpan
