"""What a user's own profile shows, in report.json's form: hot lines, functions, classes of samples, ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .classify import classify
from .shares import shares

Array = np.ndarray[Any, Any]
Json = dict[str, Any]
MOST = 12
MOST_LINES = 10
NO_STACK = "no stack"
"""Of samples from before the interpreter had a frame, or after."""


@dataclass(frozen=True)
class Samples:
    """Rows of samples, parallel arrays: ``stack`` indexes ``stacks``, ``count`` samples of together ``weight_ns``.

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


def samples_summary(samples: Samples, native: bool) -> Json:
    """Samples in all, by thread, class (with native frames only), line and function; shares are of the whole."""
    weight = np.zeros(len(samples.stacks), np.int64)
    count = np.zeros(len(samples.stacks), np.int64)
    np.add.at(weight, samples.stack, samples.weight_ns)
    np.add.at(count, samples.stack, samples.count)
    leaves, functions = Counter[str](), Counter[str]()
    for frames, ns in zip(samples.stacks, weight.tolist()):
        leaves[_last_python(frames) if frames else NO_STACK] += ns
        for name in {_without_line(frame) for frame in frames if not frame.startswith("? (")}:
            functions[name] += ns
    total = int(weight.sum())
    return {
        "native": native,
        "samples": int(count.sum()),
        "seconds": total / 1e9,
        "threads": _threads(samples, total),
        "classes": _classes(samples, weight, count, total) if native else [],
        "lines": _rows(leaves, total),
        "functions": _rows(functions, total),
    }


def _classes(samples: Samples, weight: Array, count: Array, total: int) -> list[Json]:
    """Shares of classes: of the samples, with Wilson's interval; of the time, without one, where they are not there."""
    numbers = count if samples.counted else weight
    found: dict[str, int] = {}
    for frames, number in zip(samples.stacks, numbers.tolist()):
        name = classify(frames) if frames else NO_STACK
        found[name] = found.get(name, 0) + number
    if not samples.counted:
        return [{"class": name, "samples": None, "share": ns / total if total else 0.0, "lo": None, "hi": None}
                for name, ns in sorted(found.items(), key=lambda item: (-item[1], item[0]))]  # fmt: skip
    return [{"class": one.name, "samples": one.count, "share": one.share, "lo": one.lo, "hi": one.hi}
            for one in shares(found)]  # fmt: skip


def _threads(samples: Samples, total: int) -> list[Json]:
    sums: Counter[tuple[int, int]] = Counter()
    counts: Counter[tuple[int, int]] = Counter()
    for pid, tid, ns, number in zip(*(getattr(samples, key).tolist() for key in ("pid", "tid", "weight_ns", "count"))):
        sums[pid, tid] += ns
        counts[pid, tid] += number
    order = sorted(sums, key=lambda key: (-sums[key], key))
    return [
        {"pid": pid or None, "tid": tid or None, "name": samples.names.get((pid, tid)) or None,
         "samples": counts[pid, tid], "share": sums[pid, tid] / total if total else 0.0}
        for pid, tid in order[:MOST]
    ]  # fmt: skip


def _last_python(frames: Sequence[str]) -> str:
    """The line of Python that a stack is at: native frames below it are what that line called."""
    return next((frame for frame in reversed(frames) if _is_python(frame)), frames[-1])


def _is_python(frame: str) -> bool:
    place, colon, line = frame.rpartition(" (")[2].rstrip(")").rpartition(":")
    return bool(colon) and line.isdecimal() and (place.endswith((".py", ".pyx")) or place.startswith("<"))


def _without_line(frame: str) -> str:
    head, colon, line = frame.rstrip(")").rpartition(":")
    return f"{head})" if colon and line.isdecimal() else frame


def _rows(weights: Counter[str], total: int) -> list[Json]:
    order = sorted(weights, key=lambda name: (-weights[name], name))
    return [{"name": name, "seconds": weights[name] / 1e9, "share": weights[name] / total if total else 0.0}
            for name in order[:MOST]]  # fmt: skip


def range_rows(table: pa.Table) -> list[Json]:
    """Events by name, those of most time first: how many, and their sum in ns (of overlapping ones each counts)."""
    lasted: dict[str, list[int]] = {}
    for name, start_ns, end_ns in zip(*(table.column(column).to_pylist() for column in ("name", "start_ns", "end_ns"))):
        lasted.setdefault(name, []).append(end_ns - start_ns)
    listed: list[Json] = [{"name": name, "count": len(times), "total_ns": sum(times)} for name, times in lasted.items()]
    return sorted(listed, key=lambda row: (-row["total_ns"], row["name"]))[:MOST]


def heaviest_lines(listed: list[Json]) -> list[Json]:
    """Of rows of ``lines`` those in which most was seen, the most first."""
    order = sorted(
        listed, key=lambda row: (-(row["python_pct"] + row["native_pct"] + row["system_pct"]), row["file"], row["line"])
    )
    return order[:MOST_LINES]
