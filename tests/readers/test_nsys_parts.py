"""The parts that the reader is made of, against plain ways to do the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.nsys_reader import make_export
from motrace.dataset.dictionary_columns import coded, encoded
from motrace.readers.nsys.correlation import Pairs
from motrace.readers.nsys.source import NULL
from tests.conftest import ROOT

IDS = st.one_of(st.integers(0, 5), st.integers(0, 2**20), st.integers(-(2**62), 2**62))
ROWS = st.lists(st.tuples(st.integers(0, 3), IDS, st.integers(-(2**62), 2**62), st.integers(0, 2**40)), max_size=40)


def array(values: object) -> np.ndarray:
    return np.array(values, np.int64)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, max_size=3), st.lists(st.tuples(st.integers(0, 3), IDS), max_size=20))
def test_pairs_are_a_dictionary(puts: list[list[tuple[int, int, int, int]]], asked: list[tuple[int, int]]) -> None:
    pairs = Pairs(Path(tempfile.gettempdir()))
    known: dict[tuple[int, int], tuple[int, int]] = {}
    for rows in puts:
        if rows:
            pairs.put(*(array(column) for column in zip(*rows)))
        known |= {(owner, id): (first, second) for owner, id, first, second in rows if 0 <= id < 2**40}
    asked = [*asked, *known]
    if asked:
        first, second = pairs.get(*(array(column) for column in zip(*asked)))
        expected = [known.get(key, (NULL, NULL)) for key in asked]
        assert list(zip(first.tolist(), second.tolist())) == expected
    pairs.close()


def test_pairs_that_find_no_room_are_counted(tmp_path: Path) -> None:
    pairs = Pairs(tmp_path)
    count = 5000
    ids = np.arange(count, dtype=np.int64) << 16  # each in a block of its own
    zeros = np.zeros(count, np.int64)
    pairs.put(zeros, ids, ids, zeros)
    first, _ = pairs.get(zeros, ids)
    assert pairs.lost == (first == NULL).sum() == count - 4096
    pairs.close()


@given(st.lists(st.one_of(st.integers(0, 9), st.integers(-(2**63), 2**63 - 1))))
def test_codes(values: list[int]) -> None:
    codes, distinct = coded(array(values))
    assert distinct[codes].tolist() == values
    assert distinct.tolist() == sorted(set(values))


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc")), min_size=1), st.data())
def test_words(words: list[str | None], data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, len(words) - 1)))
    column = encoded(array(codes), words)
    assert column.to_pylist() == [words[code] for code in codes]
    assert len(set(column.dictionary.to_pylist())) == len(column.dictionary)  # pandas takes no others


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Three times the events would take over 100 MB more if they were held."""
    peaks = []
    for rows in (1_000_000, 3_000_000):
        path = tmp_path / "made.sqlite"
        make_export(path, rows)
        command = (sys.executable, "-m", "benchmarks.nsys_reader", "--child", str(path))
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ)
        found = json.loads(done.stdout)
        assert found["rows"] == rows
        peaks.append(found["peak_mb"])
        path.unlink()
    assert peaks[1] - peaks[0] < 60, peaks
