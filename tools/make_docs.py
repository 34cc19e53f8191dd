"""``python -m tools.make_docs``: write the parts of docs/ that are generated from the code.

These are docs/vocabulary.md, docs/report.schema.json and docs/examples/, the columns in docs/tables/NAME.md and the
objects in docs/report.md. A test fails when they are out of date.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import cast, get_args, get_origin, get_type_hints

import pyarrow as pa

from motrace import analysis, thread_roles, vocabulary
from motrace.dataset import tables
from motrace.findings.model import Report
from motrace.report import document, markdown
from motrace.report.schema import json_schema

OBJECTS_BEGIN, OBJECTS_END = "<!-- objects: written by tools.make_docs -->\n", "<!-- end of objects -->\n"
ROOT = Path(__file__).resolve().parents[1]
DOCS, EXAMPLE = ROOT / "docs", "nsys-llvmpipe"
BEGIN, END = "<!-- columns: written by tools.make_docs -->\n", "<!-- end of columns -->\n"


def row(*cells: object) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def kind(field: pa.Field) -> str:
    """The type of a column, in words."""
    name = "text" if pa.types.is_dictionary(field.type) else str(field.type)
    return f"{name}, may be null" if field.nullable else name


def columns(schema: pa.Schema) -> str:
    """The columns of a table."""
    text = row("column", "type", "unit", "meaning") + row(*["---"] * 4)
    for field in schema:
        text += row(f"`{field.name}`", kind(field), field.metadata[b"unit"].decode(), field.metadata[b"about"].decode())
    return text


def table_page(name: str, before: str) -> str:
    """The page of a table, its columns brought up to date."""
    schema = tables.SCHEMAS[name]
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{columns(schema)}{END}{tail}"


def objects() -> str:
    """Every object of report.json: what it is, and its fields with their types."""
    text, todo, done = "", list[type]([Report]), list[type]()
    while todo:
        kind = todo.pop(0)
        if kind in done:
            continue
        done.append(kind)
        hints = get_type_hints(kind)
        about = " ".join((inspect.getdoc(kind) or "").split())
        shown = ", ".join(f"`{field.name}` {type_name(hints[field.name])}" for field in dataclasses.fields(kind))
        text += f"\n**{kind.__name__}** {about}\n\n{shown}\n"
        todo.extend(part for field in dataclasses.fields(kind) for part in parts_of(hints[field.name]))
    return text + "\n"


def parts_of(hint: type) -> list[type]:
    """The dataclasses in a type."""
    if dataclasses.is_dataclass(hint):
        return [cast(type, hint)]
    return [part for argument in get_args(hint) for part in parts_of(argument)]


def type_name(hint: type) -> str:
    """A type in JSON's words."""
    arguments = [one for one in get_args(hint) if one is not Ellipsis]
    if get_origin(hint) in (tuple, list):
        return f"[{type_name(arguments[0])}]"
    if get_origin(hint) is dict:
        return f"{{name: {type_name(arguments[1])}}}"
    if arguments:
        return " or ".join(map(type_name, arguments))
    names = {int: "integer", float: "number", str: "text", bool: "true or false", type(None): "null"}
    return names.get(hint, hint.__name__)


def report_page(before: str) -> str:
    """docs/report.md, its objects brought up to date."""
    head, _, rest = before.partition(OBJECTS_BEGIN)
    _, _, tail = rest.partition(OBJECTS_END)
    return f"{head}{OBJECTS_BEGIN}{objects()}{OBJECTS_END}{tail}"


def vocabulary_page() -> str:
    """docs/vocabulary.md."""
    text = "# Words\n\nWritten by `python -m tools.make_docs` from `src/motrace/vocabulary.py`.\n"
    text += "\n## Segments\n\n" + ", ".join(f"`{name}`" for name in vocabulary.SEGMENTS) + ", one after the other.\n"
    text += "\n## States of the loop thread\n\n" + ", ".join(f"`{name}`" for name in vocabulary.STATES) + ".\n"
    text += "\n## Buckets\n\n" + row("bucket", "label") + row("---", "---")
    text += "".join(row(f"`{name}`", label) for name, label in vocabulary.BUCKETS.items())
    text += "\n## Phases\n\n"
    text += (
        "A span's name is its phase. These are known; any other is a Python phase that waits for the encoder first.\n\n"
    )
    text += row("phase", "inside", "own CPU time counts for", "idle waiting counts for", "waits for")
    text += row(*["---"] * 5)
    for phase in vocabulary.PHASES.values():
        buckets = (vocabulary.BUCKETS[phase.running], vocabulary.BUCKETS[phase.waiting])
        text += row(f"`{phase.name}`", f"`{phase.parent}`" if phase.parent else "", *buckets, phase.waits_for)
    text += "\n## Causes\n\n" + row("cause", "state", "bucket", "meaning") + row(*["---"] * 4)
    for cause in vocabulary.CAUSES.values():
        by_phase = {"running": "as the phase says (own CPU time)", "waiting": "as the phase says (waiting)"}
        bucket = by_phase.get(cause.bucket) or vocabulary.BUCKETS[cause.bucket]
        text += row(f"`{cause.name}`", cause.state, bucket, cause.meaning)
    text += "\n## Evidence\n\nWhat attributed time rests on; several kinds together are written with a `+` between.\n\n"
    text += row("kind", "meaning") + row(*["---"] * 2)
    text += "".join(row(f"`{one.value}`", about) for one, about in vocabulary.EVIDENCE.items())
    text += "\n## Roles of threads and children\n\n"
    text += "The kernel's name decides first, then the library that started the thread, "
    text += "then the span it first showed in.\n\n"
    text += row("decided by", "pattern", "role") + row(*["---"] * 3)
    for title, rules in thread_roles.role_rules().items():
        text += "".join(row(title, f"`{pattern}`", role) for pattern, role in rules)
    text += "\nAny other child process is `child`, any other thread `other`.\n"
    text += "\nWhich work explains blocked time where several roles worked at once, after the phase's own group: "
    return text + ", ".join(f"`{name}` ({', '.join(roles)})" for name, roles in vocabulary.ROLE_GROUPS.items()) + ".\n"


def example_page() -> str:
    """docs/examples/nsys-llvmpipe.md: the report of that committed recording."""
    one = analysis.load(ROOT / "traces" / EXAMPLE)
    return markdown.render(document.full(one.report, one.tables["frames"], one.tables["frame_phases"]))


def pages() -> dict[Path, str]:
    """Every page that this writes, and what it should hold."""
    report = DOCS / "report.md"
    found = {
        DOCS / "vocabulary.md": vocabulary_page(),
        DOCS / "report.schema.json": json_schema(),
        report: report_page(report.read_text()),
        DOCS / "examples" / f"{EXAMPLE}.md": example_page(),
    }
    for name in (*tables.SCHEMAS, "frames"):
        path = DOCS / "tables" / f"{name}.md"
        found[path] = table_page(name, path.read_text() if path.exists() else f"# {name}\n\n{BEGIN}{END}")
    return found


def main() -> int:
    """Write them."""
    for path, text in pages().items():
        path.write_text(text)
        print(path.relative_to(DOCS.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
