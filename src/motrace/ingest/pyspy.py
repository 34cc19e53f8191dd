"""py-spy's four formats, ours or the user's.

None of them says when a sample was taken (chrometrace counts from py-spy's own start). Where our collector kept
py-spy's log the times are known; samples of a user's file are never put on a run's time line, and no composition is
transferred from them to its phases: they are shown beside it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..arrays import Array
from ..attribution.windows import LoopStacks
from ..dataset.dictionary_columns import constant
from ..dataset.profiles import MOST_TID, ProfileTimes
from ..dataset.tables import ExperimentKey, RunKey
from ..errors import MotraceError
from ..readers.pyspy.formats import ORDERED, TIMED, Profile, read_any
from ..readers.pyspy.samples import PROFILES, read_collected
from ..readers.recording import RunRecording
from ..readers.source_calls import SourceCalls
from ..sampling.python_waits import any_waits
from ..sampling.thread_time import sampled_time
from ..sampling.user_profiles import Samples, stack_profile
from ..timeline.clocks import ClockFit
from ..vocabulary import ClockMethod, Tool
from .source import Head, Identity, Part, ProfilerFile, Source, loop_ranges, moved, write_table

PERIOD_NS = 10_000_000
"""Of a sample in formats that only count: py-spy's own default is 100 per second."""
STACK_IDS = 1_000_000
"""Stack numbers of one file lie this far from those of the next."""
_TIMES = {ORDERED: ProfileTimes.ORDERED, TIMED: ProfileTimes.FROM_START}
_FORMATS = {ORDERED: "speedscope", TIMED: "chrometrace"}
_OUR_FRAMES = ("(motrace/record/", "(motrace/workloads/")
_SPEEDSCOPE = re.compile(r'"\$schema"\s*:\s*"https://www\.speedscope\.app/')
_CHROMETRACE = re.compile(r'^\s*\[\s*\{[^{}]*(\{[^{}]*\})?[^{}]*"cat"\s*:\s*"py-spy"')
_EXPORTER = re.compile(rb'"exporter"\s*:\s*"py-spy')
_SVG = ("<?xml", "<!DOCTYPE svg", "<svg")


