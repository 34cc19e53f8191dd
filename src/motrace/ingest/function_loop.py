"""The loop of a program whose function calls were traced: its iterations are frames.

Its body is the calls under one parent whose functions repeat there: of all parents with the same callers, those whose
repeating calls take the most time, on the main thread if they take a fifth of it. A frame runs from one call to the
next of the first function that is called once per iteration: as often as most of those that take time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..readers.viztracer import FunctionCalls
from ..timeline.intervals import Intervals
from .profiler_only import COVERS, REPEATS

MINOR, ALIKE = 0.01, 0.1
"""Functions of less of the body's time don't say how often it ran; counts that differ by less are alike."""
IMPORTS = "<frozen importlib"
"""In the names of functions that import modules: they loop too, often for longer than the program that they load."""


@dataclass(frozen=True)
class FunctionLoop:
    """Frames, in order, on one thread; ``around`` are the calls that contain them, ``body`` its functions' codes."""

    pid: int
    tid: int
    start_ns: Array
    end_ns: Array
    around: Array
    body: Array


def find_loop(calls: FunctionCalls, rows: Array) -> FunctionLoop | None:
    """The loop among some of the calls; None where what repeats takes less than a fifth of the time."""
    thread = _numbered(calls.pid, calls.tid)
    parent = np.where(calls.parent >= 0, calls.parent, -1 - thread)
    imports = _importing(calls)[rows]
    importing = Intervals.union(calls.start_ns[rows[imports]], calls.end_ns[rows[imports]]).total_ns
    enough = COVERS * max(0, calls.extent_ns[1] - calls.extent_ns[0] - importing)
    siblings = _numbered(parent[rows], calls.name[rows])
    body = rows[(np.bincount(siblings)[siblings] >= REPEATS) & ~imports]
    body = body[_heaviest(calls, body, _callers(calls, parent[body], thread), enough)]
    if not len(body):
        return None
    anchor = body[calls.name[body] == _first(calls, body)]
    start, inside = calls.start_ns[anchor], parent[anchor]
    last = {key: int(calls.end_ns[body[parent[body] == key]].max()) for key in np.unique(inside).tolist()}
    end = np.array([last[key] for key in inside.tolist()], np.int64)
    end[:-1] = np.where(inside[1:] == inside[:-1], start[1:], end[:-1])
    pid, tid = int(calls.pid[anchor[0]]), int(calls.tid[anchor[0]])
    return FunctionLoop(pid, tid, start, end, _around(calls, np.unique(parent[body])), np.unique(calls.name[body]))


def _numbered(first: Array, second: Array) -> Array:
    """Equal pairs as one number each, from 0."""
    _, numbers = np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)
    return numbers.reshape(-1)


def _importing(calls: FunctionCalls) -> Array:
    """Which calls import modules, or are made while one is imported."""
    inside = np.array([IMPORTS in name for name in calls.names], bool)[calls.name].tolist()
    for row, parent in enumerate(calls.parent.tolist()):
        inside[row] = inside[row] or (parent >= 0 and inside[parent])
    return np.array(inside, bool)


def _callers(calls: FunctionCalls, parents: Array, thread: Array) -> Array:
    """A number for each of some parents (-1 less the thread: none) that those with the same callers share."""
    numbers: dict[tuple[int, int], int] = {}
    known = {-1 - one: -1 - one for one in np.unique(thread).tolist()}
    distinct, which = np.unique(parents, return_inverse=True)
    for parent in distinct.tolist():
        chain: list[int] = []
        row = parent
        while row not in known:
            chain.append(row)
            row = int(calls.parent[row]) if calls.parent[row] >= 0 else -1 - int(thread[row])
        for call in reversed(chain):
            known[call] = numbers.setdefault((known[row], int(calls.name[call])), len(numbers))
            row = call
    return np.array([known[parent] for parent in distinct.tolist()], np.int64)[which.reshape(-1)]


def _heaviest(calls: FunctionCalls, rows: Array, callers: Array, enough: float) -> Array:
    """Which calls are those that take the most time of all with the same callers, if it is enough.

    Those on a main thread come first: a thread that waits for work loops too.
    """
    _, first, which = np.unique(callers, return_index=True, return_inverse=True)
    took = np.bincount(which.reshape(-1), (calls.end_ns - calls.start_ns)[rows].astype(float), len(first))
    main = calls.pid[rows[first]] == calls.tid[rows[first]]
    order = np.lexsort((took, main, took >= enough))
    chosen = int(order[-1]) if len(order) and took[order[-1]] >= enough else -1
    return np.asarray(which.reshape(-1) == chosen)


def _first(calls: FunctionCalls, body: Array) -> int:
    """The function whose calls begin the iterations."""
    names, first, which = np.unique(calls.name[body], return_index=True, return_inverse=True)
    counts = np.bincount(which.reshape(-1))
    took = np.bincount(which.reshape(-1), (calls.end_ns - calls.start_ns)[body].astype(float))
    major = counts[took >= MINOR * took.sum()]
    apart = np.abs(major[None, :] - counts[:, None])
    alike = (apart <= np.maximum(1.0, ALIKE * counts)[:, None]).sum(axis=1)
    same = (apart == 0).sum(axis=1)  # a generator is resumed once more, to end
    return int(names[np.lexsort((first, -same, -alike))[0]])


def _around(calls: FunctionCalls, rows: Array) -> Array:
    """Some calls, and all that are around them."""
    found = {int(row) for row in rows if row >= 0}
    todo = list(found)
    while todo:
        row = int(calls.parent[todo.pop()])
        if row >= 0 and row not in found:
            found.add(row)
            todo.append(row)
    return np.array(sorted(found), np.int64)
