"""torch.profiler's traces, ours of a few frames or the user's: CUDA work, the calls that launched it, annotations."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ..cautions import CautionCode
from ..dataset.profiles import EventProfile, ProfileTimes, UserProfile
from ..dataset.tables import ExperimentKey
from ..errors import MotraceError
from ..readers.recording import RunRecording
from ..readers.torch.events import EARLIEST_UTC_NS, read_events
from ..readers.torch.kineto import GPU_RANGE, RANGE, TorchTrace, busiest, on_threads, read_torch
from ..sampling.user_profiles import named_times
from ..timeline.clocks import ClockFit
from ..vocabulary import ClockMethod, Tool
from .profiler_only import Watched, recording_of
from .program_time import operated_time
from .source import Head, Identity, Part, ProfilerFile, Source, loop_ranges, moved, write_events

_EVENTS = re.compile(rb'"traceEvents"\s*:|"ph"\s*:')
_KINETO = re.compile(
    rb'"(schemaVersion|deviceProperties|baseTimeNanoseconds|distributedInfo)"\s*:'
    rb'|"cat"\s*:\s*"(cpu_op|user_annotation|python_function|gpu_mem(cpy|set)|cuda_(runtime|driver)|ac2g)"'
)


class TorchSource(Source):
    """torch.profiler."""

    name = "torch.profiler"
    tool = Tool.TORCH
    collected = ("torch.json",)

    def recognise(self, head: Head) -> bool:
        """A Chrome trace, zipped or not, with Kineto's fields before or after the events, or its categories in them."""
        return head.text.startswith(("{", "[")) and head.has(_EVENTS) and head.has(_KINETO)

    def identity(self, file: ProfilerFile) -> Identity:
        """Processes, and from when to when there are events."""
        events = read_events(file.path)
        start, end = events.extent_ns
        utc_ns = (start, end) if start > EARLIEST_UTC_NS else None
        return Identity(events.pids, utc_ns=utc_ns, written_ns=file.path.stat().st_mtime_ns)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """Events where its clock can be tied to the run's, and of the user's a profile."""
        utc = run.utc_ns - run.origin_ns if run.utc_ns is not None else None
        found = read_torch(file.path, loop_ranges(run, frames=False), utc)
        clock = found.clock
        profile = None if file.collected else _profile(file, run, found, ProfileTimes.UNALIGNED)
        run.warnings += found.warnings
        if clock is None:
            return None if profile is None else Part(folder, profile=profile)
        covered = write_events(found.tables, run.key, -run.origin_ns, folder)
        fit = ClockFit.constant(0, clock.error_ns, clock.pairs, clock.method, run.origin_ns)
        seen = covered if found.tables["gpu_ops"].num_rows else None
        if profile is None:
            return Part(folder, fit, seen)
        profile = profile.aligned(clock.method, clock.error_ns)
        who = "a trace of motrace's own hook" if clock.method is ClockMethod.MARKS else "torch.profiler ran in this run"
        run.warnings.append(f"{file.name}: {who}: the frames that it covers are disturbed")
        return Part(folder, fit, seen, profile=profile)

    def alone(
        self, file: ProfilerFile, experiment: ExperimentKey, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """A run whose phases are annotations."""
        found = read_torch(file.path)
        pids, (start, end) = found.pids, found.extent_ns
        if not pids and not found.tables["gpu_ops"].num_rows:
            raise MotraceError(f"{file.name} holds no event of a program: torch.profiler saw nothing")
        events = {name: moved(table, -start) for name, table in found.tables.items()}
        own = events["nvtx"].filter(pc.field("kind").cast(pa.string()) == RANGE)
        utc_ns = start if start > EARLIEST_UTC_NS else None
        names = file.name, f"{self.name} alone", "user annotations"
        calls = events["api_calls"]
        ran = moved(on_threads(file.path), -start)
        watched = Watched(*names, sorted(pids), {}, utc_ns, end - start, (0, end - start), busiest(calls, ran))
        run, fit = recording_of(watched, own, file.path, experiment, phases)
        run.run_id = file.name
        run.warnings += [one for one in found.warnings if one.code is not CautionCode.NOT_ALIGNED]
        if calls.num_rows or events["gpu_ops"].num_rows:
            events["api_calls"] = pa.concat_tables([calls, ran]).unify_dictionaries()
        write_events(events, run.key, fit.offset_ns, folder)
        seen = (0, run.end_ns) if calls.num_rows or events["gpu_ops"].num_rows else None
        profile = _profile(file, run, found, ProfileTimes.OWN_CLOCK)
        if not events["gpu_ops"].num_rows and not events["api_calls"].num_rows:  # a program of the CPU
            profile = replace(profile, thread=operated_time(found.operators, found.functions))
        return run, Part(folder, fit, seen, profile=profile)


def _profile(file: ProfilerFile, run: RunRecording, found: TorchTrace, times: ProfileTimes) -> UserProfile:
    tables, kind = found.tables, pc.field("kind").cast(pa.string())
    ranges, gpu_ranges = (tables["nvtx"].filter(kind == one) for one in (RANGE, GPU_RANGE))
    named = (named_times(one) for one in (ranges, gpu_ranges, tables["gpu_ops"], tables["api_calls"], found.operators))
    return replace(file.profile(run, "kineto", times), events=EventProfile(*named))
