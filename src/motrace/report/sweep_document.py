"""A sweep as a document: how the time of a frame grows. In full for files, and in short for the terminal."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from ..findings.sweep_model import MeasuredRun, QuantityFit, SlopeAlong, Sweep, SweepPoint, SweepResults
from ..statistics.scaling_fit import Dominant, FitSummary, Term
from .blocks import Block, Column, Document, Section, Table, Text, Tone, numbers, section, table, words
from .figures import Curve, Curves, Dot, Figure, Slice, Stack, Strips
from .format import count, interval, ms, number, percent, short_ms
from .say import capital
from .sections.answer import warning
from .sections.environment import adapter_line, environment_facts, facts
from .sections.pools import slug

TERMS = {
    "fixed": ("fixed", "ms", 1e6),
    "per_pixel": ("pixels", "ms/Mpx", 1.0),
    "per_env": ("environments", "ms/env", 1e6),
    "per_pixel_env": ("pixels x environments", "ms/(Mpx env)", 1.0),
}
"""Label, unit, and ns (per pixel, per environment) in that unit: 1 ns per pixel is 1 ms per megapixel."""
QUANTITIES = {"frame": "frame (loop)", "frame_with_drain": "frame with drain", "capture": "capture"}
CURVE_STEPS = 24
LAW = (
    "The unit is the run: one mean over its frames, warm-up left out. t = fixed + a·pixels + b·environments + "
    "c·pixels·environments, residuals relative to the time, coefficients not negative. Beyond doubt: the 95 % interval "
    "of a term's lead over the next one lies above 0. A slope of 1 is linear growth; a fixed part makes it less. "
    "See docs/scaling.md of motrace."
)


NOTHING = SweepResults((), (), ())


def full(sweep: Sweep) -> Document:
    """Everything that a sweep found."""
    results = sweep.results or NOTHING
    answers = [Text(" ".join(findings(one)), Tone.ANSWER, f"{_name(one)}.") for one in results.fits]
    recorded = [Text(f"recorded {sweep.created_utc}", Tone.NOTE)] if sweep.created_utc else []
    return Document(f"How the time of a frame grows: {sweep.sweep}", (*recorded, *answers), (
        *section("warnings", "Warnings", *map(warning, results.warnings)),
        *(one for fit in results.fits for one in _fit(fit, results.runs)),
        *section("law", "How to read this", Text(LAW)),
        *_command(sweep),
        *_environment(sweep, results),
    ))  # fmt: skip


def short(sweep: Sweep) -> Document:
    """What fits on a screen; points and findings of the first quantity, for the files have them for the others too."""
    results = sweep.results or NOTHING
    blocks: list[Block] = [warning(one, Tone.WARNING) for one in results.warnings]
    for place, one in enumerate(results.fits):
        title = Text("", lead=_name(one))
        blocks += [title, table("", _SHORT_POINTS, one.points)] if not place else [title]
        if one.fit is not None:
            blocks += [table("", _TERMS[:4], one.fit.terms), Text(_how_good(one, one.fit), Tone.NOTE)]
        blocks += map(Text, findings(one) if not place else ())
    return Document(sweep.sweep, tuple(blocks), ())


def _name(one: QuantityFit) -> str:
    return capital(f"{QUANTITIES[one.quantity.value]}, mode {one.mode}")


def findings(one: QuantityFit) -> Iterator[str]:
    """What a fit says, in sentences."""
    if one.unknown is not None:
        yield f"{capital(one.unknown)}."
    for corner in one.corners:
        doubt = "" if corner.certain else " (not beyond doubt)"
        yield (
            f"At {_place(corner)} the largest term is {TERMS[corner.term][0]}: {percent(corner.share)} of "
            f"{short_ms(corner.time_ns)} ms{doubt}."
        )
    for along in one.slopes:
        if along.along_envs:
            slope = along.slope
            known = ", no interval" if slope.lo is None else f" (95 %: {interval(slope.lo, slope.hi, number)})"
            yield f"Growth with environments at {_held(along)}: {slope.verdict}; slope {number(slope.value)}{known}."


def _place(at: SweepPoint | Dominant) -> str:
    return f"{at.num_envs} x {at.width}x{at.height}"


def _held(along: SlopeAlong) -> str:
    """What is held while the other grows."""
    if along.num_envs is None:
        return f"{along.width}x{along.height}"
    return f"{along.num_envs} environment{'s' if along.num_envs > 1 else ''}"


def _fit(one: QuantityFit, runs: Sequence[MeasuredRun]) -> list[Section]:
    blocks: list[Block] = [
        Figure("Dots are runs, lines the fit; both axes are logarithmic", chart(one, runs)),
        table("", _POINTS, one.points),
    ]
    if one.fit is None:
        blocks.append(Text(f"{capital(one.unknown or 'no fit')}."))
    else:
        labels = [TERMS[term.name][0] for term in one.fit.terms]
        blocks += [
            table("Terms", _TERMS, one.fit.terms), Text(_quality(one, one.fit), Tone.NOTE),
            Figure("The parts of the time at the corners", _corner_strips(one.corners, labels)),
            _corners(one.corners, labels),
        ]  # fmt: skip
    blocks.append(table("Growth", _SLOPES, one.slopes))
    return section(slug(one.quantity.value, one.mode), _name(one), *blocks)


def _how_good(one: QuantityFit, fit: FitSummary) -> str:
    left_out = one.left_out_median
    others = "" if left_out is None else f"; each point from the others: median error {percent(left_out)}"
    good = f"R2 {number(fit.r_squared, 4)}, residual {percent(fit.residual_sd)}"
    return f"{good}{others}; intervals rest on {fit.basis}"


def _quality(one: QuantityFit, fit: FitSummary) -> str:
    lack = "not tested" if fit.lack_of_fit_p is None else f"p = {number(fit.lack_of_fit_p, 3)}"
    text = (
        f"{fit.runs} runs at {fit.points} points. R² {number(fit.r_squared, 4)}; relative "
        f"residual {percent(fit.residual_sd)} (standard deviation of a run). Intervals rest on {fit.basis}. Lack of "
        f"fit: {lack}. "
    )
    if (worst := one.left_out_worst) is None:
        return text + "No point can be left out: the others do not separate the terms."
    error = f"{percent(worst.error)} ({worst.num_envs} x {worst.width}x{worst.height})"
    return text + f"Each point predicted from the others: median error {percent(one.left_out_median)}, worst {error}."


def _corner_strips(corners: Iterable[Dominant], labels: Sequence[str]) -> Strips:
    return Strips(tuple(
        Stack(_place(one), tuple(
            Slice(label, ns, f"{label}: {percent(ns / one.time_ns)}") for label, ns in zip(labels, one.parts_ns)
        ))
        for one in corners
    ))  # fmt: skip


def _part(at: int, one: Dominant) -> float:
    return one.parts_ns[at] / one.time_ns


def _corners(corners: Iterable[Dominant], labels: Sequence[str]) -> Table:
    columns: list[Column[Dominant]] = [
        words("corner", _place), numbers("time, ms", lambda one: one.time_ns, ms),
        *(numbers(label, partial(_part, at), percent) for at, label in enumerate(labels)),
        words("largest", lambda one: TERMS[one.term][0] + ("" if one.certain else " (not beyond doubt)")),
    ]  # fmt: skip
    return table("", columns, corners)


def coefficient(value: float, term: str) -> str:
    """A coefficient in its term's unit, three significant digits."""
    return f"{float(f'{value / TERMS[term][2]:.3g}'):,.10g}"


