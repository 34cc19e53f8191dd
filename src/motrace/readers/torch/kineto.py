"""Kineto's Chrome trace (torch.profiler), ours or the user's: GPU work, the calls that launched it, annotations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...dataset.ranges import Ranges
from ...dataset.tables import without_key
from ...vocabulary import ClockMethod, Tool
from ..clock_offset import ClockOffset
from ..nsys.enums import waits_on
from .events import CALLS, EARLIEST_UTC_NS, GPU_KINDS, Event, events_by_kind, extent_of, whole

SOURCE = Tool.TORCH.value
MARK = re.compile(r"motrace\.sync (\d+)$")
UTC_ERROR_NS = 1_000_000
"""Of ``ClockMethod.UTC``: what the host's two clocks and Kineto's conversion may be apart."""
NEAR_UTC_NS = 20_000_000
"""Where ranges are laid upon spans they may not come to lie further than this from where UTC puts them."""

_ANNOTATIONS = ("user_annotation", "gpu_user_annotation")
TABLES = ("gpu_ops", "api_calls", "nvtx")


@dataclass(frozen=True)
class TorchTrace:
    """Tables ``gpu_ops``, ``api_calls`` and ``nvtx`` (annotations, domain ``torch``) without their key.

    Times are CLOCK_MONOTONIC where ``clock`` says how they were aligned, else UTC (``clock`` None). ``extent_ns`` is
    from its first to its last event, on that clock too; ``pids`` are the programs that it watched. ``operators`` are
    name, tid, start_ns and end_ns of what PyTorch did on the CPU, ``functions`` those of Python; they nest.
    """

    tables: dict[str, pa.Table]
    clock: ClockOffset | None
    extent_ns: tuple[int, int]
    pids: frozenset[int]
    operators: pa.Table
    functions: pa.Table
    warnings: list[str] = field(default_factory=list)


def read_torch(path: Path, spans: Ranges | None = None, utc_minus_monotonic_ns: int | None = None) -> TorchTrace:
    """Read a trace. Raises MotraceError.

    The clock: by our marks; else by annotations that are named as ``spans``, in the same order;
    else, if it is given, by the host's ``utc_minus_monotonic_ns``, because Kineto writes UTC.
    """
    by_kind = events_by_kind(path)
    annotations = by_kind.get("user_annotation", [])
    if not any(event.start_ns > EARLIEST_UTC_NS for events in by_kind.values() for event in events):
        utc_minus_monotonic_ns = None  # its times count from an unknown start
    utc = _by_utc(utc_minus_monotonic_ns)
    clock = _by_marks(annotations) or _by_spans(annotations, spans, utc_minus_monotonic_ns) or utc
    shift = clock.offset_ns if clock else 0
    calls = [event for name in CALLS for event in by_kind.get(name, [])]
    tables = {
        "gpu_ops": _gpu_ops(by_kind, calls, shift),
        "api_calls": _api_calls(calls, shift),
        "nvtx": _ranges([event for name in _ANNOTATIONS for event in by_kind.get(name, [])], shift),
    }
    warnings = [] if clock else [f"{path.name}: its clock could not be tied to the spans: left out of the time line"]
    pids, ends = extent_of(by_kind)
    start, end = ends or (0, 1)
    return TorchTrace(tables, clock, (start + shift, end + shift), pids, _on_cpu(by_kind, "cpu_op", shift),
                      _on_cpu(by_kind, "python_function", shift), warnings)  # fmt: skip


def _on_cpu(by_kind: dict[str, list[Event]], kind: str, shift: int) -> pa.Table:
    events = by_kind.get(kind, [])
    times = {
        "tid": [whole(event.tid) for event in events],
        "start_ns": [event.start_ns + shift for event in events],
        "end_ns": [event.end_ns + shift for event in events],
    }
    return pa.table({"name": pa.array([event.name for event in events], pa.string()),
                     **{name: pa.array(values, pa.int64()) for name, values in times.items()}})  # fmt: skip


def _by_marks(annotations: Sequence[Event]) -> ClockOffset | None:
    """A mark begins after the time in its name, and ends before the time in the name of the next."""
    marks = sorted((int(found[1]), event) for event in annotations if (found := MARK.match(event.name)))
    if len(marks) < 2:
        return None
    most = min(event.start_ns - t_ns for t_ns, event in marks)
    least = max(before.end_ns - t_ns for (_, before), (t_ns, _) in pairwise(marks))
    # If least > most the clocks drifted by so much.
    return ClockOffset(-((most + least) // 2), abs(most - least) // 2 + 1, len(marks), ClockMethod.MARKS)


def _by_spans(
    annotations: Sequence[Event], spans: Ranges | None, utc_minus_monotonic_ns: int | None
) -> ClockOffset | None:
    """The shift that puts most ranges upon spans of their names.

    Where UTC is known only shifts near to it are tried: a loop whose iterations are alike fits anywhere.
    """
    if spans is None:
        return None
    names = set(spans.name.tolist())
    ranges = sorted((event for event in annotations if event.name in names), key=lambda event: event.start_ns)
    if len(ranges) < 2:
        return None
    by_name = {name: np.sort(spans.start_ns[spans.name == name]) for name in {event.name for event in ranges}}
    best: tuple[int, float, int] | None = None
    for first in by_name[ranges[0].name].tolist():  # the first range is one of these
        shift = first - ranges[0].start_ns
        if utc_minus_monotonic_ns is not None and abs(shift + utc_minus_monotonic_ns) > NEAR_UTC_NS:
            continue
        apart = np.array([_nearest(by_name[event.name], event.start_ns + shift) for event in ranges])
        middle = int(np.median(apart))
        spread = float(np.quantile(np.abs(apart - middle), 0.95))
        found = (shift + middle, spread, len(ranges))
        if best is None or spread < best[1]:
            best = found
    if best is None or best[1] > UTC_ERROR_NS * 2:
        return None
    return ClockOffset(best[0], int(best[1]) + 1, best[2], ClockMethod.RANGES)


def _nearest(times: np.ndarray[Any, Any], t_ns: int) -> int:
    """The nearest of sorted times, less ``t_ns``."""
    place = int(np.searchsorted(times, t_ns))
    return min((int(time) - t_ns for time in times[max(0, place - 1) : place + 1]), key=abs)


def _by_utc(utc_minus_monotonic_ns: int | None) -> ClockOffset | None:
    if utc_minus_monotonic_ns is None:
        return None
    return ClockOffset(-utc_minus_monotonic_ns, UTC_ERROR_NS, 1, ClockMethod.UTC)


def _table(name: str, columns: Mapping[str, Sequence[str | int | bool | None]]) -> pa.Table:
    schema = without_key(name)
    arrays = {}
    for column in schema:
        dictionary = pa.types.is_dictionary(column.type)
        array = pa.array(columns[column.name], pa.string() if dictionary else column.type)
        arrays[column.name] = array.dictionary_encode() if dictionary else array
    return pa.table(arrays, schema=schema)


def _gpu_ops(by_kind: dict[str, list[Event]], calls: Sequence[Event], shift: int) -> pa.Table:
    launched = {number: call for call in calls if (number := call.number("correlation")) is not None}
    rows = [(kind, event) for cat, kind in GPU_KINDS.items() for event in by_kind.get(cat, [])]
    rows.sort(key=lambda row: (row[1].start_ns, row[1].end_ns, row[1].name))
    origin = [launched.get(event.number("correlation") or -1) for _, event in rows]
    # Where the launching call is missing: the process is that of any call, for a trace is of one process.
    home = next((whole(call.pid) for call in calls), 0)
    return _table(
        "gpu_ops",
        {
            "device": [event.number("device") or 0 for _, event in rows],
            "queue": [event.number("stream") or 0 for _, event in rows],
            "kind": [kind for kind, _ in rows],
            "name": [_op_name(kind, event.name) for kind, event in rows],
            "start_ns": [event.start_ns + shift for _, event in rows],
            "end_ns": [event.end_ns + shift for _, event in rows],
            "pid": [whole(call.pid) if call else home for call in origin],
            "launch_ns": [call.start_ns + shift if call else None for call in origin],
            "launch_tid": [whole(call.tid) if call else None for call in origin],
            "correlation": [event.number("correlation") for _, event in rows],
            "bytes": [event.number("bytes") if kind != "kernel" else None for kind, event in rows],
            "source": [SOURCE] * len(rows),
        },
    )


def _op_name(kind: str, name: str) -> str:
    """Copies are named by their direction, as nsys names them: ``Memcpy HtoD (Pinned -> Device)`` is Host-to-Device."""
    found = re.match(r"Memcpy (\w)to(\w)\b", name)
    words = {"H": "Host", "D": "Device", "A": "Array", "P": "Peer"}
    if kind == "memcpy" and found and found[1] in words and found[2] in words:
        return f"{words[found[1]]}-to-{words[found[2]]}"
    return name


def _api_calls(calls: Iterable[Event], shift: int) -> pa.Table:
    rows = sorted(calls, key=lambda event: (event.start_ns, event.end_ns, event.name))
    return _table(
        "api_calls",
        {
            "pid": [whole(event.pid) for event in rows],
            "tid": [whole(event.tid) for event in rows],
            "api": ["cuda"] * len(rows),
            "name": [event.name for event in rows],
            "start_ns": [event.start_ns + shift for event in rows],
            "end_ns": [event.end_ns + shift for event in rows],
            "correlation": [event.number("correlation") for event in rows],
            "waits_on": [waits_on("cuda", event.name) for event in rows],
            "source": [SOURCE] * len(rows),
        },
    )


def _ranges(annotations: Iterable[Event], shift: int) -> pa.Table:
    rows = sorted(
        (event for event in annotations if not MARK.match(event.name)), key=lambda event: (event.start_ns, event.end_ns)
    )
    return _table(
        "nvtx",
        {
            "pid": [whole(event.pid) for event in rows],
            "tid": [whole(event.tid) for event in rows],
            "end_tid": [None] * len(rows),
            "domain": [SOURCE] * len(rows),
            "category": [None] * len(rows),
            "name": [event.name for event in rows],
            "kind": ["range"] * len(rows),
            "start_ns": [event.start_ns + shift for event in rows],
            "end_ns": [event.end_ns + shift for event in rows],
            "closed": [True] * len(rows),
            "payload": [None] * len(rows),
        },
    )
