"""A run as everything else takes it: spans as tables, CPU clocks, and one clock: ns from the run's start."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..arrays import Array
from ..cautions import Caution
from ..dataset.facts import RunManifest
from ..dataset.tables import NO_EXPERIMENT, ExperimentKey, RunKey
from ..record.spans import (
    END,
    KIND_CLOCK,
    KIND_FRAME,
    KIND_ROLE,
    KIND_SEGMENT,
    KIND_SPAN,
    NAME_ID_MASK,
    START,
    VALUE,
    WHAT,
)
from .cpu import CpuLogFile
from .episodes import EpisodeFile
from .run import RunFiles, load_run
from .spans import SpanLogFile


@dataclass(frozen=True)
class ThreadSpans:
    """The spans of one thread in order of begin, the outer first: parallel arrays, ns from the run's start.

    ``value`` is a frame's number. Of a span that is not ``closed`` the end is not known, and ``end_ns`` says nothing.
    ``marks`` are the moments at which segments begin, and their names.
    """

    pid: int
    tid: int
    thread_name: str
    name: Array
    is_frame: Array
    value: Array
    start_ns: Array
    end_ns: Array
    closed: Array
    marks: tuple[tuple[int, str], ...] = ()

    @classmethod
    def nothing(cls, pid: int = 0, tid: int = 0, thread_name: str = "") -> ThreadSpans:
        """Of a thread without spans."""
        none = np.empty(0, np.int64)
        return cls(pid, tid, thread_name, none.astype(object), none.astype(bool), none, none, none, none.astype(bool))

    def __len__(self) -> int:
        return len(self.start_ns)

    def rows(self, chosen: Array) -> ThreadSpans:
        """Some of them."""
        names = ("name", "is_frame", "value", "start_ns", "end_ns", "closed")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


@dataclass
class RunRecording:
    """What was recorded of a run. ``warnings`` says what could not be read, and what is missing.

    Times are ns from the run's start, which is ``origin_ns`` on CLOCK_MONOTONIC and ``utc_ns`` by the wall clock (None:
    not known). ``loop`` is the loop thread, one of ``threads``; ``born_ns`` when a launcher started the process.
    ``stated_roles`` are those of threads, by (pid, tid), of which the program says what they are.
    """

    run_id: str
    path: Path
    manifest: RunManifest
    threads: list[ThreadSpans]
    loop: ThreadSpans
    end_ns: int
    origin_ns: int = 0
    utc_ns: int | None = None
    born_ns: int | None = None
    cpu_log: CpuLogFile | None = None
    stated_roles: dict[tuple[int, int], str] = field(default_factory=dict)
    warnings: list[str | Caution] = field(default_factory=list)
    episodes: EpisodeFile | None = None
    experiment: ExperimentKey = NO_EXPERIMENT

    @property
    def key(self) -> RunKey:
        """What tells the run from those of all experiments."""
        return self.experiment.run(self.run_id)

    @property
    def pids(self) -> set[int]:
        """Its processes: those that recorded spans, and the children that the CPU log saw."""
        pids = {thread.pid for thread in self.threads}
        if self.cpu_log is not None:
            pids |= {member.id for member in self.cpu_log.members if member.is_child and member.id > 0}
        return pids


def read_recording(path: Path) -> RunRecording:
    """Read a run folder. What can't be read becomes a warning; raises MotraceError where nothing can."""
    return recording_of(load_run(path))


def recording_of(files: RunFiles) -> RunRecording:
    """What the files of a run say, on one clock."""
    origin, end = files.bounds_ns()
    log = files.loop_log
    assert log is not None, "a run without a span is not loaded"
    threads = {id(one): _thread_spans(files, one, origin) for one in files.span_logs}
    born = files.manifest.clocks.spawn_monotonic_ns
    return RunRecording(
        run_id=files.run_id,
        path=files.path,
        manifest=files.manifest,
        threads=list(threads.values()),
        loop=threads[id(log)],
        end_ns=end - origin,
        origin_ns=origin,
        utc_ns=_utc_minus_monotonic(log) + origin,
        born_ns=born - origin if born is not None else None,
        cpu_log=files.cpu_log.since(origin) if files.cpu_log is not None else None,
        stated_roles={
            (one.pid, int(row[VALUE])): files.name_of(one.pid, int(row[WHAT]))
            for one in files.span_logs
            for row in one.of_kind(KIND_ROLE)
        },
        warnings=[*files.warnings],
        episodes=files.episodes,
    )


def _utc_minus_monotonic(log: SpanLogFile) -> int:
    pairs = log.of_kind(KIND_CLOCK)
    return int(pairs[0, VALUE] - pairs[0, START]) if len(pairs) else log.created_utc_ns - log.created_ns


def _thread_spans(files: RunFiles, log: SpanLogFile, origin_ns: int) -> ThreadSpans:
    records = log.of_kind(KIND_SPAN, KIND_FRAME)
    distinct, which = np.unique(records[:, WHAT], return_inverse=True)
    names = np.array([files.name_of(log.pid, what) for what in distinct.tolist()], object)
    return ThreadSpans(
        pid=log.pid,
        tid=log.tid,
        thread_name=log.thread_name,
        name=names[which.reshape(-1)],
        is_frame=(records[:, WHAT] & ~NAME_ID_MASK) == KIND_FRAME,
        value=records[:, VALUE],
        start_ns=records[:, START] - origin_ns,
        end_ns=records[:, END] - origin_ns,
        closed=records[:, END] != 0,
        marks=_marks(files, log, origin_ns),
    )


def _marks(files: RunFiles, log: SpanLogFile, origin_ns: int) -> tuple[tuple[int, str], ...]:
    """Where segments begin. A loop that was presumed gives way to what the program says, or to its first frame."""
    marks = [
        (int(row[START]) - origin_ns, files.name_of(log.pid, int(row[WHAT])), bool(row[VALUE]))
        for row in log.of_kind(KIND_SEGMENT)
    ]
    own = tuple((ns, name) for ns, name, presumed in marks if not presumed)
    frames = log.of_kind(KIND_FRAME)
    if len(own) == len(marks) or any(name in ("warmup", "loop") for _, name in own):
        return own
    if len(frames):
        return tuple(sorted([(int(frames[:, START].min()) - origin_ns, "loop"), *own], key=lambda mark: mark[0]))
    return tuple((ns, name) for ns, name, _ in marks)
