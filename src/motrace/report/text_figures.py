"""Figures drawn with characters, for Markdown and the terminal; one that a table beside it says in full is left out."""

from __future__ import annotations

from ..escape import visible
from .figures import Bar, Bars, Columns, Figure

WIDTH, LEVELS = 40, " ▁▂▃▄▅▆▇█"


def drawn(figure: Figure) -> list[str]:
    """The lines of a figure, safe to show; none for one that characters can't draw."""
    match figure.marks:
        case Bars(bars=bars):
            labels = [visible(bar.label) for bar in bars]
            return [f"{label:<{max(map(len, labels))}} {_bar(bar)}" for label, bar in zip(labels, bars)]
        case Columns(stacks=stacks, top=top) if top:
            heights = [stack.total / top for stack in stacks]
            count = min(len(heights), WIDTH + WIDTH // 2)
            groups = [
                heights[place * len(heights) // count : (place + 1) * len(heights) // count] for place in range(count)
            ]
            return ["".join(LEVELS[round(min(1.0, sum(group) / len(group)) * (len(LEVELS) - 1))] for group in groups)]
        case _:
            return []


def _bar(bar: Bar) -> str:
    """A bar from 0 to 1: full up to the lower bound, lighter up to the value, dots up to the upper bound."""
    lo, value, hi = (round(one * WIDTH) for one in (bar.lo, bar.value, bar.hi))
    return "█" * lo + "▒" * (value - lo) + "·" * (hi - value) or "▏"
