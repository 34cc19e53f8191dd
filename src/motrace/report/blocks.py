"""What a section of a report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Grid:
    """A table of cells that are text already; columns after the first ``words`` are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, tables."""

    title: str
    text: str
    grids: tuple[Grid, ...] = field(default=())
