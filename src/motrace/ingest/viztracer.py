"""VizTracer's JSON: calls of functions with exact times, as ranges; what each function took itself.

It disturbs what it watches: a call costs about as much as a short function. So its shares are shown beside a run; they
split no time of it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..arrays import Array
from ..dataset.dictionary_columns import constant
from ..dataset.profiles import FunctionProfile, NamedTime, ProfileTimes, UserProfile
from ..dataset.tables import ExperimentKey
from ..readers.recording import RunRecording
from ..readers.viztracer import FunctionCalls, read_viztracer
from ..timeline.clocks import UTC_ERROR_NS, ClockFit
from ..vocabulary import ClockMethod
from .function_loop import FunctionLoop, find_loop
from .profiler_only import Watched, of_thread, recording_of
from .program_time import called_time, waiting_calls
from .source import Head, Identity, Part, ProfilerFile, Source, moved, write_events, write_table

FRAME = "frame"
"""What a frame is called among the functions, whose names have a place too."""
MOST = 20
"""So many functions are listed."""
CALIBRATION_NS, DRIFT = 100_000, 2e-6
"""How far its clock may be from CLOCK_MONOTONIC: measured 12 us, and it counts the processor's ticks from then on."""
SAME_CLOCK_NS = 50_000_000
"""If UTC minus its clock is the run's within this, both are one CLOCK_MONOTONIC: UTC may be stepped meanwhile."""
PHASE_SHARE, MOST_PHASES, MOST_SPANS = 0.01, 60, 200_000
"""Phases of a trace alone: the functions of its loop's body, those of this share of its time, no more than so many."""
_MARK = re.compile(rb'"viztracer_metadata"\s*:|"cat"\s*:\s*"fee"', re.IGNORECASE)


