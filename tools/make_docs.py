"""``python -m tools.make_docs``: write the parts of docs/ that repeat what the code declares.

docs/vocabulary.md as a whole, and in docs/tables/NAME.md the columns between the two markers. A
test fails while they are not up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from motrace import thread_roles, vocabulary
from motrace.dataset import tables

DOCS = Path(__file__).resolve().parents[1] / "docs"
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
    text += row("phase", "inside", "own CPU time counts for", "waiting while nobody works counts for", "waits for")
    text += row(*["---"] * 5)
    for phase in vocabulary.PHASES.values():
        buckets = (vocabulary.BUCKETS[phase.running], vocabulary.BUCKETS[phase.waiting])
        text += row(f"`{phase.name}`", f"`{phase.parent}`" if phase.parent else "", *buckets, phase.waits_for)
    text += "\n## Causes\n\n" + row("cause", "state", "bucket", "meaning") + row(*["---"] * 4)
    for cause in vocabulary.CAUSES.values():
        by_phase = {"running": "as the phase says (own CPU time)", "waiting": "as the phase says (waiting)"}
        bucket = by_phase.get(cause.bucket) or vocabulary.BUCKETS[cause.bucket]
        text += row(f"`{cause.name}`", cause.state, bucket, cause.meaning)
    text += "\n## Roles of threads and children\n\n"
    text += "The kernel's name decides first, then the library that started the thread, "
    text += "then the span it first showed in.\n\n"
    text += row("decided by", "pattern", "role") + row(*["---"] * 3)
    for title, rules in thread_roles.role_rules().items():
        text += "".join(row(title, f"`{pattern}`", role) for pattern, role in rules)
    text += "\nAny other child process is `child`, any other thread `other`.\n"
    text += "\nWho explains blocked time, where several worked at once, after the phase's own group: "
    return text + ", ".join(f"`{name}` ({', '.join(roles)})" for name, roles in vocabulary.ROLE_GROUPS.items()) + ".\n"


def pages() -> dict[Path, str]:
    """Every page that this writes, and what it should hold."""
    found = {DOCS / "vocabulary.md": vocabulary_page()}
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
