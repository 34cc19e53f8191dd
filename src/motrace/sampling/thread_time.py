"""The time of the thread that matters, from samples or hints of a profile that stands alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..dataset.thread_time import Basis, Heaviest, ThreadPart, ThreadTime
from .classify import COPYING, FILE, GIL, INTERPRETER, NATIVE, PIPE, RECORDER, SLEEPING, classify, coarse
from .python_waits import IDLE, place_waits
from .shares import interval
from .user_profiles import NO_STACK, Samples, last_python

CallsAt = Callable[[str], str | None]
RUNS, UNKNOWN, OTHERS = "native_or_python", "unexplained", "other_threads"
RUNNING = frozenset(("interpreter", "native", "copying", RUNS))
CAUSES_OF_CLASSES = {
    INTERPRETER: "interpreter", RECORDER: "interpreter", COPYING: "copying", NATIVE: "native", GIL: "gil",
    SLEEPING: "pacing", PIPE: "pipe", FILE: "io",
}  # fmt: skip
"""Of what else a stack shows, a lock or another wait, the cause is who worked meanwhile."""
MOST, LEAST = 3, 0.01
"""So many names are said, of no less than this share."""
SECOND_LINE = 0.1
"""A thread that waits stays on one line: where a second line of a function has so much of it, Python ran there."""
RACE = 0.05
"""Without --idle so many samples may still show threads that just began to wait."""
PERIOD_NS = 10_000_000
_IMPORTING, _OTHER_THREAD = "<frozen importlib", "_bootstrap (threading.py"


def sampled_time(samples: Samples, native: bool, calls_at: CallsAt) -> ThreadTime | None:
    """Of py-spy's samples. ``calls_at`` says for what the line of a frame waits by its source.

    It gives None where the source is not at hand, and an empty text where nothing on the line is known to wait.
    """
    rows = _thread(samples)
    weight = samples.weight_ns if not samples.counted else samples.count
    frames = [samples.stacks[one] for one in samples.stack.tolist()]
    starting = np.array([any(_IMPORTING in name for name in one) for one in frames], bool)
    mine = rows & ~starting
    total, start_total = int(weight[mine].sum()), int(weight[rows & starting].sum())
    if not total:
        return None
    causes = _causes(samples.stacks, native, calls_at, samples.stack[mine], weight[mine])
    sums, places = Counter[str](), dict[str, Counter[str]]()
    for stack, ns in zip(samples.stack[mine].tolist(), weight[mine].tolist()):
        cause = causes[stack]
        sums[cause] += ns
        places.setdefault(cause, Counter())[_place(samples.stacks[stack])] += ns
    if IDLE in sums and _others_run(samples, rows, native, calls_at) >= 0.5 * sums[IDLE]:
        sums[OTHERS], places[OTHERS] = sums.pop(IDLE), places.pop(IDLE)
    count = total if samples.counted else max(1, round(total / PERIOD_NS))
    waiting = sum(ns for cause, ns in sums.items() if cause not in RUNNING and cause != UNKNOWN)
    seen, _ = interval(round(count * waiting / (total + start_total)), max(1, round(count * (1 + start_total / total))))
    known = samples.weight_ns.any()
    seconds = float(samples.weight_ns[mine].sum()) / 1e9 if known else None
    parts = [
        ThreadPart(cause, ns / total, *_within(ns / total, count, cause), heaviest(places[cause], total, seconds))
        for cause, ns in sums.most_common()
    ]
    basis = Basis.STACKS if native else Basis.LINES
    return ThreadTime(basis, seconds, seen > RACE, start_total > total, tuple(parts))


def _within(share: float, count: int, cause: str) -> tuple[float, float]:
    lo, hi = interval(round(share * count), count)
    return (0.0 if cause in (UNKNOWN, OTHERS) else min(lo, share)), max(hi, share)


def heaviest(places: Mapping[str, float], total: float, seconds: float | None) -> tuple[Heaviest, ...]:
    """The first of some places by their weights."""
    order = sorted(places, key=lambda name: (-places[name], name))[:MOST]
    shares = {name: places[name] / total for name in order if total and places[name] >= LEAST * total}
    return tuple(Heaviest(name, shares[name], None if seconds is None else shares[name] * seconds) for name in shares)


def _thread(samples: Samples) -> Array:
    """Which rows are of the main thread, or of the thread with the most samples."""
    keys = np.column_stack((samples.pid, samples.tid))
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.reshape(-1)
    took = np.bincount(which, samples.count.astype(float))
    main = [(pid == tid and tid > 0) or samples.names.get((pid, tid)) == "MainThread" for pid, tid in distinct.tolist()]
    chosen = which == int(np.lexsort((took, np.array(main)))[-1])
    first = chosen & ~np.array([_is_other(samples.stacks[one]) for one in samples.stack.tolist()], bool)
    return np.asarray(first if first.any() else chosen)  # formats without threads hold those of all


def _is_other(frames: Sequence[str]) -> bool:
    return any(_OTHER_THREAD in frame for frame in frames[:3])


def _others_run(samples: Samples, rows: Array, native: bool, calls_at: CallsAt) -> int:
    """The weight of other threads' samples that are known to run."""
    weight = samples.weight_ns if not samples.counted else samples.count
    causes = _causes(samples.stacks, native, calls_at, samples.stack[~rows], weight[~rows])
    return sum(ns for one, ns in zip(samples.stack[~rows].tolist(), weight[~rows].tolist()) if causes[one] in RUNNING)


