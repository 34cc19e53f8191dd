"""Names of an export: ids of StringIds become dictionary-encoded columns without a string per row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from ...dataset.dictionary_columns import coded, encoded
from .source import NULL, ExportSource, Ints, Query


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
