"""Follows a run through its span log while it runs: costs the measured process nothing."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ..record.spans import KIND_FRAME, NAME_ID_MASK, RECORD_WORDS, WHAT
from ..record.wordlog import HEADER_WORDS
from .spans import WORD, SpanLogFile, parse_records


class SpanTail:
    """Reads what a process adds to the log of its main thread."""

    def __init__(self, run_dir: Path, pid: int) -> None:
        self._path = run_dir / f"spans-{pid}-{pid}.bin"
        self._word = HEADER_WORDS
        self._changed = time.monotonic()
        self.frames = 0

    def update(self) -> int:
        """Read on; returns how many frames have begun."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._word * WORD)
                data = file.read()
        except OSError:  # not there yet, or gone
            return self.frames
        words = np.frombuffer(data[: len(data) // WORD * WORD], np.int64)
        records, _, consumed = parse_records(words[: len(words) // RECORD_WORDS * RECORD_WORDS])
        if consumed:
            self._changed = time.monotonic()
            self._word += consumed
            self.frames += int(((records[:, WHAT] & ~NAME_ID_MASK) == KIND_FRAME).sum())
        return self.frames

    def idle_s(self) -> float:
        """Seconds since the last new record."""
        return time.monotonic() - self._changed

    def where(self) -> str:
        """Which span is open now, for a message."""
        open_spans = SpanLogFile.read(self._path).open_names() if self._path.exists() else []
        return f" (open: {' > '.join(open_spans)})" if open_spans else ""

    def has_log(self) -> bool:
        """Whether the process records spans."""
        return self._path.exists()
