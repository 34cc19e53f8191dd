"""What profilers saw of each run."""

from __future__ import annotations

from collections import Counter

from ...findings.model import Report
from ...findings.profile_model import CallSum, GpuPerFrame, GpuPhase, LineHint, SampleCount, Sensor, TraceSummary
from ..blocks import Column, Section, Table, Text, numbers, section, table, words
from ..format import count, ms, number, percent, seconds
from ..say import evidence
from .pools import slug

SMALLEST_CLASS = 0.02
"""A class of samples below this share of its phase is left out."""


def traces(report: Report) -> list[Section]:
    """A section for each run that something watched."""
    return [
        one
        for run in report.runs
        if run.trace is not None
        for one in section(
            slug("trace", run.run_id), f"What profilers saw of {run.run_id}", _covers(run.trace), *_tables(run.trace)
        )
    ]


def _covers(trace: TraceSummary) -> Text:
    events = ", ".join(f"{one.rows:,} {one.table}" for one in trace.events)
    if not (events or any(one.rows for one in _tables(trace))):
        return Text("No GPU work, no calls, no ranges and no samples: the program did nothing that motrace records.")
    return Text(
        f"Covers {seconds(trace.covered_ns)} s, with times aligned to {trace.error_ns / 1e3:,.1f} us. Blocked time "
        f"rests on: {evidence(trace.evidence) or 'CPU clocks alone'}. Events: {events or 'none'}."
    )


def _tables(trace: TraceSummary) -> list[Table]:
    return [
        table("GPU work by phase", _GPU_PHASES, trace.gpu_phases),
        _gpu_per_frame(trace.gpu_per_frame),
        table("What the loop thread waited on", _CALLS, trace.waits),
        table("What the renderer's threads called", _CALLS, trace.renderer_calls),
        _samples(trace.samples),
        table("GPU sensors over the frames", _SENSORS, trace.gpu_sensors),
        table("Lines that Scalene points at (hints: its split is not evidence)", LINES[:4], trace.lines),
    ]


def _gpu_per_frame(frames: GpuPerFrame | None) -> Table:
    columns: list[Column[tuple[str, str]]] = [
        words("mean over frames", lambda row: row[0]), numbers("value", lambda row: row[1], str)
    ]  # fmt: skip
    rows = [] if frames is None else [
        ("GPU (or software rasterizer) busy, ms", ms(frames.busy_mean_ns)),
        ("busy while the loop thread was off its core, ms", ms(frames.wait_mean_ns)),
        ("gap to the next frame's first work, ms", ms(frames.gap_mean_ns)),
        ("serialisation (1: CPU and GPU alternated, 0: overlapped)", number(frames.serialisation_mean)),
    ]  # fmt: skip
    return table("GPU per frame", columns, rows)


def _samples(samples: tuple[SampleCount, ...]) -> Table:
    """What py-spy saw the loop thread do in each phase: the largest classes."""
    totals = Counter[str]()
    for one in samples:
        totals[one.phase] += one.samples
    order = list(totals)
    shown = sorted(
        (one for one in samples if one.samples >= SMALLEST_CLASS * totals[one.phase]),
        key=lambda one: (order.index(one.phase), -one.samples, one.kind),
    )
    columns: list[Column[SampleCount]] = [
        words("phase", lambda one: one.phase), words("class", lambda one: one.kind),
        numbers("samples", lambda one: one.samples, count),
        numbers("share", lambda one: one.samples / totals[one.phase] if totals[one.phase] else None, percent),
    ]  # fmt: skip
    return table("Samples of the loop thread's stacks", columns, shown)


def _tenth(value: float) -> str:
    return number(value, 1)


_GPU_PHASES: list[Column[GpuPhase]] = [
    words("phase", lambda one: one.phase), numbers("operations", lambda one: one.operations, count),
    numbers("launched in it, s", lambda one: one.launched_ns, seconds),
    numbers("ran meanwhile, s", lambda one: one.ran_ns, seconds),
]  # fmt: skip
_CALLS: list[Column[CallSum]] = [
    words("phase", lambda one: one.phase), words("thread", lambda one: one.role),
    words("call", lambda one: f"{one.name} ({one.api})"), words("waits on", lambda one: one.waits_on),
    numbers("calls", lambda one: one.calls, count), numbers("s", lambda one: one.total_ns, seconds),
]  # fmt: skip
_SENSORS: list[Column[Sensor]] = [
    words("GPU", lambda one: str(one.device)), words("metric", lambda one: one.metric),
    numbers("mean", lambda one: one.mean, number), numbers("least", lambda one: one.least, number),
    numbers("most", lambda one: one.most, number), words("unit", lambda one: one.unit),
]  # fmt: skip
LINES: list[Column[LineHint]] = [
    words("line", lambda one: f"{one.file}:{one.line}"), numbers("Python %", lambda one: one.python_pct, _tenth),
    numbers("native %", lambda one: one.native_pct, _tenth), numbers("system %", lambda one: one.system_pct, _tenth),
    numbers("copies, MB/s", lambda one: one.copy_mb_s, _tenth), numbers("peak, MB", lambda one: one.peak_mb, _tenth),
]  # fmt: skip
