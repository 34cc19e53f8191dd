"""Columns of words, dictionary-encoded: a code in each row, each word once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..arrays import Ints


def constant(value: str, rows: int) -> pa.DictionaryArray:
    """A column that says the same in every row."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.string()))


def encoded(codes: Ints, words: Sequence[str | None]) -> pa.DictionaryArray:
    """``words[codes]`` as a dictionary-encoded column; equal words share a code, None is null."""
    places: dict[str, int] = {}
    table = np.array([-1 if word is None else places.setdefault(word, len(places)) for word in words], np.int32)
    found = table[codes] if len(table) else np.full(len(codes), -1, np.int32)
    missing = found < 0
    indices = pa.array(found, mask=missing) if missing.any() else pa.array(found)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(places), pa.string()))


def coded(values: Ints) -> tuple[Ints, Ints]:
    """Codes of values, and the distinct values in ascending order: ``distinct[codes] == values``.

    Quick where the values are few or lie close together, as ids do.
    """
    if not len(values):
        return np.empty(0, np.int64), values
    low, high = int(values.min()), int(values.max())
    if high - low >= 4 * len(values) + 1024:
        distinct, codes = np.unique(values, return_inverse=True)
        return codes, distinct
    offsets = values - low
    seen = np.zeros(high - low + 1, bool)
    seen[offsets] = True
    distinct = np.flatnonzero(seen)
    places = np.empty(high - low + 1, np.int64)
    places[distinct] = np.arange(len(distinct))
    return places[offsets], distinct + low
