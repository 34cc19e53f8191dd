"""Interval algebra against a bitmap, where every moment is a bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motrace.timeline.intervals import Intervals, any_of

HORIZON = 60
PAIRS = st.lists(st.tuples(st.integers(0, HORIZON), st.integers(0, HORIZON)), max_size=12)


def made(pairs: list[tuple[int, int]]) -> tuple[Intervals, np.ndarray[Any, Any]]:
    """A set, and the same as a bitmap."""
    bits = np.zeros(HORIZON, bool)
    for start, end in pairs:
        bits[start:end] = True
    start, end = np.array(pairs, np.int64).reshape(-1, 2).T
    return Intervals.union(start, end), bits


def same(intervals: Intervals, bits: np.ndarray[Any, Any]) -> None:
    intervals.self_check()
    seen = np.zeros(HORIZON, bool)
    for start, end in zip(intervals.start_ns, intervals.end_ns):
        seen[start:end] = True
    assert (seen == bits).all()
    assert intervals.total_ns == bits.sum()


@given(PAIRS, PAIRS, PAIRS)
def test_algebra(one: list[tuple[int, int]], two: list[tuple[int, int]], three: list[tuple[int, int]]) -> None:
    (a, bits_a), (b, bits_b), (c, bits_c) = made(one), made(two), made(three)
    same(a, bits_a)
    same(a | b, bits_a | bits_b)
    same(a & b, bits_a & bits_b)
    same(a - b, bits_a & ~bits_b)
    same(any_of([a, b, c]), bits_a | bits_b | bits_c)
    same(a.gaps(0, HORIZON), ~bits_a)


@given(PAIRS, st.integers(0, HORIZON), st.integers(0, HORIZON))
def test_clip_and_gaps_inside_a_window(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    (a, bits), window = made(pairs), np.zeros(HORIZON, bool)
    window[start:end] = True
    same(a.clip(start, end), bits & window)
    same(a.gaps(start, end), ~bits & window)


@given(PAIRS, st.lists(st.tuples(st.integers(-5, HORIZON + 5), st.integers(0, HORIZON)), min_size=1, max_size=8))
def test_length_within_windows(pairs: list[tuple[int, int]], windows: list[tuple[int, int]]) -> None:
    a, bits = made(pairs)
    starts = np.array([start for start, _ in windows])
    ends = starts + np.array([length for _, length in windows])
    expected = [bits[max(0, start) : max(0, end)].sum() for start, end in zip(starts, ends)]
    assert a.within(starts, ends).tolist() == expected
