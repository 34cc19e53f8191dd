"""Ranges of a thread projected onto the GPU: which operations were launched inside which range.

An operation belongs to every range of the launching thread that encloses its launch call from begin
to end, whenever it ran; the projected range reaches from the first such operation's begin to the
last one's end. That is the definition of NVIDIA's ``nvtx_gpu_proj`` reports. Nested ranges all get
the operation, so sums over ranges count it more than once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_LATEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Projection:
    """Parallel to the ranges: how many operations each holds, and what they span, ns.

    ``busy_ns`` is the sum of their durations, ``start_ns`` and ``end_ns`` are 0 where ``ops`` is 0.
    """

    ops: Ints
    start_ns: Ints
    end_ns: Ints
    busy_ns: Ints


def project(
    thread: Ints, start_ns: Ints, end_ns: Ints, call: tuple[Ints, Ints, Ints], op_start_ns: Ints, op_end_ns: Ints
) -> Projection:
    """Project ranges onto the operations launched inside them.

    ``thread``, ``start_ns``, ``end_ns`` are the ranges' (any number that tells threads apart);
    ``call`` is thread, begin and end of the call that launched each operation, parallel to
    ``op_start_ns`` and ``op_end_ns``. Ranges may overlap without nesting, as those of two domains
    do. Takes O(n log n) time for each layer of ranges that nest; usually there are one or two.
    """
    count = len(start_ns)
    found = Projection(
        np.zeros(count, np.int64), np.full(count, _LATEST), np.full(count, -_LATEST), np.zeros(count, np.int64)
    )
    call_order = np.argsort(call[0], kind="stable")
    call_thread = call[0][call_order]
    for layer in _layers(thread, start_ns, end_ns):
        low = int(np.searchsorted(call_thread, thread[layer[0]], side="left"))
        high = int(np.searchsorted(call_thread, thread[layer[0]], side="right"))
        ops = call_order[low:high]
        if len(ops):
            _project_layer(
                found, layer, (start_ns, end_ns), (call[1][ops], call[2][ops]), op_start_ns[ops], op_end_ns[ops]
            )
    none = found.ops == 0
    return Projection(found.ops, np.where(none, 0, found.start_ns), np.where(none, 0, found.end_ns), found.busy_ns)


def _layers(thread: Ints, start_ns: Ints, end_ns: Ints) -> Iterator[Ints]:
    """Ranges of one thread that nest, in order of begin, the outer one first; together all ranges."""
    order = np.lexsort((-end_ns, start_ns, thread))
    edges = np.flatnonzero(np.diff(thread[order])) + 1
    for indices in np.split(order, edges):
        layers: list[tuple[list[int], list[int]]] = []  # members, and ends of those still open
        for index, start, end in zip(indices.tolist(), start_ns[indices].tolist(), end_ns[indices].tolist()):
            for layer in layers:
                while layer[1] and layer[1][-1] < start:
                    layer[1].pop()
                if not layer[1] or layer[1][-1] >= end:
                    break
            else:
                layer = ([], [])
                layers.append(layer)
            layer[0].append(index)
            layer[1].append(end)
        yield from (np.array(members, np.int64) for members, _ in layers)


def _project_layer(
    found: Projection,
    layer: Ints,
    ranges: tuple[Ints, Ints],
    call: tuple[Ints, Ints],
    op_start_ns: Ints,
    op_end_ns: Ints,
) -> None:
    starts, ends = ranges[0][layer], ranges[1][layer]
    parent, depth = _parents(starts, ends)
    inner = np.searchsorted(starts, call[0], side="right") - 1
    outside = (inner >= 0) & (ends[inner] < call[1])
    while outside.any():
        inner = np.where(outside, parent[inner], inner)
        outside = (inner >= 0) & (ends[inner] < call[1])
    held = inner >= 0
    inner = inner[held]
    ops, busy = np.zeros(len(layer), np.int64), np.zeros(len(layer), np.int64)
    first, last = np.full(len(layer), _LATEST), np.full(len(layer), -_LATEST)
    np.add.at(ops, inner, 1)
    np.add.at(busy, inner, op_end_ns[held] - op_start_ns[held])
    np.minimum.at(first, inner, op_start_ns[held])
    np.maximum.at(last, inner, op_end_ns[held])
    for level in range(int(depth.max()), 0, -1):  # what a range holds, its parent holds too
        children = np.flatnonzero(depth == level)
        np.add.at(ops, parent[children], ops[children])
        np.add.at(busy, parent[children], busy[children])
        np.minimum.at(first, parent[children], first[children])
        np.maximum.at(last, parent[children], last[children])
    found.ops[layer], found.busy_ns[layer] = ops, busy
    found.start_ns[layer], found.end_ns[layer] = first, last


def _parents(starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """The range around each (-1: none), and how many are around it; ranges nest and are in order."""
    parents, depths = [], []
    around: list[int] = []
    bounds = ends.tolist()
    for index, start in enumerate(starts.tolist()):
        while around and bounds[around[-1]] < start:
            around.pop()
        parents.append(around[-1] if around else -1)
        depths.append(len(around))
        around.append(index)
    return np.array(parents, np.int64), np.array(depths, np.int64)
