"""The events of Kineto's Chrome traces (torch.profiler), and of what process and time they are."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ...errors import MotraceError
from ...output import JsonObject, JsonValue

GPU_KINDS = {"kernel": "kernel", "gpu_memcpy": "memcpy", "gpu_memset": "memset"}
CALLS = ("cuda_runtime", "cuda_driver")
_HOSTS = (*CALLS, "user_annotation", "cpu_op", "python_function", "operator")
"""What happens on the CPU: the process id of these is the program's."""
EARLIEST_UTC_NS = 10**18
"""In 2001: what is before that is not UTC, but counts from an unknown start."""


def extent(path: Path) -> tuple[frozenset[int], tuple[int, int] | None]:
    """The processes that a trace watched, and its first and last moment (UTC, ns; None if not known).

    Raises MotraceError.
    """
    pids, ends = extent_of(events_by_kind(path))
    return pids, ends if ends is not None and ends[0] > EARLIEST_UTC_NS else None


def extent_of(by_kind: dict[str, list[Event]]) -> tuple[frozenset[int], tuple[int, int] | None]:
    """The processes that events tell of, and the first and last moment (ns; None: there are none)."""
    hosts = [event for kind in _HOSTS for event in by_kind.get(kind, [])]
    events = [*hosts, *(event for kind in GPU_KINDS for event in by_kind.get(kind, []))]
    ends = (min(event.start_ns for event in events), max(event.end_ns for event in events)) if events else None
    return frozenset(whole(event.pid) for event in hosts) - {0}, ends


def events_by_kind(path: Path) -> dict[str, list[Event]]:
    """The complete events of a trace by category, in lower case. Raises MotraceError."""
    data = _load(path)
    by_kind: dict[str, list[Event]] = {}
    try:
        base_ns = int(cast("int | str", data.get("baseTimeNanoseconds") or 0))
        for event in cast("list[JsonValue]", data["traceEvents"]):
            if isinstance(event, dict) and event.get("ph") == "X":
                by_kind.setdefault(str(event.get("cat", "")).lower(), []).append(Event.of(event, base_ns))
    except (KeyError, TypeError, ValueError) as error:
        raise MotraceError(f"{path.name} holds an event that is not Kineto's: {error}") from error
    return by_kind


def _load(path: Path) -> JsonObject:
    try:
        raw = path.read_bytes()
        data = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error}") from error
    except (ValueError, EOFError, zlib.error) as error:
        raise MotraceError(
            f"{path.name} is not a trace of torch.profiler, or is cut off: {str(error)[:100]}"
        ) from error
    if not isinstance(data, dict) or not isinstance(data.get("traceEvents"), list):
        raise MotraceError(f"{path.name} is not a trace of torch.profiler: it has no traceEvents")
    return data


@dataclass(frozen=True)
class Event:
    """A complete event; times are UTC ns."""

    name: str
    start_ns: int
    end_ns: int
    pid: JsonValue
    tid: JsonValue
    args: Mapping[str, JsonValue]

    @classmethod
    def of(cls, event: Mapping[str, JsonValue], base_ns: int) -> Event:
        """From a row of the trace. Raises KeyError, TypeError or ValueError."""
        begin_us, took_us = _us(event["ts"]), _us(event.get("dur") or 0)
        start, end = base_ns + round(begin_us * 1000), base_ns + round((begin_us + took_us) * 1000)
        args = event.get("args")
        return cls(
            str(event["name"]), start, end, event.get("pid"), event.get("tid"), args if isinstance(args, dict) else {}
        )

    def number(self, *names: str) -> int | None:
        """The first of these arguments that it has, as a number."""
        for name in names:
            value = self.args.get(name)
            if isinstance(value, int | float):
                return int(value)
        return None


def _us(value: JsonValue) -> float:
    if not isinstance(value, int | float | str):
        raise TypeError(f"a time is a {type(value).__name__}")
    return float(value)


def whole(value: JsonValue) -> int:
    """A process or thread id; Kineto also writes words such as `Spans`."""
    return int(str(value)) if str(value).lstrip("-").isdigit() else 0
