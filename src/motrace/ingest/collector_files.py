"""What collectors wrote into a run's folder, as tables on the run's clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..attribution.interval_evidence import StatesFrom
from ..attribution.pieces import closed_spans
from ..attribution.windows import LoopStacks
from ..dataset import tables
from ..errors import left_out
from ..readers import gpu, scalene, thread_samples
from ..readers.pyspy.align import Spans
from ..readers.pyspy.samples import BY_FRAMES, read_run
from ..readers.run import RunRecording
from ..readers.spans import SpanLogFile
from ..readers.torch import kineto
from ..timeline.clocks import ClockFit


@dataclass(frozen=True)
class Part:
    """One collector's tables in ``folder``, and what is known of its clock (None: no times).

    ``covered_ns``: from when to when it saw thread states, absolute; None if it saw none. ``states_from``
    says what these are, ``step_ns`` how far apart samples are (0 for events).
    """

    source: str
    folder: Path
    clock: ClockFit | None = None
    covered_ns: tuple[int, int] | None = None
    states_from: StatesFrom = StatesFrom.SCHEDULING
    step_ns: int = 0
    names: dict[tuple[int, int], str] = field(default_factory=dict)
    stacks: LoopStacks | None = None


def read_parts(recording: RunRecording, origin_ns: int, scratch: Path) -> list[Part]:
    """All that collectors left in the run's folder; what can't be read becomes a warning of the recording."""
    parts = []
    for what, read in _READERS.items():
        with left_out(what, recording.warnings):
            part = read(recording, origin_ns, scratch)
            if part is not None:
                parts.append(part)
    return parts


def write_table(name: str, columns: dict[str, Any], key: tables.RunKey, rows: int, folder: Path) -> None:
    """Write a table of the declared schema; the key is added."""
    schema = tables.SCHEMAS[name]
    whole = {**columns, **key.columns(rows)}
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [whole[entry.name] for entry in schema]
    tables.write(pa.table(arrays, schema=schema), folder / f"{name}.parquet")


def _thread_states(recording: RunRecording, origin_ns: int, scratch: Path) -> Part | None:
    path = next((path for name in ("threads.arrow", "threads.bin") if (path := recording.path / name).exists()), None)
    if path is None:
        return None
    samples = thread_samples.read(path)
    states = samples.states()
    if not states.num_rows:
        return None
    start, end = (states.column(name).to_numpy() for name in ("start_ns", "end_ns"))
    same = {name: states.column(name) for name in ("pid", "tid", "state", "waits_on", "source")}
    columns = {**same, "start_ns": start - origin_ns, "end_ns": end - origin_ns}
    write_table("thread_states", columns, recording.key, len(start), scratch / "threads")
    pid, tid, name = (samples.stays.column(column).to_pylist() for column in ("pid", "tid", "name"))
    count = int(pc.sum(samples.stays.column("samples")).as_py())
    return Part(
        source=thread_samples.SOURCE,
        folder=scratch / "threads",
        clock=ClockFit.constant(0, samples.step_ns // 2, count, "the run's own CLOCK_MONOTONIC, sampled"),
        covered_ns=(int(start.min()), int(end.max())),
        states_from=StatesFrom.SAMPLES,
        step_ns=samples.step_ns,
        names=dict(zip(zip(pid, tid), name)),  # a thread's last name
    )


def _stacks(recording: RunRecording, origin_ns: int, scratch: Path) -> Part | None:
    """py-spy's samples; those of the loop thread are kept at hand where their times are known."""
    log = recording.loop_log
    if log is None:
        return None
    found = read_run(recording.path, {log.tid: spans_of(recording, log)})
    if found is None:
        return None
    recording.warnings += found.warnings
    samples, clock = found.samples, found.clock
    t_ns, stack = samples.column("t_ns").to_numpy(), samples.column("stack_id").to_numpy()
    timed = clock["method"] != BY_FRAMES
    same = {name: samples.column(name) for name in ("weight_ns", "pid", "tid", "state", "stack_id", "source")}
    folder = scratch / "pyspy"
    columns = {**same, "t_ns": t_ns - origin_ns if timed else t_ns}
    write_table("samples", columns, recording.key, len(t_ns), folder)
    stacks = {name: found.stacks.column(name) for name in ("stack_id", "frames")}
    write_table("stacks", stacks, recording.key, found.stacks.num_rows, folder)
    mine = samples.column("tid").to_numpy() == log.tid
    usable = timed and found.native
    return Part(
        source=str(clock["source"]),
        folder=folder,
        clock=ClockFit.constant(clock["offset_ns"], clock["error_ns"], clock["pairs"], clock["method"]),
        stacks=LoopStacks(t_ns[mine], stack[mine], found.stacks) if usable and mine.any() else None,
    )


