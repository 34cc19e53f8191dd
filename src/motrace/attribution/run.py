"""One run, analysed: its pieces, who worked in them, and why the loop thread waited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..dataset.tables import RunKey
from ..errors import MotraceError
from ..readers.recording import RunRecording
from ..thread_roles import role_by_spans
from .attribute import Blind, Shares, attribute
from .evidence_from_events import Who
from .member_roles import role_by_phases, unseen_apart
from .pieces import Pieces, Segment, Spans, collect_segments, collect_spans, cut, self_check
from .windows import Trace, attribute_with_trace, who_is_who

PROFILER_ONLY = "trace"
"""Mode of a run that only a profiler recorded."""
CUDA_KINDS = frozenset(("kernel", "memcpy", "memset"))


@dataclass
class RunAnalysis:
    """A run with every nanosecond of its loop thread attributed."""

    recording: RunRecording
    spans: Spans
    segments: list[Segment]
    pieces: Pieces
    roles: dict[int, str]
    shares: list[Shares]
    trace: Trace | None = None
    who: Who | None = None

    @property
    def run_id(self) -> str:
        """The run's id, unique in its experiment."""
        return self.recording.run_id

    @property
    def key(self) -> RunKey:
        """What tells the run from those of all experiments."""
        return self.recording.key

    @property
    def mode(self) -> str:
        """record, none, or custom for a program that is not one of our workloads."""
        return self.recording.manifest.mode

    @property
    def status(self) -> str:
        """completed, interrupted, crashed or unknown."""
        return self.recording.manifest.status

    @property
    def loop_tid(self) -> int:
        """Thread id of the loop thread, 0 if there is none."""
        return self.recording.loop.tid


def analyse_run(recording: RunRecording, trace: Trace | None = None) -> RunAnalysis:
    """Cut a run into pieces and attribute them. Raises MotraceError where no time passed in it.

    ``trace`` holds the events that profilers and samplers recorded of it.
    """
    spans = collect_spans(recording)
    segments = collect_segments(recording)
    loop = (recording.loop.pid, recording.loop.tid)
    pieces = cut(spans, segments, loop)
    if not len(pieces):
        raise MotraceError(f"{recording.run_id}: its recording has no duration; remove it, or record again")
    self_check(pieces, segments)
    if recording.cpu_log is not None:
        recording = replace(recording, cpu_log=unseen_apart(recording.cpu_log, pieces))
    cpu_log = recording.cpu_log
    roles: dict[int, str] = {}
    if cpu_log is not None:
        own = _own_roles(recording, spans)
        for one in cpu_log.members:
            roles[one.slot] = own.get((one.is_child, one.id)) or role_by_phases(one, cpu_log, pieces)
    analysis = RunAnalysis(recording, spans, segments, pieces, roles, [], trace)
    blind = blind_spots(recording, roles, trace)
    if trace is None:
        analysis.shares = attribute(pieces, cpu_log, roles, recording.born_ns, blind)
    else:
        who = analysis.who = who_is_who(loop, cpu_log, roles, trace.names)
        analysis.shares = attribute_with_trace(pieces, cpu_log, roles, recording.born_ns, blind, trace, who)
    return analysis


def _own_roles(recording: RunRecording, spans: Spans) -> dict[tuple[bool, int], str]:
    """Roles of threads (False, tid) and children (True, pid) by what the program says, or by spans of their own."""
    loop = (recording.loop.pid, recording.loop.tid)
    inside = np.zeros(len(spans), np.int64)  # time of a span's children
    nested = np.flatnonzero(spans.parent >= 0)
    lasted = spans.end_ns - spans.start_ns
    np.add.at(inside, spans.parent[nested], lasted[nested])
    times: dict[tuple[bool, int], dict[str, int]] = {}
    for pid, tid, name, ns in zip(spans.pid.tolist(), spans.tid.tolist(), spans.name, (lasted - inside).tolist()):
        if (pid, tid) != loop:
            mine = times.setdefault((False, tid) if pid == loop[0] else (True, pid), {})
            mine[name] = mine.get(name, 0) + ns
    roles = {who: role for who, phases in times.items() if (role := role_by_spans(phases)) is not None}
    stated = recording.stated_roles.items()
    return roles | {(False, tid): role for (pid, tid), role in stated if (pid, tid) != loop and pid == loop[0]}


def blind_spots(recording: RunRecording, roles: Mapping[int, str], trace: Trace | None = None) -> Blind:
    """Which workers of this run neither a CPU clock nor a trace could show."""
    manifest = recording.manifest
    if manifest.adapter is not None:
        gpu = not manifest.adapter.is_software
    else:
        gpu = manifest.mode not in ("none", PROFILER_ONLY) and "raster" not in roles.values()
    cuda = manifest.workload.device == "cuda"
    seen = trace.gpu_kinds if trace is not None else frozenset()
    return Blind(gpu=gpu and "graphics" not in seen, cuda=cuda and not seen & CUDA_KINDS)