def _term(one: Term) -> str:
    return coefficient(one.value, one.name) + (" (held)" if one.held_at_zero else "")


def _steps(along: SlopeAlong) -> str:
    return ", ".join(
        f"{step.low:g}→{step.high:g}: {number(step.slope)} ({step.marginal_ns / 1e6:.3g})" for step in along.slope.steps
    )


def _size(point: SweepPoint) -> str:
    return f"{point.width}x{point.height}"


def _half(point: SweepPoint) -> float | None:
    return None if point.hi_ns is None else point.hi_ns - point.mean_ns


_POINTS: list[Column[SweepPoint]] = [
    numbers("environments", lambda one: one.num_envs, count), words("size", _size),
    numbers("runs", lambda one: one.runs, count), numbers("mean, ms", lambda one: one.mean_ns, ms),
    numbers("95 % of the mean", lambda one: one, lambda one: interval(one.lo_ns, one.hi_ns, ms)),
    numbers("fitted, ms", lambda one: one.fitted_ns, ms), numbers("residual", lambda one: one.residual, percent),
]  # fmt: skip
_SHORT_POINTS: list[Column[SweepPoint]] = [
    numbers("envs", lambda one: one.num_envs, count), words("size", _size),
    numbers("runs", lambda one: one.runs, count), numbers("mean, ms", lambda one: one.mean_ns, short_ms),
    numbers("± 95 %", _half, short_ms), numbers("fitted, ms", lambda one: one.fitted_ns, short_ms),
    numbers("residual", lambda one: one.residual, percent),
]  # fmt: skip
_TERMS: list[Column[Term]] = [
    words("term", lambda one: TERMS[one.name][0]), words("unit", lambda one: TERMS[one.name][1]),
    numbers("value", lambda one: one, _term),
    numbers("95 % interval", lambda one: one, lambda one: interval(one.lo, one.hi, lambda v: coefficient(v, one.name))),
    numbers("without the bound at 0", lambda one: one, lambda one: coefficient(one.unconstrained, one.name)),
]  # fmt: skip
_SLOPES: list[Column[SlopeAlong]] = [
    words("along", lambda one: "environments" if one.along_envs else "pixels"), words("at", _held),
    numbers("log-log slope", lambda one: one.slope.value, number),
    numbers("95 % interval", lambda one: one.slope, lambda slope: interval(slope.lo, slope.hi, number)),
    words("growth", lambda one: one.slope.verdict),
    words("from one value to the next: slope (ms for each unit more)", _steps),
]  # fmt: skip