def _causes(
    stacks: Sequence[Sequence[str]], native: bool, calls_at: CallsAt, stack: Array, weight: Array
) -> dict[int, str]:
    """The cause of each stack that occurs."""
    found = {one: _cause(stacks[one], native, calls_at) for one in np.unique(stack).tolist()}
    lines: dict[str, Counter[str]] = {}
    for one, ns in zip(stack.tolist(), weight.tolist()):
        if found[one] == UNKNOWN and stacks[one]:
            leaf = stacks[one][-1]
            lines.setdefault(_without_line(leaf), Counter())[leaf] += ns
    moves = {
        name for name, each in lines.items()
        if len(each) > 1 and each.most_common(2)[1][1] >= SECOND_LINE * each.total()
    }  # fmt: skip
    return {
        one: RUNS if cause == UNKNOWN and stacks[one] and _without_line(stacks[one][-1]) in moves else cause
        for one, cause in found.items()
    }


def _cause(frames: Sequence[str], native: bool, calls_at: CallsAt) -> str:
    if not frames:
        return UNKNOWN
    if native:
        return CAUSES_OF_CLASSES.get(coarse(classify(frames)), IDLE)
    place = place_waits(frames[-1])
    if place is not None:
        return place
    waits = calls_at(frames[-1])
    return UNKNOWN if waits is None else waits or RUNS


def _place(frames: Sequence[str]) -> str:
    return last_python(frames) if frames else NO_STACK


def _without_line(frame: str) -> str:
    return re.sub(r":\d+\)$", ")", frame)


@dataclass(frozen=True)
class HintedLine:
    """A line of the program's own in Scalene's profile; ``waits``: the cause that its source names, None of no wait."""

    name: str
    waits: str | None
    python_pct: float
    native_pct: float
    system_pct: float
    copied_mb_s: float


def hinted_time(lines: Iterable[HintedLine], seconds: float | None) -> ThreadTime | None:
    """Of Scalene's lines. What its source does not show to wait and the system holds waits all the same."""
    sums, places = dict[str, float](), dict[str, dict[str, float]]()
    for line in lines:
        ran = line.python_pct + line.native_pct
        if line.waits or line.system_pct > ran:
            split = {line.waits or IDLE: ran + line.system_pct}
        else:
            compiled = "copying" if line.copied_mb_s > 0 else "native"
            split = {"interpreter": line.python_pct, compiled: line.native_pct + line.system_pct}
        for cause, pct in split.items():
            sums[cause] = sums.get(cause, 0.0) + pct
            there = places.setdefault(cause, {})
            there[line.name] = there.get(line.name, 0.0) + pct
    total = sum(sums.values())
    if not total:
        return None
    parts = [
        ThreadPart(cause, pct / total, 0.0, 1.0, heaviest(places[cause], total, None))
        for cause, pct in sorted(sums.items(), key=lambda one: -one[1])
        if pct
    ]
    return ThreadTime(Basis.HINTS, seconds, True, False, tuple(parts))
