"""report.html: one self-contained file, no script, readable offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..dataset.frames import phase_column, phases_of, wide
from .format import templates
from .sections import leading, sections

COLOURS = {
    "policy": "#8e6bbf",
    "step": "#4f9d69",
    "reset": "#2f6d45",
    "capture": "#d9822b",
    "copy": "#c04848",
    "encode": "#3f7fbf",
    "glue": "#9aa3ad",
}
OTHER_COLOUR = "#6b7280"
STRIP_WIDTH, STRIP_HEIGHT = 900, 150
MOST_COLUMNS = 450
WARMUP_OPACITY = 0.4


@dataclass(frozen=True)
class Bar:
    """A piece of a frame's bar in the strip, in pixels, with what to say when pointed at."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    opacity: float
    title: str


@dataclass(frozen=True)
class Strip:
    """The frames of one run, one stacked bar each."""

    run: str
    bars: tuple[Bar, ...]
    top_ms: float
    frames: int


def render_html(report: dict[str, Any], tables: dict[str, pa.Table]) -> str:
    """The report as one HTML file."""
    strips = [_strip(run, wide(tables["frames"], tables["frame_phases"])) for run in report["runs"]]
    page = templates().get_template("report.html")
    return page.render(
        report=report,
        leading=leading(report),
        sections=sections(report),
        strips=strips,
        colours=COLOURS,
        strip=(STRIP_WIDTH, STRIP_HEIGHT),
    )


def _strip(run: dict[str, Any], frames: pa.Table) -> Strip:
    """One bar per frame; where there are more frames than fit, one for the mean of some in a row."""
    table = frames.to_pandas()
    table = table[table["run"] == run["run_id"]]
    column_of = {phase: phase_column(phase) for phase in phases_of(frames.column_names)}
    phases = [name for name, phase in run["phases"].items() if phase["parent"] is None]
    count = len(table)
    if not count:
        return Strip(run["run_id"], (), 0.0, 0)
    group = np.arange(count) * min(count, MOST_COLUMNS) // count
    grouped = table.groupby(group)
    means = grouped[[column_of[phase] for phase in phases]].mean()
    walls = (table["end_ns"] - table["start_ns"]).groupby(group).mean()
    ends = grouped["frame"].agg(["first", "last"]).to_numpy().tolist()
    warmup = grouped["warmup"].all().tolist()
    top_ns = max(1.0, float(walls.max()))
    width = STRIP_WIDTH / len(means)
    bars: list[Bar] = []
    for column, values in enumerate(means.to_numpy().tolist()):
        y = float(STRIP_HEIGHT)
        first, last = ends[column]
        note = " (warm-up)" if warmup[column] else ""
        which = f"frame {first}" if first == last else f"frames {first} to {last}, mean"
        for phase, ns in zip(phases, values):
            height = ns / top_ns * STRIP_HEIGHT
            if height < 0.2:
                continue
            y -= height
            title = f"{which}{note}, {phase}: {ns / 1e6:.3f} ms"
            colour, opacity = COLOURS.get(phase, OTHER_COLOUR), WARMUP_OPACITY if warmup[column] else 1.0
            bars.append(Bar(column * width, y, max(width - 0.5, 0.5), height, colour, opacity, title))
    return Strip(run["run_id"], tuple(bars), top_ns / 1e6, count)
