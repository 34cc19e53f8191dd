"""Samples of the loop thread's stacks, counted by the phase in which they were taken."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from ..arrays import Array
from ..attribution.pieces import Pieces
from .classify import classify
from .shares import count_by_kind


def count_by_phase(
    t_ns: Array, stack_id: Array, stacks: pa.Table, pieces: Pieces, segments: tuple[int, ...]
) -> dict[str, Counter[str]]:
    """For each phase, samples by class (``stacks.classify``).

    ``t_ns`` and ``stack_id`` are parallel. Samples outside the pieces, or in pieces of
    other ``segments`` (indices), are left out: start-up is made of other things than the loop.
    """
    piece = np.searchsorted(pieces.start_ns, t_ns, side="right") - 1
    inside = (piece >= 0) & (t_ns < pieces.end_ns[-1])
    inside[inside] &= np.isin(pieces.segment[piece[inside]], segments)
    frames = dict(zip(stacks.column("stack_id").to_pylist(), stacks.column("frames").to_pylist()))
    classes = {number: classify(frames[number]) for number in np.unique(stack_id[inside]).tolist()}
    kinds = [pieces.phase[row] for row in piece[inside].tolist()]
    return count_by_kind(kinds, [classes[number] for number in stack_id[inside].tolist()])
