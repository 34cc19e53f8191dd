"""What a report is made of, whatever it is shown in: a document of sections of text, tables and figures.

All text is plain: each renderer escapes it for its medium. ``html``, ``markdown`` and ``terminal`` render a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from .figures import Bars, Columns, Curves, Figure, Strips

Row = TypeVar("Row", contravariant=True)
Item = TypeVar("Item")
Shown = TypeVar("Shown")


class Tone(Enum):
    """What a text is for."""

    PLAIN = "plain"
    NOTE = "note"
    """How to read what stands before it."""
    ANSWER = "answer"
    WARNING = "warning"
    ITEM = "item"
    """One of a list."""
    CODE = "code"
    """As it was typed."""


@dataclass(frozen=True)
class Text:
    """A paragraph; ``lead`` are its first words, which stand out."""

    text: str
    tone: Tone = Tone.PLAIN
    lead: str = ""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column of a table: its title, the text of its cell in a row, and whether that is a number."""

    title: str
    cell: Callable[[Row], str]
    number: bool = False


def words(title: str, of: Callable[[Row], str | None]) -> Column[Row]:
    """A column of words; a dash where there are none."""
    return Column(title, lambda row: of(row) or "–")


def numbers(title: str, of: Callable[[Row], Shown], show: Callable[[Shown], str]) -> Column[Row]:
    """A column of numbers in one format."""
    return Column(title, lambda row: show(of(row)), True)


@dataclass(frozen=True)
class Table:
    """Cells in columns; ``number`` says which columns hold numbers. The ``last`` row is set apart: a sum.

    ``folded``: it is long, and a medium that can fold it does.
    """

    title: str
    header: tuple[str, ...]
    number: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    last: tuple[str, ...] = ()
    folded: bool = False


def table(
    title: str, columns: Iterable[Column[Item]], rows: Iterable[Item], last: tuple[str, ...] = (), folded: bool = False
) -> Table:
    """A table of one row for each of ``rows``; ``last`` is filled up with empty cells."""
    columns = tuple(columns)
    cells = tuple(tuple(column.cell(row) for column in columns) for row in rows)
    filled = (*last, *("" for _ in columns[len(last) :])) if last else ()
    head = tuple(column.title for column in columns)
    return Table(title, head, tuple(column.number for column in columns), cells, filled, folded)


Block = Text | Table | Figure


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it. ``id`` names it for links and tests; ``level`` 2 is the highest."""

    id: str
    title: str
    blocks: tuple[Block, ...] = field(default=())
    level: int = 2


@dataclass(frozen=True)
class Document:
    """A report: blocks that come first, then sections."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section:
        """A section by its id."""
        return next(one for one in self.sections if one.id == name)


def section(name: str, title: str, *blocks: Block | None, level: int = 2) -> list[Section]:
    """A section of those blocks that hold something; none where no block does but notes."""
    filled = tuple(block for block in blocks if block is not None and _filled(block))
    said = any(not isinstance(block, Text) or block.tone is not Tone.NOTE for block in filled)
    return [Section(name, title, filled, level)] if said else []


def _filled(block: Block) -> bool:
    match block:
        case Text():
            return bool(block.text or block.lead)
        case Table():
            return bool(block.rows or block.last)
        case Figure(marks=Bars(bars=marks) | Strips(stacks=marks) | Columns(stacks=marks) | Curves(curves=marks)):
            return bool(marks)
