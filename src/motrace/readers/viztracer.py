"""VizTracer's JSON: every call of a function with its exact begin and end.

Its times are CLOCK_MONOTONIC, by its own calibration of the processor's counter (its modules/quicktime.c), unless it
moved them to begin at 0 (``--align_combine``). ``baseTimeNanoseconds``, where it is written, is UTC minus that clock.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from ..arrays import Array
from ..cautions import Caution
from ..errors import MotraceError
from ..escape import encodable
from .pyspy.frames import short_file
from .times import LATEST_NS, TimeFault, check, set_aside

CATEGORY = "fee"
"""Of the calls of functions (function entry and exit)."""
_GZIP = b"\x1f\x8b"


class _Named(msgspec.Struct):
    name: str = ""


class _Event(msgspec.Struct):
    ph: str
    name: str = ""
    cat: str | None = None
    pid: int = 0
    tid: int = 0
    ts: float = 0.0
    dur: float = 0.0
    args: msgspec.Raw = msgspec.Raw(b"{}")


class _Metadata(msgspec.Struct):
    version: str = ""
    overflow: bool = False
    baseTimeNanoseconds: int | None = None


class _File(msgspec.Struct):
    traceEvents: list[_Event]
    viztracer_metadata: _Metadata


@dataclass(frozen=True)
class FunctionCalls:
    """Calls of functions, by thread and then by begin, the outer first: parallel arrays, ns on the file's clock.

    ``name`` holds codes into ``names``; ``own_ns`` is a call's time without the calls inside it; ``parent`` is the row
    of the call around it, -1 outside any. ``utc_minus_ts_ns`` is None where the file does not say it; ``threads`` are
    names by pid and tid. ``overflow``: VizTracer's buffer was full, so that it forgot the beginning.
    """

    names: list[str]
    name: Array
    pid: Array
    tid: Array
    start_ns: Array
    end_ns: Array
    own_ns: Array
    parent: Array
    threads: dict[tuple[int, int], str]
    utc_minus_ts_ns: int | None
    version: str
    overflow: bool
    warnings: tuple[Caution, ...] = ()

    def __len__(self) -> int:
        return len(self.name)

    @property
    def extent_ns(self) -> tuple[int, int]:
        """From the begin of the first call to the end of the last."""
        return int(self.start_ns.min()), int(self.end_ns.max())


def read_viztracer(path: Path) -> FunctionCalls:
    """Read a file, zipped or not. Raises MotraceError."""
    try:
        raw = path.read_bytes()
        data = msgspec.json.decode(gzip.decompress(raw) if raw.startswith(_GZIP) else raw, type=_File)
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error}") from error
    except (ValueError, EOFError, zlib.error) as error:  # msgspec's errors are ValueErrors
        raise MotraceError(f"{path.name} is not a file of VizTracer, or is cut off: {str(error)[:100]}") from error
    calls = [event for event in data.traceEvents if event.ph == "X" and (event.cat or "").lower() == CATEGORY]
    if not calls:
        raise MotraceError(f"{path.name} holds no call of a function: VizTracer saw nothing")
    times = np.array([(event.ts, event.ts + event.dur) for event in calls])
    good = (np.abs(times) < LATEST_NS / 1e3).all(axis=1)
    far = int((~good).sum())
    start, end = (np.round(column[good] * 1000).astype(np.int64) for column in times.T)
    good[good], faults = check(start, end)
    faults[TimeFault.FAR] += far
    if not good.any():
        raise MotraceError(f"{path.name} holds no call with a usable time: it is damaged; record it again")
    kept = [event for event, stays in zip(calls, good.tolist()) if stays]
    warnings = tuple(set_aside(encodable(path.name), faults))
    return replace(_calls(kept, dict(_threads(data.traceEvents)), data.viztracer_metadata), warnings=warnings)


def _threads(events: list[_Event]) -> Iterator[tuple[tuple[int, int], str]]:
    for event in events:
        if event.ph == "M" and event.name == "thread_name":
            with suppress(msgspec.ValidationError):
                yield (event.pid, event.tid), msgspec.json.decode(event.args, type=_Named).name


def _calls(events: list[_Event], threads: dict[tuple[int, int], str], meta: _Metadata) -> FunctionCalls:
    codes: dict[str, int] = {}
    name = np.array([codes.setdefault(event.name, len(codes)) for event in events], np.int64)
    pid, tid = (np.array([getattr(event, key) for event in events], np.int64) for key in ("pid", "tid"))
    begin_us, length_us = (np.array([getattr(event, key) for event in events]) for key in ("ts", "dur"))
    start = np.round(begin_us * 1000).astype(np.int64)
    end = start + np.round(length_us * 1000).astype(np.int64)
    order = np.lexsort((-end, start, tid, pid))
    name, pid, tid, start, end = (column[order] for column in (name, pid, tid, start, end))
    parent = _parents(pid, tid, start, end)
    own = end - start
    inner = np.flatnonzero(parent >= 0)
    np.subtract.at(own, parent[inner], (end - start)[inner])
    base = meta.baseTimeNanoseconds
    names = [_short(one) for one in codes]
    return FunctionCalls(
        names, name, pid, tid, start, end, np.maximum(own, 0), parent, threads, base, meta.version, meta.overflow
    )


def _short(name: str) -> str:
    """``function (path:line)`` without what is particular to a machine."""
    function, bracket, place = name.rpartition(" (")
    return f"{function} ({short_file(place.rstrip(')'))})" if bracket else name


def _parents(pid: Array, tid: Array, start: Array, end: Array) -> Array:
    """The row of the call around each, -1 outside any."""
    parents = np.full(len(start), -1, np.int64)
    around: list[tuple[int, int]] = []  # row, end
    thread = (0, 0)
    for row, (one, other, begin, finish) in enumerate(zip(pid.tolist(), tid.tolist(), start.tolist(), end.tolist())):
        if (one, other) != thread:
            thread, around = (one, other), []
        while around and around[-1][1] <= begin:
            around.pop()
        if around:
            parents[row] = around[-1][0]
        around.append((row, finish))
    return parents
