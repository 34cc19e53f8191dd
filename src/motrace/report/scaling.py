"""sweep.md and sweep.html: how the time of a frame grows, in one file each, without script or network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .format import ms, number, percent, short_ms, templates

Json = dict[str, Any]

TERMS = {
    "fixed": ("fixed", "ms", 1e6),
    "per_pixel": ("pixels", "ms/Mpx", 1.0),
    "per_env": ("environments", "ms/env", 1e6),
    "per_pixel_env": ("pixels x environments", "ms/(Mpx env)", 1.0),
}
"""Label, unit, and ns (per pixel, per environment) in that unit: 1 ns per pixel is 1 ms per megapixel."""
QUANTITIES = {"frame": "frame (loop)", "frame_with_drain": "frame with drain", "capture": "capture"}
ALONG = {"num_envs": "environments", "pixels": "pixels"}
COLOURS = ("#3f7fbf", "#d9822b", "#4f9d69", "#8e6bbf", "#c04848", "#6b7280")
TERM_COLOURS = dict(zip(TERMS, ("#9aa3ad", "#3f7fbf", "#4f9d69", "#d9822b")))
WIDTH, HEIGHT = 520.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 12.0, 12.0, 40.0
STEPS = 24


@dataclass(frozen=True)
class Dot:
    """A run, in pixels of the drawing, with what to say when pointed at."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Line:
    """The points of one size (or number of environments): their runs, and the fitted curve as SVG points."""

    label: str
    colour: str
    dots: tuple[Dot, ...]
    curve: str


@dataclass(frozen=True)
class Chart:
    """Time against environments (pixels, where only those vary), both logarithmic; ticks are (place, text)."""

    x_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def render_sweep_markdown(sweep: Json) -> str:
    """sweep.md from what sweep.json holds."""
    return str(_template("sweep.md").render(sweep=sweep, results=sweep["results"]))


def render_sweep_html(sweep: Json) -> str:
    """sweep.html from what sweep.json holds: inline SVG, no script."""
    results = sweep["results"]
    charts = [chart(entry, results["runs"]) for entry in results["fits"]]
    box = (WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM)
    page = _template("sweep.html")
    return str(page.render(sweep=sweep, results=results, charts=charts, box=box, colours=TERM_COLOURS))


def _template(name: str) -> Any:
    engine = templates()
    engine.filters.update(coefficient=coefficient)
    engine.globals.update(
        TERMS=TERMS, QUANTITIES=QUANTITIES, ALONG=ALONG, findings=findings, interval=interval, zip=zip
    )
    return engine.get_template(name)


def coefficient(value: float, term: str) -> str:
    """A coefficient in its term's unit, three significant digits."""
    return f"{float(f'{value / TERMS[term][2]:.3g}'):,.10g}"


def interval(lo: float | None, hi: float | None, digits: int = 2) -> str:
    """An interval of plain numbers; a dash where there is none."""
    return "–" if lo is None else f"{number(lo, digits)} to {number(hi, digits)}"


def findings(entry: Json) -> list[str]:
    """What a fit says, in sentences."""
    if entry["fit"] is None:
        said = [sentence_of(entry["unknown"])]
    else:
        said = []
        for corner in entry["corners"]:
            doubt = "" if corner["certain"] else " (not beyond doubt)"
            said.append(
                f"At {corner['num_envs']} x {corner['width']}x{corner['height']} the largest term is "
                f"{TERMS[corner['term']][0]}: {percent(corner['share'])} of {short_ms(corner['time_ns'])} ms{doubt}."
            )
    for slope in entry["slopes"]:
        if slope["along"] == "num_envs":
            said.append(
                f"Growth with environments at {slope['at']}: {slope['verdict']}; slope {number(slope['value'])}"
                + (f" (95 %: {interval(slope['lo'], slope['hi'])})." if slope["lo"] is not None else ", no interval.")
            )
    return said


def sentence_of(text: str) -> str:
    """Capital first letter, full stop."""
    return text[:1].upper() + text[1:] + "."


def chart(entry: Json, runs: Sequence[Json]) -> Chart:
    """The drawing of a fit and the runs it rests on."""
    quantity = entry["quantity"]
    own = [run for run in runs if run["mode"] == entry["mode"] and quantity in run["times_ns"]]
    by_envs = len({run["num_envs"] for run in own}) > 1
    xs = sorted({_across(run, by_envs) for run in own})
    times = [run["times_ns"][quantity] for run in own]
    curves = {key: _curve(entry["fit"], key[0], xs, by_envs) for key in sorted({_group(run, by_envs) for run in own})}
    heights = [*times, *(y for curve in curves.values() for _, y in curve if y > 0)]
    x_at = _scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT)
    y_at = _scale(min(heights), max(heights), HEIGHT - BOTTOM, TOP)
    lines = []
    for index, (key, curve) in enumerate(curves.items()):
        dots = tuple(
            Dot(
                x_at(_across(run, by_envs)),
                y_at(run["times_ns"][quantity]),
                f"{run['run']}: {ms(run['times_ns'][quantity])} ms",
            )
            for run in own
            if _group(run, by_envs) == key
        )
        drawn = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in curve if y > 0)
        lines.append(Line(key[1], COLOURS[index % len(COLOURS)], dots, drawn))
    ticks = tuple((y_at(value), f"{value / 1e6:g}") for value in _ticks(min(heights), max(heights)))
    return Chart(
        "environments" if by_envs else "pixels",
        tuple(lines),
        tuple((x_at(x), f"{x:,}") for x in xs),
        ticks,
    )


def _across(run: Json, by_envs: bool) -> int:
    """A run's place along the axis."""
    return int(run["num_envs"] if by_envs else run["width"] * run["height"])


def _group(run: Json, by_envs: bool) -> tuple[int, str]:
    """The line a run belongs to: what is held, and its name."""
    if by_envs:
        return run["width"] * run["height"], f"{run['width']}x{run['height']}"
    return run["num_envs"], f"{run['num_envs']} environments"


def _curve(fit: Json | None, held: int, xs: Sequence[int], by_envs: bool) -> list[tuple[float, float]]:
    """The fitted time (ns) along the axis, the other variable held."""
    if fit is None:
        return []
    places = [xs[0] * (xs[-1] / xs[0]) ** (step / STEPS) for step in range(STEPS + 1)]
    found = []
    for x in places:
        envs, pixels = (x, held) if by_envs else (held, x)
        factors = {"fixed": 1.0, "per_pixel": pixels, "per_env": envs, "per_pixel_env": pixels * envs}
        found.append((x, sum(term["value"] * factors[term["name"]] for term in fit["terms"])))
    return found


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """From a value to its place on a logarithmic axis; the middle where there is one value."""
    span = math.log(high / low)
    return lambda value: round(start + (end - start) * (math.log(value / low) / span if span else 0.5), 1)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 ... between two values."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]
