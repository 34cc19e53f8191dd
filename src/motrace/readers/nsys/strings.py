"""Names of an export: ids of StringIds become dictionary-encoded columns without a string per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .source import NULL, ExportSource, Ints, Query

WORD = pa.dictionary(pa.int32(), pa.string())


def constant(value: str, rows: int) -> pa.DictionaryArray:
    """A column that says the same in every row."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.string()))


def encoded(codes: NDArray[np.integer], words: Sequence[str | None]) -> pa.DictionaryArray:
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


class Strings:
    """StringIds, held in memory once: as many as there are different names."""

    def __init__(self, source: ExportSource) -> None:
        """Read them. Raises what reading a damaged file raises."""
        ids: list[Ints] = []
        values: list[pa.Array] = []
        if "StringIds" in source.tables:
            for part in source.parts(Query("StringIds", ints=("id",), texts=("value",))):
                batch = part()
                ids.append(batch["id"])
                values.append(batch.texts["value"])
        all_ids = np.concatenate(ids) if ids else np.empty(0, np.int64)
        order = np.argsort(all_ids, kind="stable")
        self._ids = all_ids[order]
        self._values = pa.chunked_array(values, pa.string()).combine_chunks().take(pa.array(order)) if ids else None

    def __len__(self) -> int:
        return len(self._ids)

    def texts(self, ids: Ints) -> list[str | None]:
        """The string of each id: None for NULL, ``string#7`` for an id that the export does not hold."""
        if not len(self._ids) or self._values is None:
            return [None if id == NULL else f"string#{id}" for id in ids.tolist()]
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        found = self._ids[places] == ids
        texts = self._values.take(pa.array(places)).to_pylist()
        return [
            text if ok and text is not None else None if id == NULL else f"string#{id}"
            for text, ok, id in zip(texts, found.tolist(), ids.tolist(), strict=True)
        ]

    def column(
        self, ids: Ints, change: Callable[[str], str | None] = lambda text: text, otherwise: str | None = None
    ) -> pa.DictionaryArray:
        """The names of ids, each changed by ``change``; ``otherwise`` where the id is NULL."""
        codes, distinct = coded(ids)
        words = [otherwise if text is None else change(text) for text in self.texts(distinct)]
        return encoded(codes, words)