class PySpySource(Source):
    """py-spy."""

    name = "py-spy"
    tool = Tool.PYSPY
    collected = tuple(PROFILES.values())

    def recognise(self, head: Head) -> bool:
        """A speedscope file that names py-spy as its exporter, or one of its other formats."""
        text = head.text
        if head.is_zipped or not text:
            return False
        if text.startswith("{"):  # others write speedscope too; py-spy names itself at the end, if that is there
            return _SPEEDSCOPE.search(text) is not None and (not head.tail.endswith(b"}") or head.has(_EXPORTER))
        if text.startswith("["):
            return _CHROMETRACE.match(text) is not None
        if text.startswith(_SVG):
            return "py-spy" in text and 'fg:x="' in text
        return _is_raw(text, head.is_whole)

    def identity(self, file: ProfilerFile) -> Identity:
        """Processes and threads, where the format names them."""
        profile = read_any(file.path)
        pids = frozenset(thread.pid for thread in profile.threads if thread.pid)
        tids = frozenset(thread.tid for thread in profile.threads if 0 < thread.tid <= MOST_TID)
        ours = any(mark in frame for stack in profile.stacks for frame in stack for mark in _OUR_FRAMES)
        return Identity(pids, tids, written_ns=file.path.stat().st_mtime_ns, ours=ours)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """Of ours samples with times; of the user's a profile."""
        return _timed(run, folder) if file.collected else _profile(file, run, run.key, folder, number)

    def alone(
        self, file: ProfilerFile, experiment: ExperimentKey, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """A profile."""
        return None, _profile(file, None, experiment.run(file.name), folder, 0)


def _is_raw(text: str, whole: bool) -> bool:
    """Whether the lines are stacks with a count, most of them with a frame ``function (file:line)`` of Python's."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not whole and len(lines) == 1:  # one stack, longer than what was read
        return re.match(r"(process|thread) .*;|[^;]+ \([^;()]+:\d+\);", lines[0]) is not None
    parts = [line.rpartition(" ") for line in (lines if whole else lines[:-1])]
    python = sum(re.search(r"(^|;)[^;]+ \([^;()]+:\d+\)(;|$)", frames) is not None for frames, _, _ in parts)
    return bool(parts) and all(count.isdecimal() for _, _, count in parts) and 2 * python > len(parts)


def _timed(run: RunRecording, folder: Path) -> Part | None:
    """Samples that our collector took; those of the loop thread are kept at hand where their times are known."""
    found = read_collected(run.path, {run.loop.tid: loop_ranges(run, frames=False)})
    if found is None:
        return None
    run.warnings += found.warnings
    samples, clock = found.samples, found.clock
    timed = clock.method is not ClockMethod.NONE
    samples = moved(samples, -run.origin_ns) if timed else samples
    write_table("samples", samples, run.key, folder)
    write_table("stacks", found.stacks, run.key, folder)
    mine = samples.column("tid").to_numpy() == run.loop.tid
    t_ns, stack = samples.column("t_ns").to_numpy(), samples.column("stack_id").to_numpy()
    usable = timed and found.native and mine.any()
    return Part(
        folder=folder,
        clock=ClockFit.constant(clock.offset_ns, clock.error_ns, clock.pairs, clock.method, run.origin_ns),
        stacks=LoopStacks(t_ns[mine], stack[mine], found.stacks) if usable else None,
    )


def _profile(file: ProfilerFile, run: RunRecording | None, key: RunKey, folder: Path, number: int) -> Part:
    profile = read_any(file.path)
    pids = run.pids if run is not None else set()
    if any(thread.pid in pids for thread in profile.threads):  # it watched other processes too
        profile.threads = [thread for thread in profile.threads if thread.pid in pids]
    if not any(len(thread.stack) for thread in profile.threads):
        raise MotraceError(f"{file.name} holds no samples: py-spy saw nothing; profile for longer")
    samples, t_ns = _samples(profile)
    source, base, rows = f"{PySpySource.name} ({file.name})", number * STACK_IDS, len(t_ns)
    columns = {
        "t_ns": t_ns, "weight_ns": samples.weight_ns, "pid": samples.pid, "tid": samples.tid,
        "state": constant("unknown", rows), "stack_id": samples.stack + base, "source": constant(source, rows),
    }  # fmt: skip
    write_table("samples", columns, key, folder)
    frames = [list(one) for one in profile.stacks]
    write_table("stacks", {"stack_id": np.arange(len(frames)) + base, "frames": frames}, key, folder)
    form = _FORMATS.get(profile.kind) or ("flamegraph" if Head(file.path).text.startswith(_SVG) else "raw")
    shown = file.profile(run, form, _TIMES.get(profile.kind, ProfileTimes.COUNTED))
    thread = None if run is not None else sampled_time(samples, profile.native, _Sources(file.path))
    stacks = stack_profile(samples, profile.native)
    return Part(folder, profile=replace(shown, stacks=stacks, thread=thread, warnings=tuple(profile.warnings)))


class _Sources:
    """For what the line of a frame waits by its source; empty for nothing known, None without its source."""

    def __init__(self, path: Path) -> None:
        self._calls = SourceCalls(path, path.read_text(errors="replace"))

    def __call__(self, frame: str) -> str | None:
        """By the calls on the line."""
        calls = self._calls(frame)
        return None if calls is None else any_waits(calls) or ""


def _samples(profile: Profile) -> tuple[Samples, Array]:
    """The samples of all threads, and their times (ns from py-spy's start; 0 where they are not known)."""
    parts: list[dict[str, Array]] = []
    names: dict[tuple[int, int], str] = {}
    for thread in profile.threads:
        rows = len(thread.stack)
        names[thread.pid, thread.tid] = thread.name
        t_ns, weight_ns = np.zeros(rows, np.int64), thread.count * PERIOD_NS
        if profile.kind == ORDERED:
            weight_ns = np.round(thread.weight_s * 1e9).astype(np.int64)
        elif profile.kind == TIMED:
            t_ns = np.round(thread.t_s * 1e9).astype(np.int64)
            weight_ns = np.diff(t_ns, append=t_ns[-1:])
        parts.append(
            {"pid": np.full(rows, thread.pid), "tid": np.full(rows, thread.tid), "stack": thread.stack,
             "count": thread.count, "weight_ns": weight_ns, "t_ns": t_ns}
        )  # fmt: skip
    whole = {name: np.concatenate([part[name] for part in parts]).astype(np.int64) for name in parts[0]}
    t_ns = whole.pop("t_ns")
    return Samples(**whole, stacks=profile.stacks, names=names, counted=profile.kind != TIMED), t_ns
