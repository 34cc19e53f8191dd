"""Named ranges of time of one thread: spans, or what a profiler recorded of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array


@dataclass(frozen=True)
class Ranges:
    """Ranges that had ended, nested or not: parallel arrays, int64 ns."""

    name: Array
    start_ns: Array
    end_ns: Array

    def __len__(self) -> int:
        return len(self.name)

    def labels(self, t_ns: Array) -> Array:
        """The number of the innermost range's name (in order of appearance) at each time, -1 outside all."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.name.tolist()))}
        label = np.array([numbers[name] for name in self.name.tolist()], np.int64)
        edges, labels = _innermost(self.start_ns, self.end_ns, label)
        if not len(edges):
            return np.full(len(t_ns), -1, np.int64)
        where = np.searchsorted(edges, t_ns, side="right") - 1
        return np.asarray(np.where(where >= 0, labels[np.maximum(where, 0)], -1))


def _innermost(start: Array, end: Array, label: Array) -> tuple[Array, Array]:
    """From which moment on which span is the innermost one."""
    order = np.lexsort((-end, start))
    edges: list[int] = []
    labels: list[int] = []
    around: list[tuple[int, int]] = []  # end, label

    def close(until: int) -> None:
        while around and around[-1][0] <= until:
            edges.append(around.pop()[0])
            labels.append(around[-1][1] if around else -1)

    for index in order:
        close(int(start[index]))
        around.append((int(end[index]), int(label[index])))
        edges.append(int(start[index]))
        labels.append(int(label[index]))
    close(1 << 62)
    return np.array(edges, np.int64), np.array(labels, np.int64)
