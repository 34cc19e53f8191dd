"""The events of a Chrome trace one after the other, read in pieces: memory does not grow with the file.

Torch writes traces that are not JSON: what can be mended is, the rest is passed over up to the next event. All of it
is counted.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from ...errors import MotraceError
from ...output import JsonObject, JsonValue
from ..pieces import pieces
from .mend import BOUNDARY, Mend, Mends, mend

AHEAD = 1 << 18
"""Characters that are at hand beyond the begin of an event, unless the file ends."""
LONGEST = 1 << 24
"""An event is not longer than so many characters."""
_EVENTS = re.compile(r'"traceEvents"\s*:\s*\[')
_ARRAY = re.compile(r"\s*\[\s*\{")
_BASE = re.compile(r'"baseTimeNanoseconds"\s*:\s*"?(-?\d{1,19})')
_LONGEST_KEY, _LONGEST_WORD = 200, 16
_BAD_BYTES = re.compile("[\udc80-\udcff]+")
_BETWEEN = re.compile(r"[\s,]*")


class EventStream:
    """Iterating gives each event; then ``base_ns`` and ``mends`` are known. Numbers with a point come as text."""

    def __init__(self, path: Path) -> None:
        self.base_ns = 0
        self.mends = Mends()
        self.events = 0
        self._path = path
        self._bytes = pieces(path)
        self._text_of = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._text = ""
        self._at = 0
        self._before = 0  # characters that are not at hand any more
        self._bad_bytes: deque[int] = deque()
        self._whole = self._short = self._mending = False
        self._decoder = json.JSONDecoder(parse_float=str, parse_constant=self._constant)

    def __iter__(self) -> Iterator[JsonObject]:
        """The events. Raises MotraceError where there is no list of them, or it can't be read."""
        try:
            self._find_events()
            while (event := self._next()) is not None:
                yield event
            while self._advance():
                pass
        except OSError as error:
            raise MotraceError(f"{self._path.name} can't be read: {error.strerror}") from error

    def _find_events(self) -> None:
        self._more()
        array = _ARRAY.match(self._text)
        found = array or _EVENTS.search(self._text)
        while found is None:
            if not self._advance():
                raise MotraceError(
                    f"{self._path.name} is not a trace of torch.profiler, or is cut off before its first event: "
                    "it has no traceEvents"
                )
            found = _EVENTS.search(self._text)
        self._read_base(found.start())
        self._at = found.end() - (1 if array else 0)

    def _advance(self) -> bool:
        """Look for the base in what is at hand, and go on to the next piece; False if there is none."""
        self._read_base(len(self._text))
        self._at = max(self._at, len(self._text) - _LONGEST_KEY)
        return self._more()

    def _read_base(self, until: int) -> None:
        found = _BASE.search(self._text, self._at, until)
        self.base_ns = int(found[1]) if found else self.base_ns

    def _next(self) -> JsonObject | None:
        """The next event; None at the end of the list."""
        while True:
            if len(self._text) - self._at < AHEAD and not self._whole:
                self._more()
            between = _BETWEEN.match(self._text, self._at)
            self._at = between.end() if between else self._at
            if self._at >= len(self._text):
                if self._whole:
                    self.mends.add(Mend.CUT, self.events)
                    return None
                continue
            if self._text[self._at] == "]":
                return None
            self.events += 1
            event = self._event()
            if event is not None and isinstance(event[0], dict):
                self._count_bad_bytes()
                return event[0]
            if event is not None:
                self.mends.add(Mend.LOST, self.events)
            if self._at >= len(self._text) and self._whole:
                return None

    def _event(self) -> tuple[JsonValue] | None:
        """The event that begins here; None if it was passed over."""
        while True:
            event = self._mended() if self._mending else None
            event = event or self._strict() or (None if self._mending or self._short else self._mended())
            if event is not None:
                return event
            boundary = None if self._short else BOUNDARY.search(self._text, self._at)
            if boundary is None and not self._whole and len(self._text) - self._at < LONGEST:
                self._more()
                continue
            self.mends.add(Mend.LOST if boundary is not None else Mend.CUT, self.events)
            self._at = boundary.end() if boundary is not None else len(self._text)
            return None

    def _strict(self) -> tuple[JsonValue] | None:
        """The event that begins here if it is JSON; ``_short`` says whether more of it may follow."""
        self._short = False
        try:
            value, self._at = self._decoder.raw_decode(self._text, self._at)
            return (value,)
        except json.JSONDecodeError as error:
            ends = error.pos >= len(self._text) - _LONGEST_WORD or error.msg.startswith("Unterminated")
            self._short = ends and not self._whole and len(self._text) - self._at < LONGEST
            return None
        except (ValueError, RecursionError):
            return None

    def _mended(self) -> tuple[JsonValue] | None:
        """The event that begins here, if it can be mended."""
        mended = mend(self._text, self._at) if self._text[self._at] == "{" else None
        if mended is None:
            return None
        value, self._at, wrong = mended
        self._mending = bool(wrong)  # then the next one may well have the same fault: strict reading is in vain
        for what in wrong:
            self.mends.add(what, self.events)
        return (value,)

    def _constant(self, word: str) -> float:
        """NaN or an infinity, which JSON does not have."""
        self.mends.add(Mend.NUMBER, self.events)
        return float("nan")

    def _count_bad_bytes(self) -> None:
        bad = self._bad_bytes
        if bad and bad[0] < self._before + self._at:
            self.mends.add(Mend.UTF8, self.events)
            while bad and bad[0] < self._before + self._at:
                bad.popleft()

    def _more(self) -> bool:
        """Let go of what was read, and read a piece; False at the end of the file."""
        raw = next(self._bytes, None)
        self._whole = raw is None
        new = self._text_of.decode(raw or b"", self._whole)
        if not new.isascii() and _BAD_BYTES.search(new):
            there = self._before + len(self._text)
            self._bad_bytes.extend(there + found.start() for found in _BAD_BYTES.finditer(new))
            new = _BAD_BYTES.sub("\ufffd", new)
        self._text, self._at, self._before = self._text[self._at :] + new, 0, self._before + self._at
        return not self._whole