class VizTracerSource(Source):
    """VizTracer."""

    name = "VizTracer"

    def recognise(self, head: Head) -> bool:
        """A Chrome trace with VizTracer's metadata, which come last."""
        return head.text.startswith("{") and '"traceEvents"' in head.text and head.has(_MARK)

    def identity(self, file: ProfilerFile) -> Identity:
        """Processes, and from when to when there are calls, where UTC is written."""
        calls = read_viztracer(file.path)
        base = calls.utc_minus_ts_ns
        start, end = calls.extent_ns
        utc_ns = (start + base, end + base) if base is not None else None
        pids = frozenset(np.unique(calls.pid).tolist())
        return Identity(pids, utc_ns=utc_ns, written_ns=file.path.stat().st_mtime_ns)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """FunctionCalls as ranges, where its clock can be tied to the run's, and a profile."""
        calls = read_viztracer(file.path)
        fit = _clock(calls, run)
        run.warnings.append(f"{file.name}: VizTracer ran in this run and slowed down every function call")
        profile = _shown(file, run, calls, ProfileTimes.UNALIGNED)
        if fit is None:
            return Part(folder, profile=profile)
        mine = np.isin(calls.pid, sorted(run.pids))
        write_table("nvtx", moved(_ranges(calls, mine), fit.offset_ns), run.key, folder)
        profile = profile.aligned(fit.method, fit.error_ns)
        return Part(folder, fit, names=calls.threads, profile=profile)

    def alone(
        self, file: ProfilerFile, experiment: ExperimentKey, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """A run whose frames are the iterations of a loop, its phases the functions in it that take the most.

        What these call else is their own time.
        """
        calls = read_viztracer(file.path)
        start, end = calls.extent_ns
        base = calls.utc_minus_ts_ns
        watched = Watched(
            file.name, f"VizTracer {calls.version} alone", "function calls", np.unique(calls.pid).tolist(),
            calls.threads, start + base if base is not None else None, end - start, frame=FRAME,
        )  # fmt: skip
        loop = find_loop(calls, np.flatnonzero(of_thread(phases, calls.tid, calls.threads)))
        shown, rows = calls, _phases(calls, loop)
        if loop is not None:
            shown, rows = _with_frames(calls, loop), np.concatenate((np.ones(len(loop.start_ns), bool), rows))
        ranges = moved(_ranges(shown, rows, lines=False), -start)
        run, fit = recording_of(watched, ranges, file.path, experiment, phases)
        run.run_id = file.name
        every = moved(_ranges(calls, np.ones(len(calls), bool)), fit.offset_ns - start)
        write_table("nvtx", every, run.key, folder)
        write_events({"api_calls": moved(waiting_calls(calls), -start)}, run.key, fit.offset_ns, folder)
        profile = replace(_shown(file, run, calls, ProfileTimes.OWN_CLOCK), thread=called_time(calls, loop))
        covered = fit.offset_ns, end - start + fit.offset_ns
        return run, Part(folder, fit, covered, names=calls.threads, profile=profile)


def _clock(calls: FunctionCalls, run: RunRecording) -> ClockFit | None:
    """By CLOCK_MONOTONIC if it is the run's, else by UTC; None where nothing says how its clock is to be taken."""
    start, end = calls.extent_ns
    error_ns = round(CALIBRATION_NS + DRIFT * (end - start))
    monotonic = ClockFit.constant(0, error_ns, 1, ClockMethod.MONOTONIC, run.origin_ns)
    if calls.utc_minus_ts_ns is None or run.utc_ns is None:
        inside = start < run.origin_ns + run.end_ns and end > run.origin_ns
        return monotonic if inside else None
    apart = calls.utc_minus_ts_ns - (run.utc_ns - run.origin_ns)
    if abs(apart) < SAME_CLOCK_NS:
        return monotonic
    return ClockFit.constant(apart, error_ns + UTC_ERROR_NS, 1, ClockMethod.UTC, run.origin_ns)


def _phases(calls: FunctionCalls, loop: FunctionLoop | None) -> Array:
    """Which calls may be phases: of the functions of the loop's body, else heavy in it or in all; none around it."""
    mine, (start, end) = np.ones(len(calls), bool), calls.extent_ns
    total, heavy = _heavy(calls, mine, start, end)
    body = in_loop = np.zeros(len(calls.names), bool)
    if loop is not None:
        mine = (calls.pid == loop.pid) & (calls.tid == loop.tid)
        mine[loop.around] = False
        total, heavy = _heavy(calls, mine, start, end)
        _, in_loop = _heavy(calls, mine, int(loop.start_ns[0]), int(loop.end_ns[-1]))
        body = np.isin(np.arange(len(calls.names)), loop.body)
    order = np.lexsort((-total, ~in_loop, ~body))[:MOST_PHASES]
    chosen = order[(body | in_loop | heavy)[order]]
    count = np.bincount(calls.name[mine], minlength=len(calls.names))
    while len(chosen) > 1 and count[chosen].sum() > MOST_SPANS:
        chosen = chosen[count[chosen] < count[chosen].max()]
    return mine & np.isin(calls.name, chosen)


def _heavy(calls: FunctionCalls, rows: Array, from_ns: int, to_ns: int) -> tuple[Array, Array]:
    """The time of each function in some calls from one time to another, and whether it is enough for a phase."""
    inside = rows & (calls.start_ns >= from_ns) & (calls.end_ns <= to_ns)
    total = np.bincount(calls.name[inside], (calls.end_ns - calls.start_ns)[inside].astype(float), len(calls.names))
    return total, total >= PHASE_SHARE * (to_ns - from_ns)


def _with_frames(calls: FunctionCalls, loop: FunctionLoop) -> FunctionCalls:
    """Frames before the calls, as calls of a function of their own."""
    count = len(loop.start_ns)
    first = {"name": len(calls.names), "pid": loop.pid, "tid": loop.tid}
    name, pid, tid = (np.concatenate((np.full(count, value), getattr(calls, key))) for key, value in first.items())
    start, end = (np.concatenate((getattr(loop, key), getattr(calls, key))) for key in ("start_ns", "end_ns"))
    names = [*calls.names, FRAME]
    return replace(calls, names=names, name=name, pid=pid, tid=tid, start_ns=start, end_ns=end)


def _ranges(calls: FunctionCalls, rows: Array, lines: bool = True) -> pa.Table:
    """Calls as rows of ``nvtx`` without their key; ``lines`` keeps the line in which a function begins."""
    names = calls.names if lines else [re.sub(r":\d+\)$", ")", name) for name in calls.names]
    chosen, count = np.flatnonzero(rows), int(np.count_nonzero(rows))
    none = pa.nulls(count)
    return pa.table(
        {
            "pid": calls.pid[chosen],
            "tid": calls.tid[chosen],
            "end_tid": none.cast(pa.int64()),
            "domain": constant(VizTracerSource.name, count),
            "category": none.cast(pa.string()).dictionary_encode(),
            "name": pa.DictionaryArray.from_arrays(pa.array(calls.name[chosen].astype(np.int32)), pa.array(names)),
            "kind": constant("range", count),
            "start_ns": calls.start_ns[chosen],
            "end_ns": calls.end_ns[chosen],
            "closed": np.ones(count, bool),
            "payload": none.cast(pa.int64()),
        }
    )


def _shown(file: ProfilerFile, run: RunRecording, calls: FunctionCalls, times: ProfileTimes) -> UserProfile:
    return replace(file.profile(run, "json", times), functions=_profile(calls), warnings=calls.warnings)


def _profile(calls: FunctionCalls) -> FunctionProfile:
    """Functions by their own time, without the calls inside them."""
    own = np.bincount(calls.name, calls.own_ns.astype(float), len(calls.names))
    count = np.bincount(calls.name, None, len(calls.names))
    order = np.argsort(-own, kind="stable")[:MOST].tolist()
    rows = (NamedTime(calls.names[row], int(count[row]), round(float(own[row]))) for row in order)
    return FunctionProfile(len(calls), bool(calls.overflow), tuple(rows))
