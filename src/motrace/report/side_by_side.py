"""Several experiments of one benchmark in one document: each row of the benchmark report, a column for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..findings.benchmark_codes import BenchmarkGroup, BenchmarkItem
from ..findings.model import BenchmarkRow, Report
from .blocks import Block, Column, Document, Section, section, table, words
from .say import say
from .sections import answer

Rows = dict[BenchmarkItem, BenchmarkRow]


def side_by_side(title: str, reports: Mapping[str, Report], first: tuple[Block, ...] = ()) -> Document:
    """The verdict of each report (by its column's name) after ``first``, then the rows of all, side by side."""
    verdicts = tuple(
        Section(f"verdict-{name}", name, tuple(answer.verdict(report.verdict))) for name, report in reports.items()
    )
    rows = {name: {row.item: row for row in report.benchmark} for name, report in reports.items()}
    blocks = [block for group in BenchmarkGroup if (block := _group(group, reports, rows)) is not None]
    warnings = tuple(
        Section(f"warnings-{name}", f"Warnings of {name}", tuple(map(answer.warning, report.warnings)))
        for name, report in reports.items()
        if report.warnings
    )
    return Document(title, first, (*verdicts, *section("benchmark", "Benchmark report", *blocks), *warnings))


def _group(group: BenchmarkGroup, reports: Mapping[str, Report], rows: Mapping[str, Rows]) -> Block | None:
    items = [item for item in BenchmarkItem if item.group is group and any(item in mine for mine in rows.values())]
    columns: list[Column[BenchmarkItem]] = [words("item", lambda item: say(item))]
    columns += [words(name, _cell(report, rows[name])) for name, report in reports.items()]
    columns.append(words("note", lambda item: _note(item, reports, rows) or " "))
    return table(say(group), columns, items) if items else None


def _cell(report: Report, rows: Rows) -> Callable[[BenchmarkItem], str | None]:
    return lambda item: answer.value(report, rows[item]) if item in rows else None


def _note(item: BenchmarkItem, reports: Mapping[str, Report], rows: Mapping[str, Rows]) -> str:
    """The note that all share; otherwise the last one's, with its name."""
    notes = {name: answer.note(report, rows[name][item]) for name, report in reports.items() if item in rows[name]}
    name, note = list(notes.items())[-1]
    return note if len(set(notes.values())) == 1 or not note else f"{name}: {note}"
