"""report.md: what someone pastes into a bug report."""

from __future__ import annotations

from typing import Any

from .format import templates
from .sections import leading, sections


def render_markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    return (
        templates().get_template("report.md").render(report=report, leading=leading(report), sections=sections(report))
    )
