"""Mends the text of an event that is not JSON, as torch writes it when a name holds what it does not escape."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from ...cautions import CautionCode
from ...output import JsonValue


class Mend(Enum):
    """What was wrong."""

    BACKSLASH = CautionCode.BAD_BACKSLASHES
    UTF8 = CautionCode.BAD_UTF8
    CONTROL = CautionCode.CONTROL_CHARACTERS
    NUMBER = CautionCode.BAD_NUMBERS
    QUOTE = CautionCode.BAD_QUOTES
    LOST = CautionCode.EVENTS_LOST
    CUT = CautionCode.CUT_OFF


@dataclass
class Mends:
    """How many events had what wrong, and which was the first (from 1)."""

    count: Counter[Mend] = field(default_factory=Counter)
    first: dict[Mend, int] = field(default_factory=dict)
    last: dict[Mend, int] = field(default_factory=dict)

    def add(self, what: Mend, event: int) -> None:
        """Count an event, once for each fault."""
        if self.last.get(what) != event:
            self.count[what] += 1
            self.first.setdefault(what, event)
            self.last[what] = event


_STRUCTURE = re.compile(r'["{}\[\],:]')
_NEXT_KEY = r',\s*"[^"\\\n]{1,100}"\s*:'
_KEY_ENDS, _ITEM_ENDS = re.compile(r'"(?=\s*:)'), re.compile(r'"(?=\s*[,\]])')
_VALUE_ENDS = re.compile(rf'"(?=\s*(?:\}}|{_NEXT_KEY}))')
_ESCAPED_ENDS = re.compile(rf'"(?=\s*(?:\}}\s*[,\]}}]|{_NEXT_KEY}))')
"""What a quote behind a backslash must be followed by to be the string's end all the same."""
BOUNDARY = re.compile(r'\}\s*,?\s*(?=\{\s*"(?:ph|cat|name|pid|tid|ts|dur|args)"\s*:)')
"""Where one event ends and the next begins."""
_BARE = re.compile(r"[^\s{}\[\],:]+")
_GOOD = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$|true$|false$|null$")
_WRONG_ESCAPE = re.compile(r'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
_CONTROL = re.compile(r"[\x00-\x1f]")


def mend(text: str, start: int) -> tuple[JsonValue, int, set[Mend]] | None:
    """The event at ``start``, where it ends, and what was wrong with it; None if nothing can be made of it."""
    pieces: list[str] = []
    wrong: set[Mend] = set()
    around: list[str] = []
    at, is_key = start, False
    while (found := _STRUCTURE.search(text, at)) is not None:
        pieces.append(_literals(text[at : found.start()], wrong))
        char, at = found[0], found.end()
        if char == '"':
            ends = _KEY_ENDS if is_key else _VALUE_ENDS if around[-1:] == ["{"] else _ITEM_ENDS
            close = _closing(text, at, ends)
            if close < 0 or BOUNDARY.search(text, at, close):
                return None
            char, at = f'"{_body(text[at:close], wrong)}"', close + 1
        elif char in "{[":
            around.append(char)
        elif char in "}]" and (not around or around.pop() + char not in ("{}", "[]")):
            return None
        is_key = char in "{," and around[-1:] == ["{"]
        pieces.append(char)
        if not around:
            break
    try:
        return json.loads("".join(pieces), strict=False, parse_float=str), at, wrong
    except (ValueError, RecursionError):
        return None


def _closing(text: str, at: int, ends: re.Pattern[str]) -> int:
    """Where the string that begins at ``at`` is closed; -1 if it is not."""
    for found in ends.finditer(text, at):
        close = found.start()
        behind = close - len(text[at:close].rstrip("\\")) - at
        if behind % 2 == 0 or _ESCAPED_ENDS.match(text, close):
            return close
    return -1


def _body(text: str, wrong: set[Mend]) -> str:
    """What is between the quotes, as JSON has it."""
    if _CONTROL.search(text):
        wrong.add(Mend.CONTROL)
    trailing = len(text) - len(text.rstrip("\\"))
    if _WRONG_ESCAPE.search(text) or trailing % 2:  # then none of them was meant as an escape
        wrong.add(Mend.BACKSLASH)
        text = re.sub(r'\\(\\|"(?=.))?', lambda found: found[0] if found[1] else "\\\\", text, flags=re.DOTALL)
    plain = re.sub(r"(?<!\\)((?:\\\\)*)\"", r'\1\\"', text)
    if plain != text:
        wrong.add(Mend.QUOTE)
    return plain


def _literals(text: str, wrong: set[Mend]) -> str:
    """Text outside of strings, with NaN for what should be a number and is none."""

    def good(found: re.Match[str]) -> str:
        if _GOOD.match(found[0]):
            return found[0]
        wrong.add(Mend.NUMBER)
        return "NaN"

    return _BARE.sub(good, text) if text and not text.isspace() else text
