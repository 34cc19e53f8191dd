"""The terminal: every text is shown as it is, one line each, and none is markup or an escape sequence."""

from __future__ import annotations

import sys

from rich.console import Console, HighlighterType, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from ..escape import visible
from ..report.blocks import Document
from ..report.terminal import lines


class Terminal(Console):
    """A console for text from files: a string, in a table too, is nothing but text."""

    def __init__(self) -> None:
        super().__init__(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def render_str(
        self, text: str, *, style: str | Style = "", justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None, emoji: bool | None = None, markup: bool | None = None,
        highlight: bool | None = None, highlighter: HighlighterType | None = None,
    ) -> Text:  # fmt: skip
        """As it is, with control characters made visible; whatever is printed as a string comes by here."""
        return Text(visible(text), style=style, justify=justify, overflow=overflow)

    def show(self, document: Document) -> None:
        """A document, no wider than the terminal; what goes into a pipe or a file is not wrapped."""
        for line, style in lines(document, self.width if self.is_terminal else sys.maxsize):
            self.print(line, style=style or None)
