"""Kineto's Chrome trace (torch.profiler), ours or the user's: GPU work, the calls that launched it, annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from ...arrays import Array
from ...cautions import Caution, CautionCode, caution
from ...dataset.dictionary_columns import constant, encoded
from ...dataset.ranges import Ranges
from ...dataset.tables import without_key
from ...vocabulary import ClockMethod, Tool
from ..clock_offset import ClockOffset
from ..nsys.enums import waits_on
from .events import (
    ANNOTATION,
    CALLS,
    EARLIEST_UTC_NS,
    GPU_ANNOTATION,
    NONE,
    OPERATIONS,
    OPERATORS,
    EventRows,
    KinetoEvents,
    read_events,
)

SOURCE = Tool.TORCH.value
MARK = re.compile(r"motrace\.sync (\d+)$")
UTC_ERROR_NS = 1_000_000
"""Of ``ClockMethod.UTC``: what the host's two clocks and Kineto's conversion may be apart."""
NEAR_UTC_NS = 20_000_000
"""Where ranges are laid upon spans they may not come to lie further than this from where UTC puts them."""

RANGE, GPU_RANGE = "range", "gpu_range"
"""Kinds of annotations: on the CPU, and the same one again from its first kernel to its last."""
_COPY = re.compile(r"(?:Memcpy[ _]|DMA )([HDAPM])(?:to|2)([HDAPM])\b|Copy(Host|Device)To(Host|Device)\b", re.IGNORECASE)
_SLEEP = re.compile(r"<built-in \w+ sleep\b")


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
    warnings: list[Caution] = field(default_factory=list)


def read_torch(path: Path, spans: Ranges | None = None, utc_minus_monotonic_ns: int | None = None) -> TorchTrace:
    """Read a trace. Raises MotraceError.

    The clock: by our marks; else by annotations that are named as ``spans``, in the same order;
    else, if it is given, by the host's ``utc_minus_monotonic_ns``, because Kineto writes UTC.
    """
    events = read_events(path)
    annotations = events.rows(ANNOTATION).in_order()
    start, end = events.extent_ns
    if end < EARLIEST_UTC_NS:
        utc_minus_monotonic_ns = None  # its times count from an unknown start
    utc = _by_utc(utc_minus_monotonic_ns)
    clock = _by_marks(annotations) or _by_spans(annotations, spans, utc_minus_monotonic_ns) or utc
    shift = clock.offset_ns if clock else 0
    tables = {
        "gpu_ops": _gpu_ops(events, shift),
        "api_calls": _api_calls(events.rows(*CALLS).in_order(), shift),
        "nvtx": _ranges(annotations, events.rows(GPU_ANNOTATION).in_order(), shift),
    }
    warnings = [*events.warnings, *([] if clock else [caution(CautionCode.NOT_ALIGNED, file=path.name)])]
    operators, functions = (_on_cpu(events.rows(*kinds), shift) for kinds in (OPERATORS, ("python_function",)))
    return TorchTrace(tables, clock, (start + shift, end + shift), events.pids, operators, functions, warnings)


def _on_cpu(rows: EventRows, shift: int) -> pa.Table:
    return pa.table({"name": encoded(rows["name"], rows.names), "tid": rows["tid"], **_times(rows, shift)})


def _by_marks(annotations: EventRows) -> ClockOffset | None:
    """A mark begins after the time in its name, and ends before the time in the name of the next."""
    times = zip(annotations.texts(), annotations["start_ns"].tolist(), annotations["end_ns"].tolist())
    marks = sorted((int(found[1]), start, end) for name, start, end in times if (found := MARK.match(name)))
    if len(marks) < 2:
        return None
    most = min(start - t_ns for t_ns, start, _ in marks)
    least = max(end - t_ns for (_, _, end), (t_ns, _, _) in pairwise(marks))
    # If least > most the clocks drifted by so much.
    return ClockOffset(-((most + least) // 2), abs(most - least) // 2 + 1, len(marks), ClockMethod.MARKS)


def _by_spans(annotations: EventRows, spans: Ranges | None, utc_minus_monotonic_ns: int | None) -> ClockOffset | None:
    """The shift that puts most ranges upon spans of their names.

    Where UTC is known only shifts near to it are tried: a loop whose iterations are alike fits anywhere.
    """
    if spans is None:
        return None
    names = set(spans.name.tolist())
    starts = zip(annotations.texts(), annotations["start_ns"].tolist())
    ranges = [(name, start) for name, start in starts if name in names]
    if len(ranges) < 2:
        return None
    by_name = {name: np.sort(spans.start_ns[spans.name == name]) for name in {name for name, _ in ranges}}
    best: tuple[int, float, int] | None = None
    for first in by_name[ranges[0][0]].tolist():  # the first range is one of these
        shift = first - ranges[0][1]
        if utc_minus_monotonic_ns is not None and abs(shift + utc_minus_monotonic_ns) > NEAR_UTC_NS:
            continue
        apart = np.array([_nearest(by_name[name], start + shift) for name, start in ranges])
        middle = int(np.median(apart))
        spread = float(np.quantile(np.abs(apart - middle), 0.95))
        found = (shift + middle, spread, len(ranges))
        if best is None or spread < best[1]:
            best = found
    if best is None or best[1] > UTC_ERROR_NS * 2:
        return None
    return ClockOffset(best[0], int(best[1]) + 1, best[2], ClockMethod.RANGES)


def _nearest(times: Array, t_ns: int) -> int:
    """The nearest of sorted times, less ``t_ns``."""
    place = int(np.searchsorted(times, t_ns))
    return min((int(time) - t_ns for time in times[max(0, place - 1) : place + 1]), key=abs)


def _by_utc(utc_minus_monotonic_ns: int | None) -> ClockOffset | None:
    if utc_minus_monotonic_ns is None:
        return None
    return ClockOffset(-utc_minus_monotonic_ns, UTC_ERROR_NS, 1, ClockMethod.UTC)


def _table(name: str, columns: Mapping[str, Array | pa.Array]) -> pa.Table:
    schema = without_key(name)
    arrays = [_nullable(columns[column.name], column) for column in schema]
    return pa.Table.from_arrays([array.cast(column.type) for array, column in zip(arrays, schema)], schema=schema)


def _nullable(values: Array | pa.Array, column: pa.Field) -> pa.Array:
    if not isinstance(values, np.ndarray):
        return values
    return pa.array(values, column.type, mask=values == NONE if column.nullable and values.dtype == np.int64 else None)


def _times(rows: EventRows, shift: int) -> dict[str, Array]:
    return {name: rows[name] + shift for name in ("start_ns", "end_ns")}


def _or_zero(values: Array) -> Array:
    return np.where(values == NONE, 0, values)


def _gpu_ops(events: KinetoEvents, shift: int) -> pa.Table:
    counts = {category: len(events.rows(category)) for category in OPERATIONS}
    kinds = list(dict.fromkeys(OPERATIONS.values()))
    kind = np.repeat([kinds.index(name) for name in OPERATIONS.values()], list(counts.values()))
    rows = events.rows(*OPERATIONS)
    copies = np.array([_COPY.search(name) is not None for name in rows.names], bool)
    kind = np.where((kind == kinds.index("kernel")) & copies[rows["name"]], kinds.index("memcpy"), kind)
    tagged = EventRows(rows.names, {**rows.columns, "kind": kind}).in_order()
    kind, count = tagged["kind"], len(tagged)
    calls = events.rows(*CALLS)
    calls = calls.where(np.argsort(calls["correlation"], kind="stable"))
    places = np.searchsorted(calls["correlation"], tagged["correlation"], side="right") - 1
    launched = (places >= 0) & (tagged["correlation"] != NONE)
    launched[launched] = calls["correlation"][places[launched]] == tagged["correlation"][launched]

    def of_call(column: str, otherwise: int) -> Array:
        values = np.full(count, otherwise, np.int64)
        values[launched] = calls[column][places[launched]]
        return values

    # Where the launching call is missing: the process is that of any call, for a trace is of one process.
    home = int(calls["pid"][0]) if len(calls) else min(events.pids, default=0)
    start = of_call("start_ns", NONE)
    names = [_op_name(name) for name in tagged.names]
    return _table(
        "gpu_ops",
        {
            "device": _or_zero(tagged["device"]),
            "queue": _or_zero(tagged["stream"]),
            "kind": encoded(kind, kinds),
            "name": encoded(tagged["name"], names),
            **_times(tagged, shift),
            "pid": of_call("pid", home),
            "launch_ns": np.where(start == NONE, NONE, start + shift),
            "launch_tid": of_call("tid", NONE),
            "correlation": tagged["correlation"],
            "bytes": np.where(kind == kinds.index("kernel"), NONE, tagged["bytes"]),
            "source": constant(SOURCE, count),
        },
    )


def _op_name(name: str) -> str:
    """Copies are named by their direction, as nsys names them: ``Memcpy HtoD (Pinned -> Device)`` is Host-to-Device."""
    found = _COPY.match(name)
    if found is None:
        return name
    words = {"H": "Host", "M": "Host", "D": "Device", "A": "Array", "P": "Peer"}
    begin, end = (words.get(word.upper(), word) for word in found.groups() if word)
    return f"{begin}-to-{end}"


def on_threads(path: Path) -> pa.Table:
    """Rows of ``api_calls`` for what shows that threads ran or slept: PyTorch's operators, and Python's sleep. UTC."""
    events = read_events(path)
    operators, functions = events.rows(*OPERATORS), events.rows("python_function")
    sleeps = np.array([bool(_SLEEP.match(name)) for name in functions.names], bool)
    functions = functions.where(sleeps[functions["name"]])
    return pa.concat_tables([
        _api_calls(operators, 0, "torch"), _api_calls(functions, 0, "python", "sleep")
    ]).unify_dictionaries()  # fmt: skip


def busiest(*tables: pa.Table) -> tuple[int, int, str] | None:
    """The (pid, tid, api) of the thread that is longest in the calls of the first table that has any."""
    for table in (one for one in tables if one.num_rows):
        owner = np.column_stack([table.column(name).to_numpy() for name in ("pid", "tid")])
        threads, which = np.unique(owner, axis=0, return_inverse=True)
        length = table.column("end_ns").to_numpy() - table.column("start_ns").to_numpy()
        pid, tid = threads[int(np.argmax(np.bincount(which.reshape(-1), length + 1.0)))].tolist()
        return pid, tid, "cuda"
    return None


def _api_calls(rows: EventRows, shift: int, api: str = "cuda", what: str | None = None) -> pa.Table:
    return _table(
        "api_calls",
        {
            "pid": rows["pid"],
            "tid": rows["tid"],
            "api": constant(api, len(rows)),
            "name": encoded(rows["name"], rows.names),
            **_times(rows, shift),
            "correlation": rows["correlation"],
            "waits_on": encoded(rows["name"], [waits_on(api, name) if api == "cuda" else what for name in rows.names]),
            "source": constant(SOURCE, len(rows)),
        },
    )


def _ranges(annotations: EventRows, on_gpu: EventRows, shift: int) -> pa.Table:
    marks = np.array([bool(MARK.match(name)) for name in annotations.names], bool)
    tables = []
    for kind, rows in (RANGE, annotations.where(~marks[annotations["name"]])), (GPU_RANGE, on_gpu):
        none = pa.nulls(len(rows), pa.int64())
        columns = {
            "pid": rows["pid"],
            "tid": rows["tid"],
            "end_tid": none,
            "domain": constant(SOURCE, len(rows)),
            "category": encoded(np.zeros(len(rows), np.int64), [None]),
            "name": encoded(rows["name"], rows.names),
            "kind": constant(kind, len(rows)),
            **_times(rows, shift),
            "closed": np.ones(len(rows), bool),
            "payload": none,
        }
        tables.append(_table("nvtx", columns))
    return pa.concat_tables(tables).unify_dictionaries()
