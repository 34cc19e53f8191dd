"""The events of Kineto's Chrome traces (torch.profiler) as columns, and of what processes and time they are."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...arrays import Array
from ...cautions import Caution, CautionCode, caution
from ...errors import MotraceError
from ...escape import encodable
from ...output import JsonObject, JsonValue
from ..times import LATEST_NS, TimeFault, check, set_aside
from .mend import Mend
from .stream import EventStream

OPERATIONS = {
    "kernel": "kernel",
    "gpu_memcpy": "memcpy",
    "gpu_memset": "memset",
    "memcpy": "memcpy",
    "memset": "memset",
    "vendor_op": "kernel",
}
"""Categories of what a GPU does, and how the table calls them; memcpy and memset alone are those of PyTorch 1.8."""
_VENDORS = re.compile(r"(xpu|mtia|hpu|privateuse1)_(runtime|driver)$|(xpu|mtia|hpu|privateuse1)_(?!insight)\w+$")
"""Categories of Intel's, Meta's, Habana's and plugins' devices: calls, or what the device did."""
CALLS = ("cuda_runtime", "cuda_driver", "hip_runtime", "hip_driver", "runtime")
ANNOTATION, GPU_ANNOTATION = "user_annotation", "gpu_user_annotation"
OPERATORS = ("cpu_op", "operator")
_HOSTS = (*CALLS, *OPERATORS, ANNOTATION, "python_function")
"""What happens on the CPU: the process id of these is the program's."""
_READ = {*OPERATIONS, *_HOSTS, GPU_ANNOTATION}
_PASSED_OVER = {"trace"}
"""Kineto's own spans, which say from when to when it recorded."""
_PAIRED = {"M", "s", "t", "f", "i", "I", "C", "R"}
"""Kinds of events that are no time of their own: metadata, arrows, instants, counters."""
EARLIEST_UTC_NS = 10**18
"""In 2001: what is before that is not UTC, but counts from an unknown start."""
_PLAIN = re.compile(r"-?\d{1,18}(\.\d{1,3})?$")
NONE = -(1 << 63)
"""Stands for a number that an event does not have."""
_COLUMNS = ("name", "start_ns", "end_ns", "pid", "tid", "correlation", "device", "stream", "bytes")
_MOST_CATEGORIES = 12


@dataclass(frozen=True)
class EventRows:
    """Complete events, parallel arrays; ``name`` holds codes into ``names``."""

    names: list[str]
    columns: Mapping[str, Array]

    def __getitem__(self, column: str) -> Array:
        return self.columns[column]

    def __len__(self) -> int:
        return len(self.columns["name"])

    def where(self, chosen: Array) -> EventRows:
        """Some of them: a mask, or places in an order."""
        return EventRows(self.names, {name: values[chosen] for name, values in self.columns.items()})

    def in_order(self) -> EventRows:
        """By begin, end and name."""
        places = np.argsort(np.argsort(np.array(self.names, object))) if self.names else np.empty(0, np.int64)
        return self.where(np.lexsort((places[self["name"]], self["end_ns"], self["start_ns"])))

    def texts(self) -> list[str]:
        """The name of each."""
        return [self.names[code] for code in self["name"].tolist()]


@dataclass(frozen=True)
class KinetoEvents:
    """What was read of a trace: rows by category, and warnings of what was mended, lost, set aside or not read."""

    by_category: Mapping[str, EventRows]
    warnings: list[Caution]

    def rows(self, *categories: str) -> EventRows:
        """The events of categories."""
        some = [self.by_category[name] for name in categories if name in self.by_category]
        names = next(iter(self.by_category.values())).names
        columns = {
            column: np.concatenate([rows[column] for rows in some]) if some else np.empty(0, np.int64)
            for column in _COLUMNS
        }
        return EventRows(names, columns)

    @property
    def pids(self) -> frozenset[int]:
        """The processes that they tell of."""
        found = (np.unique(self.by_category[name]["pid"]).tolist() for name in _HOSTS if name in self.by_category)
        return frozenset(pid for pids in found for pid in pids) - {0}

    @property
    def extent_ns(self) -> tuple[int, int]:
        """The first and the last moment."""
        rows = [rows for rows in self.by_category.values() if len(rows)]
        return min(int(one["start_ns"].min()) for one in rows), max(int(one["end_ns"].max()) for one in rows)


