"""The loop thread's time, cut into pieces that belong to exactly one leaf each.

A piece lasts from one cut (a span or a segment begins or ends) to the next. It belongs to the
span that began last of those that are open: the time of a span outside its children is a leaf of
its own that has the span's name. Time outside any span is ``glue`` in the loop and the warm-up,
inside a frame or between two, and has the name of its segment elsewhere.

    frame   |-----------------------|
    capture   |------------------|
    wait          |---------|
    piece   |g|-c-|----w----|-c--|g|
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..arrays import Array
from ..readers.recording import RunRecording, ThreadSpans
from ..vocabulary import FRAMED_SEGMENTS, SEGMENTS

NO_FRAME = -1
GLUE = "glue"


@dataclass
class Spans:
    """Spans of one run, as parallel arrays in order of begin; ns from the run's start."""

    pid: Array
    tid: Array
    name: list[str]
    is_frame: Array
    value: Array
    start_ns: Array
    end_ns: Array
    closed: Array
    parent: Array
    depth: Array
    frame: Array

    def __len__(self) -> int:
        return len(self.name)


@dataclass(frozen=True)
class Segment:
    """A part of the run."""

    name: str
    start_ns: int
    end_ns: int


@dataclass
class Pieces:
    """Pieces of the loop thread's time, as parallel arrays in order of time.

    ``span`` indexes ``Spans`` (-1 outside any), ``frame`` is a frame number or NO_FRAME,
    ``segment`` indexes the segments. They tile the run: each begins where the last one ended.
    """

    start_ns: Array
    end_ns: Array
    span: Array
    frame: Array
    segment: Array
    phase: list[str]

    def __len__(self) -> int:
        return len(self.phase)

    def rows(self, rows: Array) -> Pieces:
        """Some of them; they tile no more."""
        phase = [self.phase[row] for row in rows.tolist()]
        return Pieces(
            self.start_ns[rows], self.end_ns[rows], self.span[rows], self.frame[rows], self.segment[rows], phase
        )


def collect_spans(recording: RunRecording) -> Spans:
    """The spans of every thread of a run, nested, with open ones ended where their parent ends."""
    rows: list[tuple[int, ...]] = []
    for thread in recording.threads:
        rows += _nested(thread, len(rows), recording.end_ns)
    columns = np.array(rows, np.int64).reshape(-1, 10)
    return Spans(
        pid=columns[:, 0],
        tid=columns[:, 1],
        name=[name for thread in recording.threads for name in thread.name.tolist()],
        is_frame=columns[:, 2].astype(bool),
        value=columns[:, 3],
        start_ns=columns[:, 4],
        end_ns=columns[:, 5],
        closed=columns[:, 6].astype(bool),
        parent=columns[:, 7],
        depth=columns[:, 8],
        frame=columns[:, 9],
    )


def _nested(thread: ThreadSpans, first: int, run_end: int) -> list[tuple[int, ...]]:
    """Rows of one thread's spans."""
    rows: list[list[int]] = []
    stack: list[int] = []
    current, frame_end = NO_FRAME, 0
    columns = (thread.is_frame, thread.value, thread.start_ns, thread.end_ns, thread.closed)
    for is_frame, value, start, end, closed in zip(*(column.tolist() for column in columns)):
        while stack and rows[stack[-1]][5] <= start:
            stack.pop()
        parent = stack[-1] if stack else -1
        if not closed:
            end = rows[parent][5] if parent >= 0 else max(run_end, start)
        if start >= frame_end:
            current = NO_FRAME
        if is_frame and current == NO_FRAME:  # a frame inside a frame belongs to the outer one
            current, frame_end = value, max(end, start)
        stack.append(len(rows))
        depth = len(stack) - 1
        rows.append([thread.pid, thread.tid, is_frame, value, start, max(end, start), closed, parent, depth, current])
    for row in rows:
        row[7] += first if row[7] >= 0 else 0
    return [tuple(row) for row in rows]


