"""Time by name straight from an export: of ranges, calls and GPU operations; nothing is converted or written.

What ``nsys stats`` tells in its reports nvtxsum, cudaapisum, osrtsum, vulkanapisum, gpukernsum (by name
alone, as the versions from 2023 on) and gpumemtimesum. Only the columns that this takes are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...dataset.dictionary_columns import coded, encoded
from ...dataset.tables import RunKey
from .calls import APIS, OPS, Api, OpsTable, op_names
from .enums import NVTX_KINDS, NVTX_MARK, api_name
from .extent import recording_end
from .nvtx import TABLE as NVTX
from .nvtx import Labels, labels, range_names
from .placement import SAY, Context, Keep
from .source import NULL, Batch, Ints, Query
from .stream import results
from .trace import NsysTrace, pid_of

SCHEMA = pa.schema(
    [
        ("summary", pa.string()),
        ("kind", pa.string()),
        ("name", pa.string()),
        ("count", pa.int64()),
        *((f"{what}_ns", pa.int64()) for what in ("total", "min", "max")),
        *((f"{what}_ns", pa.float64()) for what in ("mean", "median", "std")),
        ("share", pa.float64()),
    ]
)
"""``summary`` is nvtx, cuda, osrt, vulkan or gpu; ``kind`` is range or start_end, call, or the kind of GPU
operation. ``share`` is the part of the total time of the same summary (of the same kind, on the GPU)."""
SUMMARIES = ("nvtx", *(api.api for api in APIS), "gpu")

_Sums = tuple[str, int, int, int, int, float, float, float]
_Part = tuple[list[str], Ints, Ints]  # distinct names, and code and length of each row


def summaries(trace: NsysTrace, wanted: tuple[str, ...] = SUMMARIES) -> pa.Table:
    """Number, total, mean, median, least, most and standard deviation of durations, by name: ``SCHEMA``.

    Covers all processes and the whole recording, longest total first in each summary. Takes 12 to 30 bytes of
    memory a row, since medians need all lengths. What is damaged becomes one of the trace's warnings.
    """
    context = Context(trace, RunKey("", ""), lambda times: times, end_ns=recording_end(trace))
    rows = []
    with ThreadPoolExecutor(1) as pool:  # sorts a table while the next is read
        sources = _sources(context, wanted)
        futures = [(summary, kind, pool.submit(_statistics, *_gathered(parts))) for summary, kind, parts in sources]
    for summary, kind, future in futures:
        found = future.result()
        whole = sum(row[2] for row in found)
        found.sort(key=lambda row: (-row[2], row[0]))
        rows += [(summary, kind, *row, row[2] / whole if whole else 0.0) for row in found]
    for (table, problem), number in sorted(context.problems.items()):
        trace.warn(f"{table}: {number} {SAY[problem]}")
    return pa.table([pa.array(column) for column in zip(*rows)] or [[]] * len(SCHEMA), schema=SCHEMA)


def _sources(context: Context, wanted: tuple[str, ...]) -> Iterator[tuple[str, str, Iterator[_Part]]]:
    """(summary, kind, its rows) for all that is wanted and there."""
    trace = context.trace
    if "nvtx" in wanted and NVTX in trace.tables:
        known = labels(trace)
        for kind in dict.fromkeys(kind for number, kind in NVTX_KINDS.items() if number != NVTX_MARK):
            yield "nvtx", kind, _ranges(context, known, kind)
    for api in APIS:
        if api.api in wanted:
            yield api.api, "call", _calls(context, api)
    for kind in dict.fromkeys(ops.kind for ops in OPS) if "gpu" in wanted else ():
        same = [ops for ops in OPS if ops.kind == kind]
        yield "gpu", kind, (part for ops in same for part in _operations(context, ops))


def _ranges(context: Context, known: Labels, kind: str) -> Iterator[_Part]:
    among = {"eventType": tuple(number for number, what in NVTX_KINDS.items() if what == kind)}
    query = Query(NVTX, ("start", "end", "globalTid", "domainId", "textId"), ("text",), among=among)
    end_ns = context.end_ns

    def part(batch: Batch) -> _Part:
        ends = batch["end"]
        if end_ns is not None:  # never closed
            ends = np.where(ends == NULL, np.maximum(end_ns, batch["start"]), ends)
        return _part(context, NVTX, batch["start"], ends, lambda keep: _in_domains(context, known, batch, keep))

    return results(context.trace, query, part)


def _in_domains(context: Context, known: Labels, batch: Batch, keep: Keep) -> pa.DictionaryArray:
    """Names of ranges, those of a named domain as ``domain:name``."""
    names = range_names(context.trace.strings, batch.texts["text"], batch["textId"], keep)
    owner, domain = batch["globalTid"][keep], batch["domainId"][keep]
    pid = np.where(owner == NULL, 0, pid_of(owner))
    domain = np.where(domain == NULL, 0, domain)
    if not domain.any():
        return names
    pid_codes, pids = coded(pid)
    domain_codes, domains = coded(domain)
    words = names.dictionary.to_pylist()
    name_codes = names.indices.to_numpy(zero_copy_only=False)
    codes, distinct = coded((pid_codes * len(domains) + domain_codes) * len(words) + name_codes)
    said = []
    for place, word in zip(*np.divmod(distinct, len(words))):
        of_pid, of_domain = divmod(int(place), len(domains))
        named = known.domain_name(int(pids[of_pid]), int(domains[of_domain]))
        said.append(f"{named}:{words[word]}" if named else words[word])
    return encoded(codes, said)


def _calls(context: Context, api: Api) -> Iterator[_Part]:
    query = Query(api.table, ("start", "end", "nameId"), among={"eventClass": api.classes})
    change = api_name if api.api == "cuda" else str

    def part(batch: Batch) -> _Part:
        return _part(
            context, api.table, batch["start"], batch["end"],
            lambda keep: context.trace.strings.column(batch["nameId"][keep], change, otherwise=""),
        )  # fmt: skip

    return results(context.trace, query, part)


def _operations(context: Context, ops: OpsTable) -> Iterator[_Part]:
    query = Query(ops.table, ("start", "end"), first={"name": ops.names} if ops.names else {})

    def part(batch: Batch) -> _Part:
        return _part(
            context, ops.table, batch["start"], batch["end"],
            lambda keep: op_names(context, ops, batch, keep),
        )  # fmt: skip

    return results(context.trace, query, part)


def _part(context: Context, table: str, start: Ints, end: Ints, name: Callable[[Keep], pa.DictionaryArray]) -> _Part:
    """Names and lengths of a batch; rows without a usable time are counted and left out."""
    good = context.timed(table, start, end)
    keep: Keep = slice(None) if good.all() else good
    start, end = start[keep], end[keep]
    end = np.where(end == NULL, start, end)
    names = name(keep)
    words = ["" if word is None else str(word) for word in names.dictionary.to_pylist()]
    indices = pc.fill_null(names.indices, len(words)) if names.null_count else names.indices
    return [*words, ""], np.asarray(indices.to_numpy(zero_copy_only=False), np.int64), end - start


def _gathered(parts: Iterator[_Part]) -> tuple[list[str], list[np.ndarray[Any, np.dtype[np.int32]]], list[Ints]]:
    """All names, and code and length of each row, in batches."""
    places: dict[str, int] = {}
    codes: list[np.ndarray[Any, np.dtype[np.int32]]] = []
    lengths: list[Ints] = []
    for words, local, length in parts:
        place = np.array([places.setdefault(word, len(places)) for word in words], np.int32)
        codes.append(place[local])
        lengths.append(length)
    return list(places), codes, lengths


def _statistics(names: list[str], codes: list[np.ndarray[Any, np.dtype[np.int32]]], lengths: list[Ints]) -> list[_Sums]:
    """(name, count, total, least, most, mean, median, standard deviation) of each name that occurs."""
    if not sum(map(len, lengths)):
        return []
    code, length = _sorted(codes, lengths, len(names))
    begins = np.flatnonzero(np.concatenate(([True], code[1:] != code[:-1])))
    counts = np.diff(np.append(begins, len(code)))
    totals = np.add.reduceat(length, begins)
    means = totals / counts
    squares = np.add.reduceat(np.square(length - np.repeat(means, counts)), begins)
    deviations = np.sqrt(squares / np.maximum(counts - 1, 1))
    medians = (length[begins + (counts - 1) // 2] + length[begins + counts // 2]) / 2
    columns = (counts, totals, length[begins], length[begins + counts - 1], means, medians, deviations)
    return [
        (names[which], *row) for which, *row in zip(code[begins].tolist(), *(column.tolist() for column in columns))
    ]


def _sorted(codes: list[np.ndarray[Any, np.dtype[np.int32]]], lengths: list[Ints], names: int) -> tuple[Ints, Ints]:
    """Codes and lengths of all rows in order of both; the lists are emptied."""
    bits = max(int(length.max(initial=0)) for length in lengths).bit_length()
    if bits + names.bit_length() < 63:  # one number for both sorts several times as quickly
        keys = np.concatenate([(code.astype(np.int64) << bits) | length for code, length in zip(codes, lengths)])
        codes.clear()
        lengths.clear()
        keys.sort()
        return keys >> bits, keys & ((1 << bits) - 1)
    code, length = np.concatenate(codes).astype(np.int64), np.concatenate(lengths)
    order = np.lexsort((length, code))
    return code[order], length[order]
