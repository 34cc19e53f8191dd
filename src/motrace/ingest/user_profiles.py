"""What users' own py-spy, Scalene and torch.profiler files tell: tables, and a summary that says what is known.

None of py-spy's formats says when a sample was taken (chrometrace counts from py-spy's own start), so their samples are
never put on a run's time line, and never lend composition to its phases: they are shown beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..dataset.tables import RunKey
from ..errors import MotraceError
from ..readers.pyspy.formats import ORDERED, TIMED, Profile, read_any
from ..readers.run import RunRecording, pids_of
from ..readers.scalene import read_lines, when
from ..readers.torch.kineto import BY_MARKS, TorchTrace, read_torch
from ..sampling.user_profiles import Samples, heaviest_lines, range_rows, samples_summary
from ..timeline.clocks import ClockFit
from .collector_files import Part, spans_of, write_events, write_table
from .file_types import PYSPY, SCALENE, TORCH
from .match_runs import OwnFile
from .profiler_only_runs import Foreign, recording_of

Array = np.ndarray[Any, Any]
Json = dict[str, Any]
PERIOD_NS = 10_000_000
"""Of a sample in formats that only count: py-spy's own default is 100 per second."""
STACK_IDS = 1_000_000
"""Stack numbers of one file lie this far from those of the next."""
_TIMES = {
    ORDERED: "not known: the samples are in order, each stands for one over the rate",
    TIMED: "from py-spy's start, whose moment is not told; a stack lasts until the next that differs, so idle time "
    "counts to the one before it unless py-spy ran with --idle",
}
_COUNTED = "not known: the file only counts samples, and tells no rate: 100 per second assumed"


@dataclass(frozen=True)
class OwnProfile:
    """``told`` is what the report shows of a file; ``parts`` are its tables."""

    told: Json
    parts: list[Part] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_own(
    file: OwnFile,
    key: RunKey,
    scratch: Path,
    recording: RunRecording | None = None,
    origin_ns: int = 0,
    number: int = 0,
) -> OwnProfile:
    """Read the ``number``-th file of a run, ``recording``, or one of none (not of torch.profiler). Raises MotraceError.

    ``scratch`` receives its tables; their times are the run's, less ``origin_ns``, where they are known.
    """
    folder = scratch / f"own{number}"
    if file.tool == PYSPY:
        found = _stacks(file, key, folder, number, set() if recording is None else pids_of(recording))
    elif file.tool == SCALENE:
        found = _lines(file, key, folder)
    elif recording is not None:
        found = _torch(file, recording, folder, origin_ns)
    else:
        raise ValueError(f"{file.path.name}: a trace of torch.profiler's that belongs to no run is read as a run")
    head = {"file": file.path.name, "tool": file.tool, "run": key.run if recording is not None else None,
            "joined_by": file.joined_by}  # fmt: skip
    return OwnProfile({**head, **found.told}, found.parts, [f"{file.path.name}: {text}" for text in found.warnings])


def _stacks(file: OwnFile, key: RunKey, folder: Path, number: int, pids: set[int]) -> OwnProfile:
    profile = read_any(file.path)
    if pids and any(thread.pid in pids for thread in profile.threads):  # it watched other processes too
        profile.threads = [thread for thread in profile.threads if thread.pid in pids]
    if not any(len(thread.stack) for thread in profile.threads):
        raise MotraceError(f"{file.path.name} holds no samples: py-spy saw nothing; profile for longer")
    samples, t_ns = _samples(profile)
    source, base = f"{PYSPY} ({file.path.name})", number * STACK_IDS
    rows = len(t_ns)
    words = {"state": "unknown", "source": source}
    columns: dict[str, Any] = {
        "t_ns": t_ns, "weight_ns": samples.weight_ns, "pid": samples.pid, "tid": samples.tid,
        "stack_id": samples.stack + base,
        **{name: pa.array([word] * rows, pa.string()).dictionary_encode() for name, word in words.items()},
    }  # fmt: skip
    write_table("samples", columns, key, rows, folder)
    stacks = {"stack_id": np.arange(len(profile.stacks)) + base, "frames": [list(one) for one in profile.stacks]}
    write_table("stacks", stacks, key, len(profile.stacks), folder)
    told = samples_summary(samples, profile.native)
    return OwnProfile({"format": _format(file.path, profile), "times": _TIMES.get(profile.kind, _COUNTED), **told},
                      [Part(source, folder)])  # fmt: skip


