"""What a user's own profile shows, as hot lines, functions, classes of samples, ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Array
from ..dataset.profiles import HotSpot, LineHint, NamedTime, ProfileClass, SampledThread, StackProfile
from ..dataset.stack_frames import is_native
from .classify import classify
from .shares import shares

MOST = 12
MOST_LINES = 10
NO_STACK = "no stack"
"""Of samples from before the interpreter had a frame, or after."""


@dataclass(frozen=True)
class Samples:
    """Rows of samples, parallel arrays: ``stack`` indexes ``stacks``, ``count`` samples of together ``weight_ns``.

    ``weight_ns`` is all 0 where no time is known: then shares are of the samples.
    ``names`` are those of threads by (pid, tid). ``counted``: each sample is there, so that counts are what a
    binomial interval needs; else a row is a change of the stack.
    """

    pid: Array
    tid: Array
    stack: Array
    count: Array
    weight_ns: Array
    stacks: Sequence[tuple[str, ...]]
    names: Mapping[tuple[int, int], str]
    counted: bool


def stack_profile(samples: Samples, native: bool) -> StackProfile:
    """Samples in all, by thread, class (with native frames only), line and function; shares are of the whole."""
    timed = bool(samples.weight_ns.any())
    weight = np.zeros(len(samples.stacks), np.int64)
    count = np.zeros(len(samples.stacks), np.int64)
    np.add.at(weight, samples.stack, samples.weight_ns if timed else samples.count)
    np.add.at(count, samples.stack, samples.count)
    leaves, functions = Counter[str](), Counter[str]()
    for frames, ns in zip(samples.stacks, weight.tolist()):
        leaves[last_python(frames) if frames else NO_STACK] += ns
        for name in {_without_line(frame) for frame in frames if not frame.startswith("? (")}:
            functions[name] += ns
    total = int(weight.sum())
    return StackProfile(
        native=native,
        samples=int(count.sum()),
        seconds=total / 1e9 if timed else None,
        threads=_threads(samples, total),
        classes=_classes(samples, weight, count, total) if native else (),
        lines=_hot_spots(leaves, total, timed),
        functions=_hot_spots(functions, total, timed),
    )


def _classes(samples: Samples, weight: Array, count: Array, total: int) -> tuple[ProfileClass, ...]:
    """Shares of classes: of the samples, with Wilson's interval; of the time, without one, where they are not there."""
    sums: Counter[str] = Counter()
    for frames, number in zip(samples.stacks, (count if samples.counted else weight).tolist()):
        sums[classify(frames) if frames else NO_STACK] += number
    if samples.counted:
        return tuple(ProfileClass(one.name, one.count, one.share, one.lo, one.hi) for one in shares(sums))
    return tuple(
        ProfileClass(name, None, sums[name] / total if total else 0.0, None, None) for name in _most(sums, len(sums))
    )


def _threads(samples: Samples, total: int) -> tuple[SampledThread, ...]:
    sums: Counter[tuple[int, int]] = Counter()
    counts: Counter[tuple[int, int]] = Counter()
    weights = samples.weight_ns if samples.weight_ns.any() else samples.count
    columns = (samples.pid, samples.tid, weights, samples.count)
    for pid, tid, ns, number in zip(*(column.tolist() for column in columns)):
        sums[pid, tid] += ns
        counts[pid, tid] += number
    return tuple(
        SampledThread(key[0] or None, key[1] if key[1] > 0 else None, samples.names.get(key) or None, counts[key],
                      sums[key] / total if total else 0.0)
        for key in sorted(sums, key=lambda key: (-sums[key], key))[:MOST]
    )  # fmt: skip


def last_python(frames: Sequence[str]) -> str:
    """The line of Python that a stack is at: native frames below it are what that line called."""
    return next((frame for frame in reversed(frames) if not is_native(frame)), frames[-1])


def _without_line(frame: str) -> str:
    head, colon, line = frame.rstrip(")").rpartition(":")
    return f"{head})" if colon and line.isdecimal() else frame


def _most(sums: Mapping[str, int], count: int = MOST) -> list[str]:
    """Names by their sums, the largest first."""
    return sorted(sums, key=lambda name: (-sums[name], name))[:count]


def _hot_spots(weights: Counter[str], total: int, timed: bool) -> tuple[HotSpot, ...]:
    return tuple(
        HotSpot(name, weights[name] / 1e9 if timed else None, weights[name] / total if total else 0.0)
        for name in _most(weights)
    )


def named_times(table: pa.Table) -> tuple[NamedTime, ...]:
    """Events by name, those of most time first: how many, and their sum in ns (of overlapping ones each counts)."""
    if not table.num_rows:
        return ()
    names = [str(name) for name in table.column("name").to_pylist()]
    sums: Counter[str] = Counter()
    for name, ns in zip(names, pc.subtract(table.column("end_ns"), table.column("start_ns")).to_pylist()):
        sums[name] += ns
    counts = Counter(names)
    return tuple(NamedTime(name, counts[name], sums[name]) for name in _most(sums))


def heaviest_lines(table: pa.Table) -> tuple[LineHint, ...]:
    """Of the table ``lines`` those in which most was seen, the most first."""
    columns = [field.name for field in fields(LineHint)]
    hints = [LineHint(**row) for row in table.select(columns).to_pylist()] if table.num_rows else []
    hints.sort(key=lambda one: (-(one.python_pct + one.native_pct + one.system_pct), one.file, one.line))
    return tuple(hints[:MOST_LINES])
