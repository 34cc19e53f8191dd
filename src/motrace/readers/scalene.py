"""Scalene's profile (JSON) as the table ``lines``: hints where to look, not evidence.

Scalene guesses Python, native and system time from when Python delivers its timer signal. On
programs of known make-up the split was wrong: sleeping and hashing showed as Python.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from math import isfinite, isnan
from pathlib import Path

import msgspec
import pyarrow as pa

from ..cautions import Caution
from ..dataset.tables import without_key
from ..errors import MotraceError
from ..escape import encodable
from .pyspy.frames import short_file
from .times import LATEST_NS, TimeFault, set_aside

_LIBRARY = re.compile(r"/lib/python3\.\d+t?/|/(site|dist)-packages/|^<")
LINES_SCHEMA = without_key("lines")


class _Line(msgspec.Struct):
    lineno: int
    n_cpu_percent_python: float | None = None
    n_cpu_percent_c: float | None = None
    n_sys_percent: float | None = None
    n_copy_mb_s: float | None = None
    n_peak_mb: float | None = None
    line: str = ""

    def numbers(self) -> tuple[float, ...]:
        """In the order of the schema's columns."""
        given = self.n_cpu_percent_python, self.n_cpu_percent_c, self.n_sys_percent, self.n_copy_mb_s, self.n_peak_mb
        return tuple(number if number and isfinite(number) else 0.0 for number in given)


class _File(msgspec.Struct):
    lines: list[_Line]


class _Profile(msgspec.Struct):
    files: dict[str, _File] = {}  # a profile of nothing is {}
    start_time_absolute: float | None = None
    elapsed_time_sec: float | None = None


def read_lines(path: Path) -> pa.Table:
    """Rows of ``lines`` without their key, for lines about which Scalene says anything. Raises MotraceError.

    Percentages are of the elapsed time; copies and memory are 0 where Scalene ran without memory.
    """
    rows = [
        (short_file(file), line.lineno, *line.numbers())
        for file, profile in sorted(_load(path).files.items())
        for line in profile.lines
        if any(line.numbers())
    ]
    columns = list(zip(*rows)) or [()] * len(LINES_SCHEMA)
    files = pa.array(columns[0], pa.string()).dictionary_encode()
    return pa.table([files, *columns[1:]], schema=LINES_SCHEMA)


@dataclass(frozen=True)
class ProgramLine:
    """A line of the program's own, its source, and the table's numbers."""

    name: str
    source: str
    numbers: tuple[float, ...]


def program_lines(path: Path) -> list[ProgramLine]:
    """Lines about which Scalene says anything, without Python's library and installed packages if there are others."""
    every = [
        (file, ProgramLine(f"{short_file(file)}:{line.lineno}", _plain(line.line), line.numbers()))
        for file, profile in sorted(_load(path).files.items())
        for line in profile.lines
        if any(line.numbers())
    ]
    return [line for file, line in every if not _LIBRARY.search(file)] or [line for _, line in every]


def _plain(source: str) -> str:
    """A line of source without the marks that Scalene writes in place of what HTML would read."""
    return re.sub(r"\\u00(3c|3e|26)", lambda mark: chr(int(mark[1], 16)), source)


@dataclass(frozen=True)
class WatchedTime:
    """From when to when (UTC, ns) Scalene watched, and for how many seconds; None where it does not say."""

    utc_ns: tuple[int, int] | None
    seconds: float | None
    warnings: tuple[Caution, ...]


def when(path: Path) -> WatchedTime:
    """The time of the program that Scalene watched. Raises MotraceError."""
    profile = _load(path)
    start_s, elapsed_s = profile.start_time_absolute or 0.0, profile.elapsed_time_sec or 0.0
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


def _load(path: Path) -> _Profile:
    """The file's object. Raises MotraceError."""
    try:
        return msgspec.convert(json.loads(path.read_text(errors="replace")), _Profile)
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:150]
        raise MotraceError(f"{path.name} is not a profile of Scalene, or is cut off: {what}") from error
