"""Ranges projected onto the GPU, against the definition tried pair by pair."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motrace.timeline.projection import project

TIME = st.integers(0, 30)
RANGES = st.lists(st.tuples(st.integers(1, 2), TIME, TIME), max_size=12)
OPS = st.lists(st.tuples(st.integers(1, 3), TIME, TIME, TIME, TIME), max_size=12)


def columns(rows: list[tuple[int, ...]], count: int) -> list[np.ndarray]:
    return [np.array(column, np.int64) for column in zip(*rows)] if rows else [np.empty(0, np.int64)] * count


@settings(max_examples=300, deadline=None)
@given(RANGES, OPS)
def test_equals_the_definition(ranges: list[tuple[int, ...]], ops: list[tuple[int, ...]]) -> None:
    """Ranges of any kind: nested, overlapping, equal, without length."""
    ranges = [(thread, min(a, b), max(a, b)) for thread, a, b in ranges]
    ops = [(thread, min(a, b), max(a, b), min(c, d), max(c, d)) for thread, a, b, c, d in ops]
    thread, start, end = columns(ranges, 3)
    call_thread, call_start, call_end, op_start, op_end = columns(ops, 5)
    found = project(thread, start, end, (call_thread, call_start, call_end), op_start, op_end)
    for i, (of, begin, finish) in enumerate(ranges):
        inside = [op for op in ops if op[0] == of and begin <= op[1] and finish >= op[2]]
        assert found.ops[i] == len(inside)
        assert found.busy_ns[i] == sum(op[4] - op[3] for op in inside)
        assert found.start_ns[i] == min((op[3] for op in inside), default=0)
        assert found.end_ns[i] == max((op[4] for op in inside), default=0)


def test_many_siblings_are_one_layer() -> None:
    """A million ranges that touch take no million layers."""
    count = 200_000
    start = np.arange(count, dtype=np.int64) * 10
    zeros = np.zeros(count, np.int64)
    found = project(zeros, start, start + 10, (zeros, start + 1, start + 2), start + 5, start + 30)
    assert (found.ops == 1).all()
    assert (found.end_ns - found.start_ns == 25).all()
