"""Text from files, made safe for the medium it goes to. Standard library only."""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of characters that show nothing but act: control, format (bidi among them), surrogates, line ends."""


def visible(text: str) -> str:
    r"""The text on one line; a character that would act instead of showing is written as ``\x1b`` or ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in HIDDEN else char for char in text
    )


def encodable(name: str) -> str:
    r"""The name as UTF-8 can hold it: a byte of a file's name that is not text is written as ``\udcff``."""
    return name.encode("utf-8", "backslashreplace").decode()


def markdown(text: str) -> str:
    """The text for Markdown: neither HTML, nor the end of a table's cell, nor a link or picture comes of it."""
    return visible(text).replace("<", "&lt;").replace("|", "\\|").replace("](", "]\\(")