def collect_segments(recording: RunRecording) -> list[Segment]:
    """The segments of a run, adding up to its wall time.

    They begin where the program said so; what comes before the first is start-up. A program that
    named none has start-up until its first frame, a loop, and a shutdown after its last frame.
    """
    loop, run_end = recording.loop, recording.end_ns
    marks = list(loop.marks)
    frames = np.flatnonzero(loop.is_frame)
    if not marks and len(frames):
        marks = [(int(loop.start_ns[frames[0]]), "loop")]
        if loop.closed[frames[-1]]:
            marks.append((int(loop.end_ns[frames[-1]]), "shutdown"))
    if not marks or marks[0][0] > 0:
        marks.insert(0, (0, "startup"))
    merged: list[tuple[int, str]] = []
    for start, name in marks:
        if not merged or merged[-1][1] != name:
            merged.append((min(max(start, 0), run_end), name))
    ends_ns = [start for start, _ in merged[1:]] + [run_end]
    return [Segment(name, start, end) for (start, name), end in zip(merged, ends_ns)]


def cut(spans: Spans, segments: list[Segment], loop: tuple[int, int]) -> Pieces:
    """Cut the run into pieces; ``loop`` is (pid, tid) of the loop thread."""
    mine = np.flatnonzero((spans.pid == loop[0]) & (spans.tid == loop[1]))
    run_start, run_end = segments[0].start_ns, segments[-1].end_ns
    starts = np.clip(spans.start_ns[mine], run_start, run_end)
    ends = np.clip(spans.end_ns[mine], run_start, run_end)
    edges = np.array([segment.start_ns for segment in segments] + [run_end])
    cuts = np.unique(np.concatenate((starts, ends, edges)))
    begin_at = np.searchsorted(cuts, starts)
    end_at = np.searchsorted(cuts, ends)
    owner = _innermost(begin_at.tolist(), end_at.tolist(), len(cuts) - 1)
    span = np.where(owner >= 0, mine[np.maximum(owner, 0)], -1) if len(mine) else np.full(len(cuts) - 1, -1)
    segment = np.searchsorted(edges[:-1], cuts[:-1], side="right") - 1
    frame = _frames(spans, mine, cuts[:-1])
    phase = [_phase(spans, int(s), segments[int(g)].name) for s, g in zip(span, segment)]
    return Pieces(cuts[:-1], cuts[1:], span, frame, segment, phase)


def _frames(spans: Spans, mine: Array, at_ns: Array) -> Array:
    """The frame of each moment. By time, not by span: one that a generator holds open may outlast its frame."""
    frames = mine[spans.is_frame[mine] & (spans.frame[mine] == spans.value[mine])]
    if not len(frames):
        return np.full(len(at_ns), NO_FRAME)
    nearest = np.searchsorted(spans.start_ns[frames], at_ns, side="right") - 1
    inside = (nearest >= 0) & (at_ns < spans.end_ns[frames][nearest])
    return np.where(inside, spans.value[frames][nearest], NO_FRAME)


def _innermost(begin_at: list[int], end_at: list[int], count: int) -> Array:
    """For each piece, which span covers it that began last (-1 for none). Spans come in order of begin."""
    owner = np.full(count, -1, np.int64)
    ending: dict[int, list[int]] = {}
    position = 0
    open_spans: list[int] = []
    for piece in range(count):
        for gone in ending.pop(piece, ()):
            open_spans.remove(gone)
        while position < len(begin_at) and begin_at[position] <= piece:
            if end_at[position] > piece:
                open_spans.append(position)
                ending.setdefault(end_at[position], []).append(position)
            position += 1
        if open_spans:
            owner[piece] = open_spans[-1]
    return owner


def _phase(spans: Spans, span: int, segment: str) -> str:
    if span < 0:
        return GLUE if segment in FRAMED_SEGMENTS or segment not in SEGMENTS else segment
    return GLUE if spans.is_frame[span] else spans.name[span]


def self_check(pieces: Pieces, segments: list[Segment]) -> None:
    """Raise ValueError unless the pieces tile the segments, and these the run."""
    if (pieces.end_ns <= pieces.start_ns).any():
        raise ValueError("a piece has no duration")
    if (pieces.start_ns[1:] != pieces.end_ns[:-1]).any():
        raise ValueError("pieces leave a gap or overlap")
    for before, after in pairwise(segments):
        if before.end_ns != after.start_ns:
            raise ValueError(f"segment {after.name} does not begin where {before.name} ends")
    walls = np.zeros(len(segments), np.int64)
    np.add.at(walls, pieces.segment, pieces.end_ns - pieces.start_ns)
    expected = [segment.end_ns - segment.start_ns for segment in segments]
    if walls.tolist() != expected:
        raise ValueError(f"pieces of the segments last {walls.tolist()} ns, the segments {expected} ns")