def spans_of(recording: RunRecording, log: SpanLogFile) -> Spans:
    """The closed spans of a thread, frames left out."""
    names, start, end, is_frame = closed_spans(recording, log)
    return Spans(start[~is_frame], end[~is_frame], names[~is_frame].tolist())


def _torch(recording: RunRecording, origin_ns: int, scratch: Path) -> Part | None:
    """torch.profiler's trace of a few frames: CUDA work, and the calls that launched it."""
    path, log = recording.path / "torch.json", recording.loop_log
    if not path.exists() or log is None:
        return None
    found = kineto.read_torch(path, spans_of(recording, log), log.created_utc_ns - log.created_ns)
    recording.warnings += found.warnings
    if found.clock is None:
        return None
    covered_ns = write_events(found.tables, recording.key, origin_ns, scratch / "torch")
    clock = found.clock
    return Part(
        source=kineto.SOURCE,
        folder=scratch / "torch",
        clock=ClockFit.constant(0, clock["error_ns"], clock["pairs"], clock["method"]),
        covered_ns=covered_ns if found.tables["gpu_ops"].num_rows else None,
    )


def write_events(
    events: dict[str, pa.Table], key: tables.RunKey, origin_ns: int, folder: Path
) -> tuple[int, int] | None:
    """Write tables of events, their times less ``origin_ns``; begin of the first and end of the last, as they were."""
    edges: list[int] = []
    for name, table in events.items():
        if table.num_rows:
            start, end = (table.column(column).to_numpy() for column in ("start_ns", "end_ns"))
            edges += [int(start.min()), int(end.max())]
            columns = {column: table.column(column) for column in table.column_names}
            for column in ("start_ns", "end_ns", "launch_ns"):
                if column in columns:
                    columns[column] = pc.subtract(columns[column], origin_ns)
            write_table(name, columns, key, table.num_rows, folder)
    return (min(edges), max(edges)) if edges else None


def _lines(recording: RunRecording, origin_ns: int, scratch: Path) -> Part | None:
    path = recording.path / "scalene.json"
    if not path.exists():
        return None
    return _plain("lines", scalene.read_lines(path), recording, scratch / "scalene")


def _gpu_metrics(recording: RunRecording, origin_ns: int, scratch: Path) -> Part | None:
    path = recording.path / "gpu.arrow"
    if not path.exists():
        return None
    table = gpu.read_gpu_metrics(path)
    at = table.schema.get_field_index("t_ns")
    table = table.set_column(at, table.schema.field(at), pc.subtract(table.column("t_ns"), origin_ns))
    return _plain("gpu_metrics", table, recording, scratch / "gpu")


def _plain(name: str, table: pa.Table, recording: RunRecording, folder: Path) -> Part | None:
    """A table that is as it should be, but for the run."""
    if not table.num_rows:
        return None
    columns = {column: table.column(column) for column in table.column_names}
    write_table(name, columns, recording.key, table.num_rows, folder)
    return Part(name, folder)


_READERS: dict[str, Callable[[RunRecording, int, Path], Part | None]] = {
    "threads.arrow": _thread_states,
    "py-spy": _stacks,
    "torch.json": _torch,
    "scalene.json": _lines,
    "gpu.arrow": _gpu_metrics,
}
