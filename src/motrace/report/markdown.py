"""A document as Markdown: what someone pastes into a bug report."""

from __future__ import annotations

from ..escape import markdown as escaped
from ..escape import visible
from .blocks import Block, Document, Table, Text, Tone
from .figures import Figure
from .text_figures import drawn


def render(document: Document) -> str:
    """The document as Markdown."""
    lines = [f"# {escaped(document.title)}", "", *_blocks(document.lead)]
    for section in document.sections:
        lines += [f"{'#' * section.level} {escaped(section.title)}", "", *_blocks(section.blocks)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _blocks(blocks: tuple[Block, ...]) -> list[str]:
    lines: list[str] = []
    for place, block in enumerate(blocks):
        if not (shown := _block(block)):
            continue
        lines += shown
        following = blocks[place + 1] if place + 1 < len(blocks) else None
        if not (_item(block) and _item(following)):
            lines.append("")
    return lines


def _item(block: Block | None) -> bool:
    return isinstance(block, Text) and block.tone is Tone.ITEM


def _block(block: Block) -> list[str]:
    match block:
        case Text(tone=Tone.CODE):
            return ["```", visible(block.text).replace("```", "\\`\\`\\`"), "```"]  # it shows all but its own end
        case Text():
            mark = {Tone.WARNING: "> ", Tone.ITEM: "- "}.get(block.tone, "")
            lead = f"**{escaped(block.lead)}** " if block.lead else ""
            return [mark + lead + escaped(block.text)]
        case Table():
            return _table(block)
        case Figure():
            title = [f"{escaped(block.title)}:", ""] if block.title else []
            return [*title, *(f"    {line}" for line in lines)] if (lines := drawn(block)) else []


def _table(table: Table) -> list[str]:
    title = [f"{escaped(table.title)}:", ""] if table.title else []
    rule = "|" + "".join("--:|" if number else "---|" for number in table.number)
    last = [_row(tuple(f"**{escaped(cell)}**" if cell else "" for cell in table.last))] if table.last else []
    rows = [_row(tuple(map(escaped, row))) for row in table.rows]
    return [*title, _row(tuple(map(escaped, table.header))), rule, *rows, *last]


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
