"""What a thread is: by what the program says of it, by its own spans, or by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import motrace
from motrace.attribution.run import RunAnalysis, analyse_run
from motrace.errors import UsageError
from motrace.readers.recording import read_recording
from motrace.record.instrument import Instrument
from motrace.record.table import parse
from motrace.thread_roles import role_of
from tests.record.test_cpuclock import burn


def waited_for(folder: Path, thread: threading.Thread) -> RunAnalysis:
    """A run whose loop does nothing but wait for a thread."""
    run = motrace.start(folder)
    thread.start()
    while thread.is_alive():
        with motrace.frame(), motrace.span("handed over"):
            thread.join(0.02)
    motrace.stop()
    return analyse_run(read_recording(run))


def role(analysis: RunAnalysis, thread: threading.Thread) -> str:
    """The role that a thread was given."""
    assert analysis.recording.cpu_log is not None
    (slot,) = (one.slot for one in analysis.recording.cpu_log.members if one.id == thread.native_id)
    return analysis.roles[slot]


def worker(first: Callable[[], object], name: str | None = None) -> threading.Thread:
    """A thread that works for 0.1 s after it did ``first``."""

    def work() -> None:
        first()
        with motrace.span("its own"):
            burn(0.1)

    return threading.Thread(target=work, name=name)


def test_most_of_the_time_in_spans_of_its_own_makes_a_thread_what_it_is(tmp_path: Path) -> None:
    def work() -> None:
        with motrace.span("encode"):
            with motrace.span("compressed with care"):
                burn(0.01)
            burn(0.1)
        with motrace.span("policy"):
            burn(0.02)

    thread = threading.Thread(target=work)
    analysis = waited_for(tmp_path, thread)
    assert role(analysis, thread) == "encoder"
    by_encoder = sum(int(one.ns.sum()) for one in analysis.shares if one.cause == "encoder")
    assert by_encoder > 80e6


def test_a_thread_is_what_the_program_says(tmp_path: Path) -> None:
    thread = worker(lambda: motrace.thread_role("sim_pool"))
    assert role(waited_for(tmp_path, thread), thread) == "sim_pool"


def test_what_was_said_before_recording_counts(tmp_path: Path) -> None:
    begin, said = threading.Event(), threading.Event()

    def work() -> None:
        motrace.thread_role("encoder")
        said.set()
        begin.wait()
        burn(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    said.wait()
    run = motrace.start(tmp_path)
    with motrace.frame(), motrace.span("handed over"):
        begin.set()
        thread.join()
    motrace.stop()
    assert role(analyse_run(read_recording(run)), thread) == "encoder"


def test_a_word_that_is_no_role_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no thread role 'encodr'; choose from .*encoder"):
        motrace.thread_role("encodr")
    with pytest.raises(UsageError, match=r"\[threads\] w\*: there is no role 'loop'"):
        parse({"frame": "a.b", "threads": {"w*": "loop"}}, "the test")


def test_a_table_says_it_by_name_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = vars(threading.Thread).copy()
    table = parse({"frame": "never.imported", "threads": {"video-*": "encoder", "*": "other"}}, "the test")
    with Instrument(table):
        thread = worker(bool, "video-writer")
        analysis = waited_for(tmp_path, thread)
    assert role(analysis, thread) == "encoder"
    assert vars(threading.Thread) == before


def test_the_profilers_own_threads_are_not_the_programs() -> None:
    assert [role_of(name, "", "wait", False) for name in ("[NSys]", "[NSys Comms]", "*2CommsProcesso")] == [
        "profiler"
    ] * 3
