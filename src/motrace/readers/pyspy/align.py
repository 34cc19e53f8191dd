"""Whether samples are in the right places: do their stacks identify the span in which each was taken?

Learnt from one half of the samples: which frames (with their lines) identify a span, because nearly all
samples that have them lie in one kind of it, and far more of them than of all samples (where a
program spends 93 % of its time in one span, ``main`` is there in 93 % of its samples, and
identifies nothing). Counted in the other half: how often they identify the right one. If the times are right
nearly all do; if they are off by one sample few frames identify a span, and it is often
wrong. Samples without such a frame (a helper that several spans call) are not counted.

Where all spans are of one kind, what lies between them counts as another. Where nearly all samples lie in one kind,
whatever the shift, no frame can identify it, and none has to: their places are right all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import Array
from ...dataset.ranges import Ranges
from .frames import StackNames

SHIFTS = range(-2, 4)
ENOUGH = 0.95
FEW = 40
FEWER = 10
"""Between so many and FEW samples that identify a span, all must be in it."""
_IDENTIFIES = 0.9  # of a frame's samples, this share lies in one span
_DOUBT_LEFT = 0.3  # of the doubt without any frame, at most so much is left: else the frame is merely common
_NOTHING = -2
_DOUBT = 0.5  # samples that every frame is thought to have elsewhere: rare frames identify nothing


def agreement(stacks: Sequence[StackNames], stack: Array, label: Array) -> tuple[int, int]:
    """How many samples have a frame that identifies a span, and in how many it is the right one."""
    if (label > 0).any():  # outside all spans there is no span to identify
        stack, label = stack[label >= 0], label[label >= 0]
    else:
        label = label + 1
    half = np.arange(len(stack)) % 2
    judged = right = 0
    for learn in (0, 1):
        known, test = half == learn, half != learn
        identifying = _learn(stacks, stack[known], label[known])
        guess = {one: _guess(stacks[one], identifying) for one in np.unique(stack[test]).tolist()}
        guessed = np.array([guess[one] for one in stack[test].tolist()], np.int64)
        judged += int((guessed != _NOTHING).sum())
        right += int((guessed == label[test]).sum())
    return judged, right


def _learn(stacks: Sequence[StackNames], stack: Array, label: Array) -> dict[str, tuple[float, int]]:
    """The frames that identify a span: how surely, and which."""
    counts: dict[str, dict[int, int]] = {}
    elsewhere = 1 - np.bincount(label) / max(1, len(label))  # by span, of a sample of which nothing is known
    pairs, number = np.unique(np.column_stack((stack, label)), axis=0, return_counts=True)
    for (one, span), times in zip(pairs.tolist(), number.tolist()):
        for frame in set(stacks[one]):
            by_span = counts.setdefault(frame, {})
            by_span[span] = by_span.get(span, 0) + times
    identifying = {}
    for frame, by_span in counts.items():
        best = max(by_span, key=lambda span: (by_span[span], span))
        share = by_span[best] / (sum(by_span.values()) + _DOUBT)
        if 1 - share <= min(1 - _IDENTIFIES, _DOUBT_LEFT * elsewhere[best]):
            identifying[frame] = (share, best)
    return identifying


def _guess(frames: StackNames, identifying: dict[str, tuple[float, int]]) -> int:
    return max((identifying[frame] for frame in frames if frame in identifying), default=(0.0, _NOTHING))[1]


@dataclass(frozen=True)
class Shift:
    """Sample i was taken at stop i + ``shift``.

    Of ``judged`` samples whose stack identifies a span, the share ``agrees`` is in it; at the next best
    shift the share ``next_best`` of them would be. ``one_kind``: the share of samples that the commonest span has.
    """

    shift: int
    judged: int
    agrees: float
    next_best: float
    one_kind: float

    @property
    def holds(self) -> bool:
        """Whether the times may be used."""
        identified = self.agrees >= ENOUGH if self.judged >= FEW else self.judged >= FEWER and self.agrees == 1
        return identified or self.one_kind >= ENOUGH

    @property
    def ambiguous(self) -> bool:
        """Whether another shift fits nearly as well, because the spans are long."""
        return self.next_best > 0.9 * self.agrees or not self.judged


def find_shift(stacks: Sequence[StackNames], stack: Array, stop_ns: Array, spans: Ranges, expected: int = 1) -> Shift:
    """The shift at which most stacks identify the span that was open; ``expected`` where several do."""
    scores: dict[int, tuple[int, int]] = {}
    one_kind = 0.0
    for shift in SHIFTS:
        index = np.arange(len(stack)) + shift
        inside = (index >= 0) & (index < len(stop_ns))
        labels = spans.labels(stop_ns[index[inside]])
        scores[shift] = agreement(stacks, stack[inside], labels)
        if shift == expected and len(labels):
            one_kind = float(np.bincount(labels + 1, minlength=2)[1:].max() / len(labels))
    best = max(scores, key=lambda shift: (scores[shift][1], shift == expected))
    if scores[expected][1] > 0.98 * scores[best][1]:
        best = expected
    judged, right = scores[best]
    others = max(scores[shift][1] for shift in scores if shift != best)
    return Shift(best, judged, right / max(1, judged), others / max(1, judged), one_kind)
