"""Span logs (``spans-<pid>-<tid>.bin``) as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..arrays import Array
from ..errors import MotraceError
from ..record.spans import DEFINITION, END, KIND_FRAME, KIND_ROLE, KIND_SPAN, NAME_ID_MASK, RECORD_WORDS, START, WHAT
from ..record.wordlog import (
    CREATED_NS,
    CREATED_UTC_NS,
    DROPPED,
    DROPPED_WHY,
    FLAGS,
    FORMAT,
    HEADER_WORDS,
    HOMELESS,
    HOMELESS_WHY,
    MAGIC,
    MAGIC_SPANS,
    NAME,
    NAME_BYTES,
    PID,
    TID,
    VERSION,
)

WORD = 8
AGE_NS = 10**9 * 3600 * 24 * 366  # no recording is longer than a year


def read_words(path: Path, magic: int, kind: str, versions: tuple[int, ...] = (VERSION,)) -> Array:
    """The words of a log of ours, header included. Raises MotraceError where it is something else."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror}") from error
    words = np.frombuffer(data[: len(data) // WORD * WORD], np.int64)
    if len(words) < HEADER_WORDS:
        raise MotraceError(f"{path.name} is cut off in its header ({len(data)} bytes): nothing in it can be read")
    if words[MAGIC] != magic:
        raise MotraceError(f"{path.name} is not a {kind} of motrace")
    if words[FORMAT] not in versions:
        raise MotraceError(
            f"{path.name} has format {words[FORMAT]}, this motrace reads {versions[-1]}: use the motrace that wrote it"
        )
    return words


def lost_records(words: Array) -> dict[int, int]:
    """How many records a log's header counts as lost, by the errno that says why (0: not known)."""
    lost: dict[int, int] = {}
    for count, why in ((DROPPED, DROPPED_WHY), (HOMELESS, HOMELESS_WHY)):
        if words[count] > 0:
            lost[int(words[why])] = lost.get(int(words[why]), 0) + int(words[count])
    return lost


def parse_records(words: Array) -> tuple[Array, dict[int, str], int]:
    """Records (n, 4), names by id, and how many words were consumed, from words after the header."""
    rows = words[: len(words) // RECORD_WORDS * RECORD_WORDS].reshape(-1, RECORD_WORDS)
    kept: list[Array] = []
    names: dict[int, str] = {}
    position = 0
    while position < len(rows):
        special = np.flatnonzero(rows[position:, START] <= 0)
        stop = position + int(special[0]) if len(special) else len(rows)
        kept.append(rows[position:stop])
        position = stop
        if stop == len(rows) or rows[stop, START] != DEFINITION:
            break
        length = int(rows[stop, END])
        body = -(-length // (WORD * RECORD_WORDS))
        if length < 0 or stop + 1 + body > len(rows):
            break  # damaged, or cut off
        raw = rows[stop + 1 : stop + 1 + body].tobytes()[:length]
        name = raw.decode(errors="replace").replace("\0", "")  # NumPy takes strings that differ in it for equal
        names[int(rows[stop, WHAT])] = name or "?"
        position = stop + 1 + body
    records = np.concatenate(kept) if kept else np.empty((0, RECORD_WORDS), np.int64)
    return records, names, position * RECORD_WORDS


def sound_records(records: Array, created_ns: int) -> int:
    """How many records from the first on make sense: in order of begin, not from another age, ends after begins."""
    if not len(records):
        return 0
    start, end = records[:, START], records[:, END]
    begins_ok = (start >= created_ns - AGE_NS) & (start <= created_ns + AGE_NS)
    ends_ok = (end == 0) | ((end >= start) & (end <= created_ns + AGE_NS))
    kind_ok = (records[:, WHAT] >= 0) & (records[:, WHAT] <= KIND_ROLE | NAME_ID_MASK)
    order_ok = np.concatenate(([True], start[1:] >= start[:-1]))
    wrong = np.flatnonzero(~(begins_ok & ends_ok & kind_ok & order_ok))
    return int(wrong[0]) if len(wrong) else len(records)


@dataclass
class SpanLogFile:
    """One thread's span log. ``records`` is (n, 4): kind and name id, start_ns, end_ns, value.

    ``damaged`` records at the end make no sense and were left out. ``dropped`` records could not be kept; ``lost``
    counts these, and those of threads without a log, by the errno that says why.
    """

    path: Path
    pid: int
    tid: int
    thread_name: str
    created_ns: int
    created_utc_ns: int
    dropped: int
    records: Array
    damaged: int
    names: dict[int, str] = field(repr=False)
    lost: dict[int, int] = field(default_factory=dict)
    ended: int = 0  # STOPPED or CRASHED, in the log of the thread that began the recording

    @classmethod
    def read(cls, path: Path) -> SpanLogFile:
        """Read a log, up to where it was written or cut off. Raises MotraceError."""
        words = read_words(path, MAGIC_SPANS, "span log")
        records, names, _ = parse_records(words[HEADER_WORDS:])
        sound = sound_records(records, int(words[CREATED_NS]))
        return cls(
            path=path,
            pid=int(words[PID]),
            tid=int(words[TID]),
            thread_name=words[NAME : NAME + NAME_BYTES // WORD].tobytes().rstrip(b"\0").decode(errors="replace"),
            created_ns=int(words[CREATED_NS]),
            created_utc_ns=int(words[CREATED_UTC_NS]),
            dropped=int(words[DROPPED]),
            records=records[:sound],
            damaged=len(records) - sound,
            names=names,
            lost=lost_records(words),
            ended=int(words[FLAGS]),
        )

    def of_kind(self, *kinds: int) -> Array:
        """The records of some kinds."""
        return self.records[np.isin(self.records[:, WHAT] & ~NAME_ID_MASK, kinds)]

    def open_names(self) -> list[str]:
        """Names of the spans that are open at the end of the log, the outermost first."""
        spans = self.of_kind(KIND_SPAN, KIND_FRAME)
        return [self.names.get(int(what) & NAME_ID_MASK, "?") for what in spans[spans[:, END] == 0, WHAT]]
