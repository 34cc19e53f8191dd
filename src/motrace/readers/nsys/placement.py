"""Events of an export put on the run's clock: whose they are, whether they count, when they were."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ...dataset.dictionary_columns import constant
from ...dataset.tables import SCHEMAS, RunKey
from ..times import DAY_NS
from .source import NULL, Batch, Ints, Mask
from .trace import NEVER_ENDS, NsysTrace, pid_of, tid_of

PlacedColumn: TypeAlias = "str | np.ndarray[Any, np.dtype[np.generic]] | pa.Array | None"
"""What a column of a table is made of: a text for every row, numbers, or an array; None is null."""
ToRun = Callable[[np.ndarray[Any, np.dtype[np.int64]]], np.ndarray[Any, np.dtype[np.int64]]]
Keep = slice | Mask
"""What picks the rows that count: a mask, or a slice of all."""

UNTIMED, REVERSED, ENDLESS, MISFITS, UNPAIRED = "untimed", "reversed", "endless", "misfits", "unpaired"
SAY = {
    UNTIMED: "rows have no usable time and are left out",
    REVERSED: "rows end before they begin and are left out",
    ENDLESS: "rows last longer than a day and are left out",
    MISFITS: "values are not of their column's type and count as missing",
    UNPAIRED: "begins or ends have no other half and are left out",
}


_NO_TIME_IS_0 = "CUPTI_ACTIVITY_KIND_"
"""Tables in which a begin and an end of 0 say that no time was taken."""
_WHO = (1 << 48) - 1
"""Of a globalTid the process and the thread."""


@dataclass
class Placed:
    """Rows that count: ``keep`` picks them from the batch; times in ns on the run's clock."""

    keep: Keep
    start_ns: Ints
    end_ns: Ints
    pid: Ints
    tid: Ints

    def __len__(self) -> int:
        return len(self.start_ns)


@dataclass
class Context:
    """What a conversion is asked for. ``problems`` counts, by table and kind, what was wrong.

    ``end_ns`` is when the recording ended: what is open lasts until then.
    """

    trace: NsysTrace
    key: RunKey
    to_run: ToRun
    pids: frozenset[int] | None = None
    window_ns: tuple[int, int] | None = None
    end_ns: int | None = None
    problems: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, table: str, kind: str, number: int) -> None:
        """Add to the problems; safe from any thread."""
        if number:
            with self._lock:
                self.problems[table, kind] += number

    def own(self, pid: Ints) -> Mask:
        """Which processes count, as a mask."""
        if self.pids is None:
            return np.ones(len(pid), bool)
        return np.isin(pid, np.fromiter(self.pids, np.int64, len(self.pids)))

    def inside(self, start_ns: Ints, end_ns: Ints) -> Mask:
        """What overlaps the window, as a mask; run times."""
        if self.window_ns is None:
            return np.ones(len(start_ns), bool)
        return (start_ns < self.window_ns[1]) & (end_ns >= self.window_ns[0])

    def timed(self, table: str, begins: Ints, ends: Ints) -> Mask:
        """Which rows have usable times, as a mask; the others are counted. An end may be NULL: it never came."""
        known = (begins > -NEVER_ENDS) & (begins < NEVER_ENDS)
        if table.startswith(_NO_TIME_IS_0):
            known &= (begins != 0) | (ends != 0)
        closed = known & (ends != NULL)
        backwards = closed & (ends < begins)
        endless = closed & ~backwards & (np.minimum(ends, NEVER_ENDS) - begins > DAY_NS)
        self.count(table, UNTIMED, len(known) - int(known.sum()))
        self.count(table, REVERSED, int(backwards.sum()))
        self.count(table, ENDLESS, int(endless.sum()))
        good: Mask = known & ~backwards & ~endless
        return good

    def place(self, table: str, batch: Batch, start: str = "start", end: str = "end", who: str = "globalTid") -> Placed:
        """Rows of processes that count, on the run's clock, whether or not inside the window."""
        self.count(table, MISFITS, batch.damaged)
        begins, ends, owner = batch[start], batch[end], batch[who]
        good = self.timed(table, begins, ends if start != end else begins)
        owner = np.where(owner == NULL, 0, owner)  # of no process: counts only where all processes do
        pid = pid_of(owner)
        good &= self.own(pid)
        if self.trace.own_threads:  # what the profiler did inside the program is not the program's
            good &= ~np.isin(owner & _WHO, [pid << 24 | tid for pid, tid in self.trace.own_threads])
        keep: Keep = slice(None) if good.all() else good
        begins, ends = begins[keep], ends[keep]
        if start != end:
            ends = np.where(ends == NULL, begins, ends)
        start_ns = self.to_run(begins)
        end_ns = start_ns if start == end else self.to_run(ends)
        return Placed(keep, start_ns, end_ns, pid[keep], tid_of(owner[keep]))

    def in_window(self, placed: Placed) -> Placed:
        """The rows of these that overlap the window."""
        if self.window_ns is None:
            return placed
        inside = self.inside(placed.start_ns, placed.end_ns)
        if inside.all():
            return placed
        keep = inside
        if isinstance(placed.keep, np.ndarray):
            keep = placed.keep.copy()
            keep[placed.keep] = inside
        return Placed(
            keep, placed.start_ns[inside], placed.end_ns[inside], placed.pid[inside], placed.tid[inside]
        )  # fmt: skip

    def table(self, name: str, columns: Mapping[str, PlacedColumn], rows: int) -> pa.Table:
        """A table of the declared schema; the key and ``source`` are added, texts are constant columns."""
        schema = SCHEMAS[name]
        columns = {**self.key._asdict(), "source": "nsys", **columns}
        arrays = []
        for entry in schema:
            value = columns[entry.name]
            if isinstance(value, str):
                value = constant(value, rows)
            elif isinstance(value, np.ndarray):
                missing = value == NULL if entry.nullable else None
                value = pa.array(value, entry.type, mask=missing if missing is not None and missing.any() else None)
            elif value is None:
                value = pa.nulls(rows, entry.type)
            arrays.append(value)
        return pa.Table.from_arrays(arrays, schema=schema)
