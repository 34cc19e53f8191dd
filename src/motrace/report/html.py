"""A document as HTML: one self-contained file, without script, readable offline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import groupby
from string import Template

from ..escape import markup
from .blocks import Block, Document, Section, Table, Text, Tone
from .figures import Figure
from .svg import svg


def render(document: Document) -> str:
    """The document as one page."""
    page = Template(files("motrace.report").joinpath("templates/page.html").read_text(encoding="utf-8"))
    body = "\n".join((*_blocks(document.lead), *(_section(one) for one in document.sections)))
    return page.substitute(title=markup(document.title), body=body)


def _section(section: Section) -> str:
    heading = f'<h{section.level} id="{markup(section.id)}">{markup(section.title)}</h{section.level}>'
    return "\n".join((heading, *_blocks(section.blocks)))


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    """Each block; texts of a list, or of a card, stand in one together."""
    for tone, group in groupby(blocks, lambda block: block.tone if isinstance(block, Text) else None):
        shown = map(_block, group)
        match tone:
            case Tone.ITEM:
                yield f"<ul>{''.join(shown)}</ul>"
            case Tone.ANSWER:
                yield f'<div class="card">{"".join(shown)}</div>'
            case _:
                yield from shown


def _block(block: Block) -> str:
    match block:
        case Text():
            return _text(block)
        case Table():
            return _table(block)
        case Figure():
            return _title(block.title) + svg(block.marks)


def _text(text: Text) -> str:
    words = (f"<b>{markup(text.lead)}</b> " if text.lead else "") + markup(text.text)
    match text.tone:
        case Tone.ITEM:
            return f"<li>{words}</li>"
        case Tone.CODE:
            return f"<pre>{words}</pre>"
        case Tone.NOTE:
            return f'<p class="soft">{words}</p>'
        case Tone.WARNING:
            return f'<p class="card warn">{words}</p>'
        case _:
            return f"<p>{words}</p>"


def _title(title: str) -> str:
    return f"<h4>{markup(title)}</h4>\n" if title else ""


def _table(table: Table) -> str:
    rows = [_row("th", table.header, table.number)] if any(table.header) else []
    rows += [_row("td", row, table.number) for row in table.rows]
    rows += [_row("th", table.last, table.number)] if table.last else []
    shown = "<table>\n" + "\n".join(rows) + "\n</table>"
    if table.folded:
        return f"<details><summary>{markup(table.title)}</summary>\n{shown}\n</details>"
    return _title(table.title) + shown


def _row(tag: str, cells: tuple[str, ...], number: tuple[bool, ...]) -> str:
    shown = (f'<{tag} class="n">' if right else f"<{tag}>" for right in number)
    return "<tr>" + "".join(f"{start}{markup(cell)}</{tag}>" for start, cell in zip(shown, cells)) + "</tr>"
