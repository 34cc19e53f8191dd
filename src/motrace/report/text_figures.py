"""Figures drawn with characters, for Markdown and the terminal; one that a table beside it says in full is left out."""

from __future__ import annotations

from ..escape import visible
from .figures import Bar, Bars, Columns, Figure, Stack

WIDTH, MOST_COLUMNS, LEVELS = 40, 60, " ▁▂▃▄▅▆▇█"


def drawn(figure: Figure) -> list[str]:
    """The lines of a figure, safe to show; none for one that characters can't draw."""
    match figure.marks:
        case Bars(bars=bars):
            labels = [visible(bar.label) for bar in bars]
            return [f"{label:<{max(map(len, labels))}} {_bar(bar)}" for label, bar in zip(labels, bars)]
        case Columns(stacks=stacks, top=top) if top:
            return ["".join(_level(one, top) for one in _groups(stacks))]
        case _:
            return []


def _groups(stacks: tuple[Stack, ...]) -> list[tuple[Stack, ...]]:
    """Stacks in so many groups that they fit."""
    count = min(len(stacks), MOST_COLUMNS)
    return [stacks[at * len(stacks) // count : (at + 1) * len(stacks) // count] for at in range(count)]


def _level(group: tuple[Stack, ...], top: float) -> str:
    """The mean of some stacks; phases inside each other may be more than the whole."""
    share = min(1.0, sum(stack.total for stack in group) / len(group) / top)
    return LEVELS[round(share * (len(LEVELS) - 1))]


def _bar(bar: Bar) -> str:
    """A bar from 0 to 1: full up to the lower bound, lighter up to the value (if known), dots up to the upper bound."""
    lo, value, hi = (round(one * WIDTH) for one in (bar.lo, bar.lo if bar.value is None else bar.value, bar.hi))
    return "█" * lo + "▒" * (value - lo) + "·" * (hi - value) or "▏"