@dataclass
class _Collector:
    """Columns that grow, and counts of what does not go into them."""

    codes: dict[str, int] = field(default_factory=dict)
    columns: dict[str, list[array[int]]] = field(default_factory=dict)
    faults: Counter[TimeFault] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)

    def add(self, event: JsonObject) -> None:
        """Take an event."""
        category = str(event.get("cat") or "").lower()
        vendors = _VENDORS.match(category)
        if vendors is not None:
            category = "runtime" if vendors[2] else "vendor_op"
        if event.get("ph") != "X" or category not in _READ:
            if event.get("ph") not in _PAIRED and category not in _PASSED_OVER:
                self.unread[category or "no category"] += 1
            return
        start, length = _ns(event.get("ts")), _ns(event.get("dur", 0))
        if start is None or length is None or not -LATEST_NS < start < LATEST_NS or length > LATEST_NS:
            self.faults[TimeFault.MISSING if start is None or length is None else TimeFault.FAR] += 1
            return
        if length < 0:
            self.faults[TimeFault.NEGATIVE] += 1
            return
        given = event.get("args")
        args: Mapping[str, JsonValue] = given if isinstance(given, dict) else {}
        columns = self.columns.get(category)
        if columns is None:
            columns = self.columns[category] = [array("q") for _ in _COLUMNS]
        name = str(event.get("name") or "")
        values = (
            self.codes.setdefault(name, len(self.codes)), start, start + length, whole(event.get("pid")),
            whole(event.get("tid")), _number(args, "correlation"), _number(args, "device"),
            _number(args, "stream", "queue"), _number(args, "bytes"),
        )  # fmt: skip
        for column, value in zip(columns, values):
            column.append(value)


def read_events(path: Path) -> KinetoEvents:
    """The complete events of a trace. Raises MotraceError where there are none, or the file can't be read."""
    try:
        stat = path.stat()
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror}") from error
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, mtime_ns: int, size: int) -> KinetoEvents:
    """The last file is kept: it is read to see whose it is, and then again for its tables."""
    stream, found = EventStream(path), _Collector()
    for event in stream:
        found.add(event)
    if not found.columns:
        what = "no event that can be read" if stream.events else "no events: torch.profiler saw nothing"
        raise MotraceError(f"{path.name} holds {what}; record it again")
    file = encodable(path.name)
    names = [encodable(name) for name in found.codes]
    kept: dict[str, EventRows] = {}
    for category, arrays in found.columns.items():
        columns = {name: np.frombuffer(values, np.int64) for name, values in zip(_COLUMNS, arrays)}
        kept[category] = EventRows(names, columns)
    stays, faults = check(*(np.concatenate([rows[name] for rows in kept.values()]) for name in ("start_ns", "end_ns")))
    if not stays.all():
        edges = np.cumsum([len(rows) for rows in kept.values()])[:-1]
        kept = {name: rows.where(mask) for (name, rows), mask in zip(kept.items(), np.split(stays, edges))}
    for times in (rows[column] for rows in kept.values() for column in ("start_ns", "end_ns")):
        times += stream.base_ns if abs(stream.base_ns) < LATEST_NS else 0
    return KinetoEvents(kept, _warnings(file, stream, found, faults))


def _warnings(file: str, stream: EventStream, found: _Collector, faults: Counter[TimeFault]) -> list[Caution]:
    mends = stream.mends
    warnings = [
        caution(what.value, file=file, count=mends.count[what], first=mends.first[what])
        for what in Mend
        if what in mends.count
    ]
    warnings += set_aside(file, found.faults + faults)
    if found.unread:
        said = [f"{name} ({count:,})" for name, count in found.unread.most_common(_MOST_CATEGORIES)]
        rest = len(found.unread) - len(said)
        names = tuple(said + ([f"{rest} more"] if rest else []))
        warnings.append(caution(CautionCode.CATEGORIES_UNREAD, file=file, count=found.unread.total(), names=names))
    return warnings


def _ns(value: JsonValue) -> int | None:
    """Microseconds, a number or its text, as whole nanoseconds; None for what is no time."""
    if type(value) is int:
        return value * 1000
    if type(value) is not str:
        return None
    if _PLAIN.match(value):
        before, _, after = value.partition(".")
        return int(before + after.ljust(3, "0"))
    try:
        return int((Decimal(value) * 1000).to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _number(args: Mapping[str, JsonValue], *names: str) -> int:
    """The first of these arguments that is there, as a number."""
    for name in names:
        value = args.get(name)
        if type(value) is int and -LATEST_NS < value < LATEST_NS:
            return value
        if type(value) is str and value.isdecimal() and len(value) < 19:
            return int(value)
    return NONE


def whole(value: JsonValue) -> int:
    """A process or thread id; Kineto also writes words such as `Spans`."""
    if type(value) is int and -LATEST_NS < value < LATEST_NS:
        return value
    text = str(value)
    return int(text) if len(text) < 19 and text.lstrip("-").isdecimal() else 0
