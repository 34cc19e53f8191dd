"""Scalene's profile (JSON) as the table ``lines``: hints where to look, not evidence.

Scalene guesses Python, native and system time from when Python delivers its timer signal. On
programs of known make-up the split was wrong: sleeping and hashing showed as Python.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..cautions import Caution
from ..dataset.tables import without_key
from ..errors import MotraceError
from ..escape import encodable
from .pyspy.frames import short_file
from .times import LATEST_NS, TimeFault, set_aside

LINES_SCHEMA = without_key("lines")
_COLUMNS = {
    "python_pct": "n_cpu_percent_python",
    "native_pct": "n_cpu_percent_c",
    "system_pct": "n_sys_percent",
    "copy_mb_s": "n_copy_mb_s",
    "peak_mb": "n_peak_mb",
}


def read_lines(path: Path) -> pa.Table:
    """Rows of ``lines`` without their key, for lines about which Scalene says anything. Raises MotraceError.

    Percentages are of the elapsed time; copies and memory are 0 where Scalene ran without memory.
    """
    try:
        data = _load(path)
        rows = [
            (short_file(str(file)), line)
            for file, profile in sorted(data["files"].items())
            for line in profile["lines"]
            if any(_number(line, key) for key in _COLUMNS.values())
        ]
        columns: dict[str, Any] = {
            "file": [file for file, _ in rows],
            "line": [int(line["lineno"]) for _, line in rows],
        }
        columns |= {name: [_number(line, key) for _, line in rows] for name, key in _COLUMNS.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error
    columns["file"] = pa.array(columns["file"], pa.string()).dictionary_encode()
    return pa.table(columns, schema=LINES_SCHEMA)


@dataclass(frozen=True)
class WatchedTime:
    """From when to when (UTC, ns) Scalene watched, and for how many seconds; None where it does not say."""

    utc_ns: tuple[int, int] | None
    seconds: float | None
    warnings: tuple[Caution, ...]


def when(path: Path) -> WatchedTime:
    """The time of the program that Scalene watched. Raises MotraceError."""
    try:
        data = _load(path)
        start_s, elapsed_s = (float(data.get(name) or 0) for name in ("start_time_absolute", "elapsed_time_sec"))
    except (ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error
    fault = None
    if isnan(elapsed_s) or isnan(start_s):
        fault = TimeFault.MISSING
    elif elapsed_s < 0 or start_s < 0:
        fault = TimeFault.NEGATIVE
    elif (start_s + elapsed_s) * 1e9 > LATEST_NS:
        fault = TimeFault.FAR
    if fault is not None:
        return WatchedTime(None, None, tuple(set_aside(encodable(path.name), Counter([fault]))))
    utc_ns = (round(start_s * 1e9), round((start_s + elapsed_s) * 1e9)) if start_s else None
    return WatchedTime(utc_ns, elapsed_s or None, ())


def _load(path: Path) -> dict[str, Any]:
    """The file's object. Raises ValueError, or MotraceError where it can't be read."""
    try:
        return json.loads(path.read_text(errors="replace")) or {"files": {}}  # {}: it saw nothing
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror}") from error


def _damaged(path: Path, error: Exception) -> MotraceError:
    what = " ".join(str(error).split())[:150]
    return MotraceError(f"{path.name} is not a profile of Scalene, or is cut off: {what}")


def _number(line: dict[str, Any], key: str) -> float:
    value = float(line.get(key) or 0.0)
    return value if isfinite(value) else 0.0
