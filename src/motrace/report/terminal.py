"""A document for the terminal: lines of text, no wider than it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from unicodedata import east_asian_width

from ..escape import visible
from .blocks import Block, Document, Table, Text, Tone
from .figures import Figure
from .text_figures import drawn

GAP = "  "
LONGEST_WORD = 32
"""A column of words is not made narrower than its longest word, or than this."""


BOLD, YELLOW = "bold", "yellow"
Line = tuple[str, str]
"""A line and its style; empty where it has none."""


def render(document: Document, width: int = 80) -> str:
    """The document in lines of at most ``width`` characters, where its words and numbers allow it."""
    return "".join(f"{line}\n" for line, _ in lines(document, width))


def lines(document: Document, width: int) -> Iterator[Line]:
    """The lines of ``render``, each with its style."""
    if document.title:
        yield visible(document.title), BOLD
    yield from _blocks(document.lead, width)
    for section in document.sections:
        yield from (("", ""), (visible(section.title), BOLD))
        yield from _blocks(section.blocks, width)


def _blocks(blocks: tuple[Block, ...], width: int) -> Iterator[Line]:
    for place, block in enumerate(blocks):
        is_text = isinstance(block, Text) and block.tone is not Tone.NOTE
        if place and is_text and not isinstance(blocks[place - 1], Text):
            yield "", ""
        style = YELLOW if isinstance(block, Text) and block.tone is Tone.WARNING else ""
        yield from ((line.rstrip(), style) for line in _block(block, width))


def _block(block: Block, width: int) -> Iterator[str]:
    match block:
        case Text():
            mark = {Tone.WARNING: "warning: ", Tone.ITEM: "- "}.get(block.tone, "")
            text = visible(mark + f"{block.lead} {block.text}".strip())
            yield from textwrap.wrap(text, width, subsequent_indent=GAP if mark else "", break_on_hyphens=False)
        case Table():
            yield from _titled(block.title, _table(block, width))
        case Figure():
            yield from _titled(block.title, drawn(block))


def _titled(title: str, shown: list[str]) -> Iterator[str]:
    if shown:
        yield from ("", f"{visible(title)}:") if title else ()
        yield from shown


def _wide(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _table(table: Table, width: int) -> list[str]:
    rows = [tuple(map(visible, row)) for row in (table.header, *table.rows, table.last) if any(row)]
    widths = _widths(rows, table.number, width) if rows else []
    return [line for row in rows for line in _row(row, widths, table.number)]


def _widths(rows: list[tuple[str, ...]], number: tuple[bool, ...], width: int) -> list[int]:
    """How wide each column is: as its cells, but where that is too much the widest give way, down to their words."""
    widths = [max(map(_wide, cells)) for cells in zip(*rows)]
    least = [
        max((_longest_word(cells[0]), *map(_wide, cells[1:])))
        if right
        else min(LONGEST_WORD, max(map(_longest_word, cells)))
        for cells, right in zip(zip(*rows), number)
    ]
    while sum(widths) + len(GAP) * len(widths) > width:
        wide = [place for place in range(len(widths)) if widths[place] > least[place]]
        if not wide:
            break
        widths[max(wide, key=lambda place: widths[place])] -= 1
    return widths


def _longest_word(text: str) -> int:
    return max(map(_wide, text.split()), default=0)


def _row(cells: tuple[str, ...], widths: list[int], number: tuple[bool, ...]) -> Iterator[str]:
    """The lines of a row: cells that are too long are wrapped."""
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(cells, widths)]
    for place in range(max(map(len, wrapped))):
        parts = [cell[place] if place < len(cell) else "" for cell in wrapped]
        spaces = [" " * (width - _wide(part)) for part, width in zip(parts, widths)]
        yield GAP + GAP.join(space + part if right else part + space
                             for part, space, right in zip(parts, spaces, number))  # fmt: skip
