"""A loop on paper: what its thread does, piece by piece. Traces are written from it, and its times are the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .label import Holder


class Work(Enum):
    """What the loop thread does in a piece of its time."""

    PYTHON = "runs, without a call"
    LAUNCH = "launches tiny kernels, one after the other"
    KERNEL = "waits while its kernel runs"
    UPLOAD = "waits while its data go to the device"
    DOWNLOAD = "waits while its data come back"
    DRAW = "waits while the GPU draws"
    SLEEP = "sleeps while nothing runs"


HOLDERS = {
    Work.PYTHON: Holder.PYTHON, Work.LAUNCH: Holder.PYTHON, Work.KERNEL: Holder.GPU_COMPUTE,
    Work.UPLOAD: Holder.GPU_COPIES, Work.DOWNLOAD: Holder.GPU_COPIES, Work.DRAW: Holder.GPU_DRAWS,
    Work.SLEEP: Holder.SLEEP,
}  # fmt: skip


MOST_LAUNCHES = 150
"""So many launches are in a piece at most: a launch takes 15 us, or longer."""


@dataclass(frozen=True)
class Piece:
    """[start, end) of the loop thread, ns from the first iteration's start; ``iteration`` counts from 0."""

    work: Work
    start_ns: int
    end_ns: int
    iteration: int


@dataclass(frozen=True)
class Plan:
    """Pieces in order of time; ``edges`` are the iterations' begins and ends."""

    pieces: tuple[Piece, ...]
    edges: tuple[tuple[int, int], ...]

    @property
    def end_ns(self) -> int:
        """When the last iteration ends."""
        return self.edges[-1][1]

    def times(self) -> Counter[Holder]:
        """Planted time by who holds it."""
        found = Counter[Holder]()
        for piece in self.pieces:
            found[HOLDERS[piece.work]] += piece.end_ns - piece.start_ns
        return found

    def of(self, *works: Work) -> Iterator[Piece]:
        """The pieces of some kinds of work."""
        return (piece for piece in self.pieces if piece.work in works)


def draw_plan(random: np.random.Generator, planted: Work, others: tuple[Work, ...], share: float | None = None) -> Plan:
    """A loop in which ``planted`` takes ``share`` of the time (0.6 to 0.9 where it is not given)."""
    share = float(random.uniform(0.6, 0.9)) if share is None else share
    length = float(random.lognormal(np.log(30e6), 0.5))
    pieces: list[Piece] = []
    edges: list[tuple[int, int]] = []
    now = 0
    rest = [one for one in others if one is not planted]
    for iteration in range(int(random.integers(10, 30))):
        weights = random.dirichlet(np.full(len(rest), 3.0)) * (1 - share)
        whole = length * random.lognormal(0, 0.2)
        parts = [(planted, share * whole), *zip(rest, weights * whole)]
        random.shuffle(parts)  # type: ignore[arg-type]
        begin = now
        for work, ns in parts:
            end = now + max(20_000, round(ns))
            pieces.append(Piece(work, now, end, iteration))
            now = end
        edges.append((begin, now))
        now += int(random.integers(1_000, 20_000))
    return Plan(tuple(pieces), tuple(edges))
