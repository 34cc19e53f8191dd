"""Whether samples are in the right places, for programs whose spans say little: one kind of them, or few samples."""

from __future__ import annotations

import numpy as np
import pytest

from motrace.dataset.ranges import Ranges
from motrace.readers.pyspy.align import Shift, find_shift

MS = 1_000_000
STACKS = [("main (a.py:3)", "work (a.py:9)"), ("main (a.py:4)",)]


def placed(inside_ms: int, outside_ms: int, samples: int, shift: int, wrong: int = 0) -> Shift:
    """What is found for a loop with one kind of span; ``wrong`` samples have the stack of another place."""
    rng = np.random.default_rng(20261125)
    stops = np.cumsum(rng.exponential(5 * MS, samples + 8)).astype(np.int64)
    period = (inside_ms + outside_ms) * MS
    start = np.arange(0, stops[-1], period)
    spans = Ranges(np.full(len(start), "step"), start, start + inside_ms * MS)
    stack = np.where(spans.labels(stops[shift : shift + samples]) == 0, 0, 1)
    odd = rng.choice(samples, wrong, replace=False)
    stack[odd] = 1 - stack[odd]
    return find_shift(STACKS, stack, stops, spans)


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_one_kind_of_span_is_told_from_what_lies_between(shift: int) -> None:
    found = placed(10, 6, 600, shift)
    assert found.holds and found.shift == shift and found.judged > 500
    assert not placed(10, 6, 600, shift, wrong=250).holds


def test_a_program_that_is_in_one_span_nearly_all_the_time_keeps_its_samples() -> None:
    found = placed(400, 1, 200, 1)
    assert found.holds and found.ambiguous and found.judged == 0 and found.shift == 1
    elsewhere = Ranges(np.array(["step"]), np.array([10**15]), np.array([10**15 + 1]))
    assert not find_shift(STACKS, np.zeros(100, int), np.arange(104), elsewhere).holds, "no sample is in a span"


def test_few_samples_count_if_all_of_them_are_in_their_span() -> None:
    found = placed(25, 25, 36, 1)
    assert found.holds and found.shift == 1 and 10 <= found.judged < 40
    assert not placed(25, 25, 36, 1, wrong=4).holds
