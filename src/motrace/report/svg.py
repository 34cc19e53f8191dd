"""Figures as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from ..escape import markup
from .figures import Bars, Columns, Curves, Marks, Slice, Stack, Strips

COLOURS = {
    "policy": "#8e6bbf", "step": "#4f9d69", "reset": "#2f6d45", "capture": "#d9822b", "copy": "#c04848",
    "encode": "#3f7fbf", "glue": "#9aa3ad", "startup": "#6b7280", "warmup": "#9aa3ad", "loop": "#d9822b",
    "drain": "#3f7fbf", "shutdown": "#4b5563",
}  # fmt: skip
"""Of the series that reports know; others take the rest in turn."""
REST = ("#3f7fbf", "#d9822b", "#4f9d69", "#8e6bbf", "#c04848", "#6b7280")
WIDTH, COLUMNS_HEIGHT, ROW, LABEL = 900.0, 150.0, 22.0, 190.0
CURVES_WIDTH, CURVES_HEIGHT = 520.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 12.0, 12.0, 40.0
SMALLEST, GAP, PALE, LETTER = 0.2, 0.5, 0.4, 7.5


def svg(marks: Marks) -> str:
    """A drawing, with the key of its colours."""
    match marks:
        case Bars():
            return _svg(WIDTH, ROW * len(marks.bars), _bars(marks))
        case Strips():
            return _key(marks.stacks) + _svg(WIDTH, ROW * len(marks.stacks), _strips(marks))
        case Columns():
            return _key(marks.stacks) + _svg(WIDTH, COLUMNS_HEIGHT, _columns(marks))
        case Curves():
            key = _colours(curve.label for curve in marks.curves)
            return _shown_key(key) + _svg(CURVES_WIDTH, CURVES_HEIGHT, _curves(marks, key))


def _svg(width: float, height: float, shapes: Iterable[str]) -> str:
    size = f'width="{width:g}" height="{height:g}"'
    return f'<svg viewBox="0 0 {width:g} {height:g}" {size} role="img">{"".join(shapes)}</svg>'


def _colours(series: Iterable[str]) -> dict[str, str]:
    names = list(dict.fromkeys(series))
    rest = [name for name in names if name not in COLOURS]
    return {name: COLOURS.get(name) or REST[rest.index(name) % len(REST)] for name in names}


def _key(stacks: Iterable[Stack]) -> str:
    return _shown_key(_colours(part.series for stack in stacks for part in stack.parts))


def _shown_key(key: dict[str, str]) -> str:
    shown = (f'<span><i style="background:{colour}"></i>{markup(name)}</span>' for name, colour in key.items())
    return f'<div class="key">{"".join(shown)}</div>\n'


def _rect(x: float, y: float, width: float, height: float, fill: str, title: str, more: str = "") -> str:
    place = f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"'
    return f'<rect {place} fill="{fill}"{more}><title>{markup(title)}</title></rect>'


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{markup(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"/>'


def _bars(marks: Bars) -> Iterator[str]:
    """Values from 0 to 1, each with a whisker from its lower to its upper bound."""
    full = WIDTH - LABEL - RIGHT
    for place, bar in enumerate(marks.bars):
        y, lo, hi = place * ROW, LABEL + bar.lo * full, LABEL + bar.hi * full
        value = bar.lo if bar.value is None else bar.value
        bounds = f"{bar.lo:.1%} to {bar.hi:.1%}"
        title = f"{bar.label}: {bounds if bar.value is None else f'{bar.value:.1%} ({bounds})'}"
        yield _text(LABEL - 8, y + 15, bar.label, "end")
        yield _rect(LABEL, y + 3, full, ROW - 6, "#eceff2", title)
        yield _rect(LABEL, y + 3, value * full, ROW - 6, "#d9822b", title)
        yield _line(lo, y + ROW / 2, hi, y + ROW / 2, "#1f2933", 2)
        yield from (_line(x, y + 6, x, y + ROW - 6, "#1f2933", 2) for x in (lo, hi))


def _strips(marks: Strips) -> Iterator[str]:
    """Each stack from left to right, at full width."""
    colours, full = _colours(part.series for stack in marks.stacks for part in stack.parts), WIDTH - LABEL
    for place, stack in enumerate(marks.stacks):
        x, y = LABEL, place * ROW
        yield _text(LABEL - 8, y + 15, stack.label, "end")
        for part in stack.parts:
            width = part.value / stack.total * full if stack.total else 0.0
            yield _rect(x, y + 2, width, ROW - 4, colours[part.series], part.text)
            if width > LETTER * len(part.text):
                yield _text(x + 6, y + 15, part.text, more=' style="fill:#fff"')
            x += width


def _columns(marks: Columns) -> Iterator[str]:
    """Each stack from the bottom up, side by side."""
    colours = _colours(part.series for stack in marks.stacks for part in stack.parts)
    width = WIDTH / len(marks.stacks)
    for place, stack in enumerate(marks.stacks):
        more, y = f' opacity="{PALE}"' if stack.pale else "", COLUMNS_HEIGHT
        for part in stack.parts:
            height = part.value / marks.top * COLUMNS_HEIGHT
            if height >= SMALLEST:
                y -= height
                title = _column_title(stack, part)
                yield _rect(place * width, y, max(width - GAP, GAP), height, colours[part.series], title, more)


def _column_title(stack: Stack, part: Slice) -> str:
    return f"{stack.label}, {part.series}: {part.text}"


def _curves(marks: Curves, colours: dict[str, str]) -> Iterator[str]:
    """Dots and lines on two logarithmic axes."""
    xs = [x for x, _ in marks.x_ticks]
    ys = [point.y for curve in marks.curves for point in curve.points]
    ys += [y for curve in marks.curves for _, y in curve.line if y > 0]
    x_at = _scale(min(xs), max(xs), LEFT, CURVES_WIDTH - RIGHT)
    y_at = _scale(min(ys), max(ys), CURVES_HEIGHT - BOTTOM, TOP)
    floor = CURVES_HEIGHT - BOTTOM
    for value, text in marks.y_ticks:
        yield _line(LEFT, y_at(value), CURVES_WIDTH - RIGHT, y_at(value), "#dfe3e8")
        yield _text(LEFT - 6, y_at(value) + 4, text, "end")
    for value, text in marks.x_ticks:
        yield _line(x_at(value), floor, x_at(value), floor + 5, "#5f6b7a")
        yield _text(x_at(value), floor + 17, text, "middle")
    yield _text((LEFT + CURVES_WIDTH - RIGHT) / 2, CURVES_HEIGHT - 6, marks.x_label, "middle")
    turned = f' transform="rotate(-90 14 {(TOP + floor) / 2:g})"'
    yield _text(14, (TOP + floor) / 2, marks.y_label, "middle", turned)
    for curve in marks.curves:
        colour = colours[curve.label]
        places = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in curve.line if y > 0)
        yield f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        for point in curve.points:
            dot = f'cx="{x_at(point.x):.1f}" cy="{y_at(point.y):.1f}" r="3.5" fill="{colour}" fill-opacity=".65"'
            yield f"<circle {dot}><title>{markup(point.text)}</title></circle>"


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """From a value to its place on a logarithmic axis; the middle where there is one value."""
    span = math.log(high / low)
    return lambda value: start + (end - start) * (math.log(value / low) / span if span else 0.5)
