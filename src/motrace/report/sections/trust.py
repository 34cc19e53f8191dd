"""How far profiles can be trusted: what the profilers cost, and how well clocks were aligned."""

from __future__ import annotations

from ...findings.model import ClockAlignment, ProfilerOverhead, Report
from ..blocks import Column, Section, Text, Tone, numbers, section, table, words
from ..format import count, interval, ms, number, percent
from ..say import say


def profiler_overhead(report: Report) -> list[Section]:
    """Each phase under each profiler against the unprofiled runs."""
    text = (
        "Mean per frame under each profiler against the unprofiled runs of the same mode. Above 5 %, what it shows of "
        "a phase is flagged; above 30 %, it is refused. The same holds where a phase took that much less, because the "
        "machine was busy. The interval assumes that a profiler's only pass scatters as the unprofiled runs do."
    )
    rows = table("", _OVERHEAD, report.profiler_overhead)
    return section("profiler-overhead", "Profiler overhead", rows, Text(text, Tone.NOTE))


def _use(one: ProfilerOverhead) -> str:
    return say(one.use) + (f" (usable at {one.usable_rate_hz} samples per second)" if one.usable_rate_hz else "")


def clocks(report: Report) -> list[Section]:
    """How times of each source were brought onto the clock of its run."""
    text = "How times of each source were brought onto the run's CLOCK_MONOTONIC; 95 % of them are within the error."
    rows = table("", _CLOCKS, [one for one in report.clocks if one.source != "spans"])
    return section("clocks", "Clocks", rows, Text(text, Tone.NOTE))


_OVERHEAD: list[Column[ProfilerOverhead]] = [
    words("mode", lambda one: one.key.mode), words("profilers", lambda one: ", ".join(one.key.profilers)),
    words("phase", lambda one: one.phase or "frame"), numbers("unprofiled, ms", lambda one: one.unprofiled_ns, ms),
    numbers("profiled, ms", lambda one: one.profiled_ns, ms), numbers("change", lambda one: one.change, percent),
    numbers("95 %", lambda one: one, lambda one: interval(one.lo, one.hi, percent)), words("use", _use),
]  # fmt: skip
_CLOCKS: list[Column[ClockAlignment]] = [
    words("run", lambda one: one.run_id), words("source", lambda one: one.source),
    numbers("error, us", lambda one: one.error_ns / 1e3, lambda value: number(value, 1)),
    numbers("drift, ppm", lambda one: one.drift_ppm, lambda value: number(value, 3)),
    numbers("pairs", lambda one: one.pairs, count), words("method", lambda one: say(one.method)),
]  # fmt: skip