def _format(path: Path, profile: Profile) -> str:
    if profile.kind in (ORDERED, TIMED):
        return {ORDERED: "speedscope", TIMED: "chrometrace"}[profile.kind]
    with path.open("rb") as file:
        return "flamegraph" if file.read(16).lstrip().startswith((b"<?xml", b"<!", b"<svg")) else "raw"


def _samples(profile: Profile) -> tuple[Samples, Array]:
    """The samples of all threads, and their times (ns from py-spy's start; 0 where they are not told)."""
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


def _lines(file: OwnFile, key: RunKey, folder: Path) -> OwnProfile:
    table, window = read_lines(file.path), when(file.path)
    columns = {name: table.column(name) for name in table.column_names}
    write_table("lines", columns, key, table.num_rows, folder)
    told = {
        "format": "json",
        "times": "shares of the elapsed time by line; its Python/native split is a hint, not evidence",
        "seconds": (window[1] - window[0]) / 1e9 if window is not None else None,
        "lines_seen": table.num_rows,
        "hints": heaviest_lines(table.to_pylist()),
    }
    return OwnProfile(told, [Part("lines", folder)] if table.num_rows else [])


def _torch(file: OwnFile, recording: RunRecording, folder: Path, origin_ns: int) -> OwnProfile:
    log = recording.loop_log
    spans, utc = (spans_of(recording, log), log.created_utc_ns - log.created_ns) if log is not None else (None, None)
    found = read_torch(file.path, spans, utc)
    told = {"format": "kineto", **_ranges_told(found)}
    if found.clock is None:
        return OwnProfile({**told, "times": "not known: nothing ties its clock to the run's"}, [])
    clock = found.clock
    covered = write_events(found.tables, recording.key, origin_ns, folder)
    fit = ClockFit.constant(0, clock["error_ns"], clock["pairs"], clock["method"])
    part = Part(f"{TORCH} ({file.path.name})", folder, fit, covered if found.tables["gpu_ops"].num_rows else None)
    told["times"] = f"on the run's clock by {clock['method']}, within {clock['error_ns'] / 1e6:.2f} ms"
    who = "a trace of motrace's own hook" if clock["method"] == BY_MARKS else "torch.profiler ran in this run"
    return OwnProfile(told, [part], [f"{who}: the turns that it covers are disturbed"])


def _ranges_told(found: TorchTrace) -> Json:
    return {
        "ranges": range_rows(found.tables["nvtx"]),
        "gpu_work": range_rows(found.tables["gpu_ops"]),
        "calls": range_rows(found.tables["api_calls"]),
        "operators": range_rows(found.operators),
    }


def torch_recording(
    file: OwnFile, phases: str | None, scratch: Path, experiment: str
) -> tuple[RunRecording, OwnProfile]:
    """A trace that belongs to no run, as a run of its own: its phases are its annotations.

    Raises MotraceError, and UsageError for bad ``phases``.
    """
    found = read_torch(file.path)
    pids, (start, end) = found.pids, found.extent_ns
    if not pids and not found.tables["gpu_ops"].num_rows:
        raise MotraceError(f"{file.path.name} holds no event of a program: torch.profiler saw nothing")
    tables = {name: _shifted(table, -start) for name, table in found.tables.items()}
    nvtx = tables["nvtx"].filter(pc.is_in(tables["nvtx"].column("pid"), value_set=pa.array(sorted(pids), pa.int64())))
    told = Foreign(file.path.name, f"{TORCH} alone", "user annotations", sorted(pids), {}, start, end - start)
    recording, fit = recording_of(told, nvtx, file.path, phases)
    recording.run_id = recording.manifest["run_id"] = file.path.name
    recording.experiment = experiment
    recording.warnings += [text for text in found.warnings if "clock" not in text]
    origin = recording.bounds_ns()[0]
    moved = {name: _shifted(table, int(fit.to_run(np.zeros(1, np.int64))[0])) for name, table in tables.items()}
    covered = write_events(moved, recording.key, origin, scratch / "own0")
    part = Part(TORCH, scratch / "own0", fit, covered if moved["gpu_ops"].num_rows else None)
    says: Json = {"file": file.path.name, "tool": TORCH, "run": recording.run_id, "joined_by": None, "format": "kineto",
                  "times": "the trace's own clock, from its first event", **_ranges_told(found)}  # fmt: skip
    return recording, OwnProfile(says, [part])


def _shifted(table: pa.Table, by_ns: int) -> pa.Table:
    """The table with all its times moved."""
    for name in ("start_ns", "end_ns", "launch_ns"):
        if name in table.column_names:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(at), pc.add(table.column(name), by_ns))
    return table
