"""torch.profiler's traces, ours of a few frames or the user's: CUDA work, the calls that launched it, annotations."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..dataset.profiles import EventProfile, ProfileTimes, UserProfile
from ..dataset.tables import ExperimentKey
from ..errors import MotraceError
from ..readers.recording import RunRecording
from ..readers.torch.events import EARLIEST_UTC_NS, extent
from ..readers.torch.kineto import TorchTrace, read_torch
from ..sampling.user_profiles import named_times
from ..timeline.clocks import ClockFit
from ..vocabulary import ClockMethod, Tool
from .profiler_only import LONGEST_DAYS, LONGEST_TRACE_NS, Watched, recording_of
from .program_time import operated_time
from .source import Head, Identity, Part, ProfilerFile, Source, loop_ranges, moved, write_events

_KINETO = re.compile(r'"(schemaVersion|deviceProperties|baseTimeNanoseconds|distributedInfo)"\s*:')


class TorchSource(Source):
    """torch.profiler."""

    name = "torch.profiler"
    tool = Tool.TORCH
    collected = ("torch.json",)

    def recognise(self, head: Head) -> bool:
        """A JSON object, zipped or not, with Kineto's fields before or after the events."""
        text = head.text
        if not text.startswith("{") or '"traceEvents"' not in text:
            return False
        return bool(_KINETO.search(text) or _KINETO.search(head.everything))

    def identity(self, file: ProfilerFile) -> Identity:
        """Processes, and from when to when there are events."""
        pids, utc_ns = extent(file.path)
        return Identity(pids, utc_ns=utc_ns, written_ns=file.path.stat().st_mtime_ns)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """Events where its clock can be tied to the run's, and of the user's a profile."""
        utc = run.utc_ns - run.origin_ns if run.utc_ns is not None else None
        found = read_torch(file.path, loop_ranges(run, frames=False), utc)
        clock = found.clock
        profile = None if file.collected else _profile(file, run, found, ProfileTimes.UNALIGNED)
        if clock is None:
            if profile is None:
                run.warnings += found.warnings
                return None
            return Part(folder, profile=profile)
        covered = write_events(found.tables, run.key, -run.origin_ns, folder)
        fit = ClockFit.constant(0, clock.error_ns, clock.pairs, clock.method, run.origin_ns)
        seen = covered if found.tables["gpu_ops"].num_rows else None
        if profile is None:
            run.warnings += found.warnings
            return Part(folder, fit, seen)
        profile = profile.aligned(clock.method, clock.error_ns)
        who = "a trace of motrace's own hook" if clock.method is ClockMethod.MARKS else "torch.profiler ran in this run"
        run.warnings.append(f"{file.name}: {who}: the frames that it covers are disturbed")
        return Part(folder, fit, seen, profile=profile)

    def alone(
        self, file: ProfilerFile, experiment: ExperimentKey, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """A run whose phases are annotations."""
        found, far = _near(read_torch(file.path))
        pids, (start, end) = found.pids, found.extent_ns
        if not pids and not found.tables["gpu_ops"].num_rows:
            raise MotraceError(f"{file.name} holds no event of a program: torch.profiler saw nothing")
        events = {name: moved(table, -start) for name, table in found.tables.items()}
        own = pc.is_in(events["nvtx"].column("pid"), value_set=pa.array(sorted(pids), pa.int64()))
        utc_ns = start if start > EARLIEST_UTC_NS else None
        names = file.name, f"{self.name} alone", "user annotations"
        watched = Watched(*names, sorted(pids), {}, utc_ns, end - start)
        run, fit = recording_of(watched, events["nvtx"].filter(own), file.path, experiment, phases)
        run.run_id = file.name
        if far:
            run.warnings.append(
                f"events left out because they lie more than {LONGEST_DAYS} days from most others: {far:,}"
            )
        covered = write_events(events, run.key, fit.offset_ns, folder)
        seen = covered if events["gpu_ops"].num_rows else None
        profile = _profile(file, run, found, ProfileTimes.OWN_CLOCK)
        if not events["gpu_ops"].num_rows and not events["api_calls"].num_rows:  # a program of the CPU
            profile = replace(profile, thread=operated_time(found.operators, found.functions))
        return run, Part(folder, fit, seen, profile=profile)


def _near(trace: TorchTrace) -> tuple[TorchTrace, int]:
    """The trace without events that lie too far from most (time stamps of 0 beside UTC), and how many those are."""
    if trace.extent_ns[1] - trace.extent_ns[0] <= LONGEST_TRACE_NS:
        return trace, 0
    tables = {**trace.tables, "": trace.operators}
    middle = int(np.median(np.concatenate([table.column("start_ns").to_numpy() for table in tables.values()])))
    first, last = middle - LONGEST_TRACE_NS // 2, middle + LONGEST_TRACE_NS // 2
    near = {
        name: table.filter((pc.field("start_ns") >= first) & (pc.field("end_ns") <= last))
        for name, table in tables.items()
    }
    kept = [table for table in near.values() if table.num_rows]
    extent = (
        min(pc.min(table.column("start_ns")).as_py() for table in kept),
        max(pc.max(table.column("end_ns")).as_py() for table in kept),
    )
    far = sum(table.num_rows for table in tables.values()) - sum(table.num_rows for table in kept)
    return replace(trace, operators=near.pop(""), tables=near, extent_ns=extent), far


def _profile(file: ProfilerFile, run: RunRecording, found: TorchTrace, times: ProfileTimes) -> UserProfile:
    tables = found.tables
    named = (named_times(table) for table in (tables["nvtx"], tables["gpu_ops"], tables["api_calls"], found.operators))
    return replace(file.profile(run, "kineto", times), events=EventProfile(*named))
