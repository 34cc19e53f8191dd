"""NVTX_EVENTS -> ``nvtx``: ranges and marks, with the names of their domains and categories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...dataset.dictionary_columns import coded, encoded
from .enums import NVTX_CATEGORY, NVTX_DOMAIN, NVTX_KINDS
from .placement import Context, Keep, PlacedColumn
from .source import NULL, Batch, Ints, Query, rows_of
from .strings import Strings
from .trace import NsysTrace, pid_of, tid_of

TABLE = "NVTX_EVENTS"
_PAYLOADS = ("int64Value", "uint64Value", "int32Value", "uint32Value")
_MOST_NAMES = 1 << 20


@dataclass(frozen=True)
class Labels:
    """Names by (pid, domain id), and by (pid, domain id, category): both are numbered per process."""

    domains: dict[tuple[int, int], str]
    categories: dict[tuple[int, int, int], str]

    def domain_name(self, pid: int, domain: int) -> str:
        """A domain's name; empty for the default one."""
        return self.domains.get((pid, domain), f"domain {domain}" if domain else "")


def labels(trace: NsysTrace) -> Labels:
    """Read the names of domains and categories. Raises what reading a damaged file raises."""
    query = Query(
        TABLE,
        ints=("eventType", "globalTid", "domainId", "category", "textId"),
        texts=("text",),
        among={"eventType": (NVTX_CATEGORY, NVTX_DOMAIN)},
    )
    found = Labels({}, {})
    if "eventType" not in trace.tables.get(TABLE, ()):
        return found
    for (kind, owner, domain, category, text_id), (text,) in rows_of(trace.source, query, _MOST_NAMES):
        name = text if text is not None else trace.strings.texts(np.array([NULL if text_id is None else text_id]))[0]
        key = (pid_of(owner or 0), domain or 0)
        if name is not None and kind == NVTX_DOMAIN:
            found.domains[key] = name
        elif name is not None and kind == NVTX_CATEGORY and category is not None:
            found.categories[key[0], key[1], category] = name
    return found


def query(trace: NsysTrace, known: Labels, domain: str | None = None) -> Query:
    """What to read of NVTX_EVENTS; ``domain`` leaves out others, as far as their numbers differ."""
    among: dict[str, tuple[int, ...]] = {"eventType": tuple(NVTX_KINDS)}
    if domain:
        among["domainId"] = tuple(sorted({id for (_, id), name in known.domains.items() if name == domain})) or (-1,)
    ints = ("start", "end", "eventType", "globalTid", "endGlobalTid", "textId", "domainId", "category")
    return Query(TABLE, ints=ints, texts=("text",), first={"payload": _PAYLOADS}, among=among)


def range_names(strings: Strings, text: pa.Array, text_id: Ints, keep: Keep) -> pa.DictionaryArray:
    """Names of the events of a batch that ``keep`` picks: the inline text, else the registered string."""
    if not isinstance(keep, slice):
        text = text.filter(pa.array(keep))
    registered = strings.column(text_id[keep], otherwise="")
    if text.null_count == len(text):
        return registered
    if text.null_count:
        text = pc.coalesce(text, registered.cast(pa.string()))
    return text.dictionary_encode()


class NvtxConverter:
    """Turns batches of NVTX_EVENTS into rows of ``nvtx``."""

    def __init__(self, context: Context, known: Labels, domain: str | None = None) -> None:
        self._context = context
        self._known = known
        self._domain = domain
        self._strings: Strings = context.trace.strings
        self._end = context.end_ns

    def __call__(self, batch: Batch) -> pa.Table | None:
        """Rows of the batch that count; None if there are none."""
        is_mark = np.isin(batch["eventType"], [kind for kind, what in NVTX_KINDS.items() if what == "mark"])
        open_at = np.maximum(self._end if self._end is not None else NULL, batch["start"])
        stops = self._context.trace.duration_ns  # a push that was never popped is written with this end
        never = (batch["end"] == NULL) | ((batch["end"] == stops) if stops is not None else False)
        batch.ints["close"] = np.where(
            is_mark, batch["start"], np.where(batch["end"] == NULL, open_at, batch["end"])
        )  # fmt: skip
        placed = self._context.in_window(self._context.place(TABLE, batch, end="close"))
        columns = self._columns(batch, placed.keep)
        columns |= {"pid": placed.pid, "tid": placed.tid, "start_ns": placed.start_ns, "end_ns": placed.end_ns}
        columns["closed"] = pa.array((is_mark | ~never)[placed.keep])
        table = self._context.table("nvtx", columns, len(placed))
        if self._domain is not None and len(placed):
            table = table.filter(pc.equal(table.column("domain").cast(pa.string()), self._domain))
        return table if table.num_rows else None

    def _columns(self, batch: Batch, keep: Keep) -> dict[str, PlacedColumn]:
        owner = batch["globalTid"][keep]
        other = batch["endGlobalTid"][keep]
        kinds = np.full(len(owner), 0)
        names = list(dict.fromkeys(NVTX_KINDS.values()))
        for number, kind in NVTX_KINDS.items():
            kinds[batch["eventType"][keep] == number] = names.index(kind)
        pid = np.where(owner == NULL, 0, pid_of(owner))
        domain = np.where(batch["domainId"][keep] == NULL, 0, batch["domainId"][keep])
        category = batch["category"][keep]
        return {
            "end_tid": np.where((other == NULL) | (other == owner), NULL, tid_of(other)),
            "domain": self._named(self._known.domain_name, pid, domain),
            "category": self._named(self._category_name, pid, domain, np.where(category == NULL, 0, category)),
            "name": range_names(self._strings, batch.texts["text"], batch["textId"], keep),
            "kind": encoded(kinds, names),
            "payload": batch["payload"][keep],
        }

    def _named(self, name: Callable[..., str | None], *keys: Ints) -> pa.DictionaryArray:
        """A column of names of combinations of numbers, of which there are few."""
        if not len(keys[0]):
            return encoded(np.empty(0, np.int64), [])
        codes = np.zeros(len(keys[0]), np.int64)
        for key in keys:
            key_codes, distinct = coded(key)
            codes = codes * len(distinct) + key_codes
        codes, combinations = coded(codes)
        where = np.empty(len(combinations), np.int64)
        where[codes] = np.arange(len(codes))  # a row of each combination
        return encoded(codes, [name(*row) for row in zip(*(key[where].tolist() for key in keys), strict=True)])

    def _category_name(self, pid: int, domain: int, category: int) -> str | None:
        return self._known.categories.get((pid, domain, category), str(category) if category else None)
