"""Random programs, recorded by the real recorder on a fake clock: pieces tile the run, leaves are right."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import motrace
from motrace.attribution.pieces import GLUE, NO_FRAME, collect_segments, collect_spans, cut, self_check
from motrace.attribution.run import analyse_run
from motrace.attribution.tables import build_tables, residual_ns
from motrace.readers.recording import read_recording
from motrace.record.spans import logs

NAMES = ("policy", "step", "capture", "wait", "own name")


@dataclass
class FakeClock:
    """Time that passes only when told to."""

    now: int = field(default_factory=lambda: __import__("time").monotonic_ns())

    def __call__(self) -> int:
        return self.now


# A program is a list of: pass time, begin a span, end the innermost, begin or end a frame, begin a segment.
operations = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(0, 1000)),
        st.tuples(st.just("begin"), st.sampled_from(NAMES)),
        st.tuples(st.just("end"), st.just(None)),
        st.tuples(st.just("frame"), st.just(None)),
        st.tuples(st.just("segment"), st.sampled_from(("warmup", "loop", "drain", "shutdown"))),
    ),
    max_size=60,
)


def play(program: list[tuple[str, object]], folder: Path) -> list[tuple[int, int, str, int, str]]:
    """Run a program; returns what was true: (start, end, leaf phase, frame, segment), pieces that touch."""
    motrace.start(folder, cpu_clocks=False)
    clock = FakeClock()
    log = logs.own()
    log.begin_ns = log.end_ns = clock
    motrace.segment("startup")
    stack: list[tuple[object, str, int]] = []
    truth: list[tuple[int, int, str, int, str]] = []
    segment, frames, since = "startup", 0, clock.now

    def note(until: int) -> None:
        nonlocal since
        name, frame = (stack[-1][1], stack[-1][2]) if stack else ("", NO_FRAME)
        leaf = GLUE if name == "frame" else name or (GLUE if segment in ("warmup", "loop") else segment)
        if until > since:
            truth.append((since, until, leaf, frame, segment))
        since = until

    for action, value in program:
        if action == "pass":
            clock.now += int(value)  # type: ignore[call-overload]
            continue
        note(clock.now)
        if action in ("begin", "frame"):
            made = motrace.frame() if action == "frame" else motrace.span(str(value))
            frame = stack[-1][2] if stack else NO_FRAME
            if action == "frame" and frame == NO_FRAME:
                frame = frames
            frames += action == "frame"
            made.__enter__()
            stack.append((made, "frame" if action == "frame" else str(value), frame))
        elif action == "end" and stack:
            stack.pop()[0].__exit__(None, None, None)  # type: ignore[attr-defined]
        elif action == "segment":
            motrace.segment(str(value))
            segment = str(value)
    clock.now += 10
    note(clock.now)
    log.point(0, clock.now, 0)  # an empty span: the recording's last moment
    motrace.stop()
    return truth


@settings(max_examples=300, deadline=None)
@given(operations)
def test_pieces_say_what_happened(program: list[tuple[str, object]]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        truth = play(program, folder / "run")
        recording = read_recording(folder / "run" / "01")
        spans, segments = collect_spans(recording), collect_segments(recording)
        pieces = cut(spans, segments, (recording.loop.pid, recording.loop.tid))
        self_check(pieces, segments)
        for begin, finish, leaf, frame, segment in truth:
            start, end = begin - recording.origin_ns, finish - recording.origin_ns
            first = np.searchsorted(pieces.start_ns, max(start, pieces.start_ns[0]), side="right") - 1
            last = np.searchsorted(pieces.start_ns, end)  # the piece that begins where this truth ends, or later
            assert last > first
            for piece in range(first, last):
                found = (pieces.phase[piece], pieces.frame[piece], segments[pieces.segment[piece]].name)
                assert found == (leaf, frame, segment)
        tables = build_tables(analyse_run(recording))
        assert residual_ns(tables) == 0
        wall = sum(segment.end_ns - segment.start_ns for segment in segments)
        assert tables["attribution"].to_pandas()["ns"].sum() == wall
    finally:
        motrace.stop()
        shutil.rmtree(folder)


def test_unnamed_segments_come_from_the_frames(tmp_path: Path) -> None:
    """A program that marks nothing but frames has start-up, loop and shutdown."""
    motrace.start(tmp_path / "run", cpu_clocks=False)
    with motrace.span("before"):
        pass
    for _ in range(2):
        with motrace.frame():
            pass
    with motrace.span("after"):
        pass
    motrace.stop()
    recording = read_recording(tmp_path / "run" / "01")
    assert [segment.name for segment in collect_segments(recording)] == ["startup", "loop", "shutdown"]
