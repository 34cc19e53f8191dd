"""VizTracer's JSON: calls of functions with exact times, as ranges; what each function took itself.

It disturbs what it watches: a call costs about as much as a short function. So its shares are shown beside a run; they
split no time of it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..dataset.dictionary_columns import constant
from ..dataset.profiles import FunctionProfile, NamedTime, ProfileTimes, UserProfile
from ..readers.recording import RunRecording
from ..readers.viztracer import FunctionCalls, read_viztracer
from ..timeline.clocks import UTC_ERROR_NS, ClockFit
from .profiler_only import Watched, recording_of
from .source import Head, Identity, Part, ProfilerFile, Source, moved, write_table

Array = np.ndarray[Any, Any]
MOST = 20
"""So many functions are listed."""
CALIBRATION_NS, DRIFT = 100_000, 2e-6
"""How far its clock may be from CLOCK_MONOTONIC: measured 12 us, and it counts the processor's ticks from then on."""
SAME_CLOCK_NS = 50_000_000
"""If UTC minus its clock is the run's within this, both are one CLOCK_MONOTONIC: UTC may be stepped meanwhile."""
PHASE_SHARE, MOST_PHASES, MOST_SPANS = 0.01, 60, 200_000
"""The functions that are phases of a trace alone: of at least this share of its time, and no more than so many."""
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
        profile = replace(
            file.profile(run, "json", ProfileTimes.UNALIGNED), functions=_profile(calls), warnings=calls.warnings
        )
        if fit is None:
            return Part(self.name, folder, profile=profile)
        mine = np.isin(calls.pid, sorted(run.pids))
        write_table("nvtx", moved(_ranges(calls, mine), fit.offset_ns), run.key, folder)
        profile = profile.aligned(fit.method, fit.error_ns)
        return Part(f"{self.name} ({file.name})", folder, fit, names=calls.threads, profile=profile)

    def alone(
        self, file: ProfilerFile, experiment: str, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """A run whose phases are the functions that take the most; what they call else is their own time."""
        calls = read_viztracer(file.path)
        start, end = calls.extent_ns
        base = calls.utc_minus_ts_ns
        watched = Watched(
            file.name, f"VizTracer {calls.version} alone", "function calls", np.unique(calls.pid).tolist(),
            calls.threads, start + base if base is not None else None, end - start, numbered=False,
        )  # fmt: skip
        ranges = moved(_ranges(calls, _phases(calls), lines=False), -start)
        run, fit = recording_of(watched, ranges, file.path, experiment, phases)
        run.run_id = file.name
        every = moved(_ranges(calls, np.ones(len(calls), bool)), fit.offset_ns - start)
        write_table("nvtx", every, run.key, folder)
        profile = replace(
            file.profile(run, "json", ProfileTimes.OWN_CLOCK), functions=_profile(calls), warnings=calls.warnings
        )
        return run, Part(self.name, folder, fit, names=calls.threads, profile=profile)


def _clock(calls: FunctionCalls, run: RunRecording) -> ClockFit | None:
    """By CLOCK_MONOTONIC if it is the run's, else by UTC; None where nothing says how its clock is to be taken."""
    start, end = calls.extent_ns
    error_ns = round(CALIBRATION_NS + DRIFT * (end - start))
    monotonic = ClockFit.constant(0, error_ns, 1, "CLOCK_MONOTONIC, which VizTracer reads too", run.origin_ns)
    if calls.utc_minus_ts_ns is None or run.utc_ns is None:
        inside = start < run.origin_ns + run.end_ns and end > run.origin_ns
        return monotonic if inside else None
    apart = calls.utc_minus_ts_ns - (run.utc_ns - run.origin_ns)
    if abs(apart) < SAME_CLOCK_NS:
        return monotonic
    return ClockFit.constant(apart, error_ns + UTC_ERROR_NS, 1, "UTC", run.origin_ns)


def _phases(calls: FunctionCalls) -> Array:
    """Which calls are of functions that may be phases: the heaviest, each time in one counted once."""
    length = calls.end_ns - calls.start_ns
    total, count = (np.bincount(calls.name, weights, len(calls.names)) for weights in (length.astype(float), None))
    start, end = calls.extent_ns
    order = np.argsort(-total, kind="stable")[:MOST_PHASES]
    chosen = order[total[order] >= PHASE_SHARE * (end - start)]
    while len(chosen) > 1 and count[chosen].sum() > MOST_SPANS:
        chosen = chosen[count[chosen] < count[chosen].max()]
    return np.isin(calls.name, chosen)


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