def _command(sweep: Sweep) -> list[Section]:
    argv = sweep.command.argv
    text = Text(shlex.join(argv), Tone.CODE) if argv else Text("There is no sweep.json.", lead="Not known.")
    return section("command", "Command", text)


def _environment(sweep: Sweep, results: SweepResults) -> list[Section]:
    rows = environment_facts(sweep.environment)
    adapter = results.runs[0].adapter if results.runs else None
    if adapter is not None:
        rows.insert(0, ("Vulkan adapter", adapter_line(adapter, None)))
    return section("environment", "Environment", facts(rows))


def chart(one: QuantityFit, runs: Sequence[MeasuredRun]) -> Curves:
    """A fit and the runs that it rests on: time against environments, or pixels where only those vary."""
    own = [(run, ns) for run in runs if run.mode == one.mode and (ns := run.time_ns(one.quantity)) is not None]
    by_envs = len({run.num_envs for run, _ in own}) > 1

    def across(run: MeasuredRun) -> int:
        return run.num_envs if by_envs else run.width * run.height

    def held(run: MeasuredRun) -> tuple[int, str]:
        if by_envs:
            return run.width * run.height, f"{run.width}x{run.height}"
        return run.num_envs, f"{run.num_envs} environments"

    xs = sorted({across(run) for run, _ in own})
    curves = []
    for key in sorted({held(run) for run, _ in own}):
        points = tuple(Dot(across(run), ns, f"{run.run}: {ms(ns)} ms") for run, ns in own if held(run) == key)
        curves.append(Curve(key[1], points, tuple(_line(one.fit, key[0], xs, by_envs))))
    heights = [ns for _, ns in own] + [y for curve in curves for _, y in curve.line if y > 0]
    ticks = tuple((value, f"{value / 1e6:g}") for value in _ticks(min(heights), max(heights)))
    places = tuple((float(x), f"{x:,}") for x in xs)
    return Curves(tuple(curves), "environments" if by_envs else "pixels", "ms per frame", places, ticks)


def _line(fit: FitSummary | None, held: int, xs: Sequence[int], by_envs: bool) -> Iterator[tuple[float, float]]:
    """The fitted time (ns) along the axis, the other variable held."""
    for step in range(CURVE_STEPS + 1) if fit is not None else ():
        x = xs[0] * (xs[-1] / xs[0]) ** (step / CURVE_STEPS)
        assert fit is not None
        yield x, fit.predicted_ns(x, held) if by_envs else fit.predicted_ns(held, x)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 ... between two values."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]
