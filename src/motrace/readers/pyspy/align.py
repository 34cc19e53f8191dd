"""Whether samples are in the right places: do their stacks tell the span in which each was taken?

Learnt from one half of the samples: which frames (with their lines) tell a span, because nearly all
samples that have them lie in one kind of it, and far more of them than of all samples (where a
program spends 93 % of its time in one span, ``main`` is there in 93 % of its samples, and tells
nothing). Counted in the other half: how often they tell the right one. If the times are right
nearly all do; if they are off by one sample few frames tell anything, and what they tell is often
wrong. Samples without such a frame (a helper that several spans call) are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Stack = tuple[str, ...]

SHIFTS = range(-2, 4)
ENOUGH = 0.95
FEW = 40
_TELLING = 0.9  # of a frame's samples, this share lies in one span
_DOUBT_LEFT = 0.3  # of the doubt without any frame, at most so much is left: else the frame is merely common
_NOTHING = -2
_DOUBT = 0.5  # samples that every frame is thought to have elsewhere: rare frames tell nothing


@dataclass(frozen=True)
class NamedSpans:
    """Closed spans of one thread, nested or not, in any order: begin and end on CLOCK_MONOTONIC, and names."""

    start_ns: Array
    end_ns: Array
    name: Sequence[str]

    def labels(self, t_ns: Array) -> Array:
        """The number of the innermost span's name at each time, -1 outside all."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.name))}
        edges, labels = _innermost(
            self.start_ns, self.end_ns, np.array([numbers[name] for name in self.name], np.int64)
        )
        if not len(edges):
            return np.full(len(t_ns), -1, np.int64)
        where = np.searchsorted(edges, t_ns, side="right") - 1
        found: Array = np.where(where >= 0, labels[np.maximum(where, 0)], -1)
        return found


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


def agreement(stacks: Sequence[Stack], stack: Array, label: Array) -> tuple[int, int]:
    """How many samples have a frame that tells their span, and of how many it tells the right one."""
    stack, label = stack[label >= 0], label[label >= 0]  # outside all spans nothing can be told
    half = np.arange(len(stack)) % 2
    told = right = 0
    for learn in (0, 1):
        known, test = half == learn, half != learn
        telling = _learn(stacks, stack[known], label[known])
        guess = {one: _guess(stacks[one], telling) for one in np.unique(stack[test]).tolist()}
        guessed = np.array([guess[one] for one in stack[test].tolist()], np.int64)
        told += int((guessed != _NOTHING).sum())
        right += int((guessed == label[test]).sum())
    return told, right


def _learn(stacks: Sequence[Stack], stack: Array, label: Array) -> dict[str, tuple[float, int]]:
    """The frames that tell a span: how surely, and which."""
    counts: dict[str, dict[int, int]] = {}
    elsewhere = 1 - np.bincount(label) / max(1, len(label))  # by span, of a sample of which nothing is known
    pairs, number = np.unique(np.column_stack((stack, label)), axis=0, return_counts=True)
    for (one, span), times in zip(pairs.tolist(), number.tolist()):
        for frame in set(stacks[one]):
            by_span = counts.setdefault(frame, {})
            by_span[span] = by_span.get(span, 0) + times
    telling = {}
    for frame, by_span in counts.items():
        best = max(by_span, key=lambda span: (by_span[span], span))
        share = by_span[best] / (sum(by_span.values()) + _DOUBT)
        if 1 - share <= min(1 - _TELLING, _DOUBT_LEFT * elsewhere[best]):
            telling[frame] = (share, best)
    return telling


def _guess(frames: Stack, telling: dict[str, tuple[float, int]]) -> int:
    return max((telling[frame] for frame in frames if frame in telling), default=(0.0, _NOTHING))[1]


@dataclass(frozen=True)
class Shift:
    """Sample i was taken at stop i + ``shift``.

    Of ``told`` samples whose stack tells a span, the share ``agrees`` is in it; at the next best
    shift the share ``next_best`` of them would be.
    """

    shift: int
    told: int
    agrees: float
    next_best: float

    @property
    def holds(self) -> bool:
        """Whether the times may be used."""
        return self.told >= FEW and self.agrees >= ENOUGH

    @property
    def ambiguous(self) -> bool:
        """Whether another shift fits nearly as well, because the spans are long."""
        return self.next_best > 0.9 * self.agrees


def find_shift(stacks: Sequence[Stack], stack: Array, stop_ns: Array, spans: NamedSpans, expected: int = 1) -> Shift:
    """The shift at which most stacks tell the span that was open; ``expected`` where several do."""
    scores: dict[int, tuple[int, int]] = {}
    for shift in SHIFTS:
        index = np.arange(len(stack)) + shift
        inside = (index >= 0) & (index < len(stop_ns))
        scores[shift] = agreement(stacks, stack[inside], spans.labels(stop_ns[index[inside]]))
    best = max(scores, key=lambda shift: (scores[shift][1], shift == expected))
    if scores[expected][1] > 0.98 * scores[best][1]:
        best = expected
    told, right = scores[best]
    others = max(scores[shift][1] for shift in scores if shift != best)
    return Shift(best, told, right / max(1, told), others / max(1, told))
