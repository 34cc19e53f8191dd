"""When py-spy took each sample: its log of the threads that it stopped (``RUST_LOG=remoteprocess=debug``).

For each sample it stops every thread of the process and lets it go again; each of that is a line with a
time in ns UTC. A sample of a thread was taken while that thread was stopped, so the two lines say
when, and how long the pause was. This is a debug log, not an interface: what is read out of it is
checked against our spans (``pyspy_align``).
"""

from __future__ import annotations

import calendar
import gzip
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...arrays import Array
from ...errors import MotraceError

_LINE = re.compile(
    r"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z (\w+) +([\w:]+)\] (?:(attached to|detached from) thread (\d+))?"
)


@dataclass
class Groups:
    """Stops of the process, one after the other; ``failed`` ones gave no sample.

    ``stops[tid]`` is (n, 3): number of the group, and UTC ns of the stop and of the release.
    ``first_utc_ns`` is the time of the first line, just before py-spy's clock begins.
    """

    count: int = 0
    failed: set[int] = field(default_factory=set)
    stops: dict[int, Array] = field(default_factory=dict)
    first_utc_ns: int = 0


def read_log(path: Path) -> Groups:
    """Read a log, plain or gzipped. Raises MotraceError where it can't be read."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode(errors="replace")
    except (OSError, EOFError) as error:
        raise MotraceError(f"{path.name} can't be read: {error}") from error
    return parse_log(text)


def parse_log(text: str) -> Groups:
    """The groups of a log's text; lines of any other kind are passed over."""
    groups = Groups(count=0)
    rows: dict[int, list[list[int]]] = {}
    letting_go = True
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        second, fraction, level, module, what, tid_text = found.groups()
        utc_ns = _utc_ns(second) + int(fraction)
        groups.first_utc_ns = groups.first_utc_ns or utc_ns
        if what == "attached to":
            if letting_go:
                groups.count += 1
                letting_go = False
            rows.setdefault(int(tid_text), []).append([groups.count - 1, utc_ns, 0])
        elif what == "detached from":
            letting_go = True
            own = rows.get(int(tid_text))
            if own:
                own[-1][2] = utc_ns
        elif level == "WARN" and module.startswith("py_spy") and groups.count:
            groups.failed.add(groups.count - 1)
    for tid, stops in rows.items():
        table = np.array(stops, np.int64)
        groups.stops[tid] = table[(table[:, 2] > 0) & ~np.isin(table[:, 0], list(groups.failed))]
    return groups


_seconds: dict[str, int] = {}


def _utc_ns(second: str) -> int:
    if second not in _seconds:
        if len(_seconds) > 100_000:
            _seconds.clear()
        _seconds[second] = calendar.timegm(time.strptime(second, "%Y-%m-%dT%H:%M:%S")) * 1_000_000_000
    return _seconds[second]
