"""A report as a document: in full for files, and in short for the terminal."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from ..findings.model import Report
from ..findings.run_model import Pool
from .blocks import Block, Document, Section, Text, Tone
from .format import ms, number, seconds, signed_ms
from .say import pool_name
from .sections import answer, comparison, environment, pools, profiles, runs, traces, trust

FIRST: tuple[Callable[[Report], list[Section]], ...] = (answer.benchmark, answer.warnings, runs.runs, runs.segments)
LAST: tuple[Callable[[Report], list[Section]], ...] = (
    comparison.comparison, comparison.episodes, traces.traces, profiles.profiles, trust.profiler_overhead,
    trust.clocks, runs.recorder, environment.command, environment.environment,
)  # fmt: skip


def full(report: Report, frames: pa.Table, frame_phases: pa.Table) -> Document:
    """Everything that a report says; ``frames`` and ``frame_phases`` are the tables of these names."""
    recorded = Text(f"recorded {report.created_utc}", Tone.NOTE) if report.created_utc else None
    return Document(
        f"Where the time went: {report.experiment}",
        (*([recorded] if recorded else []), *answer.verdict(report.verdict)),
        (
            *(one for part in FIRST for one in part(report)),
            *runs.frames(report, frames, frame_phases),
            *pools.pools(report.pools),
            *(one for part in LAST for one in part(report)),
        ),
    )


def short(report: Report) -> Document:
    """What fits on a screen: the verdict, the warnings, the buckets of each pool, what recording adds."""
    blocks: list[Block] = [*answer.verdict(report.verdict)]
    blocks += [answer.warning(one, Tone.WARNING) for one in report.warnings]
    blocks += map(profiles.short, report.profiles)
    for pool in report.pools:
        blocks += _pool(pool, report)
    if report.runs:
        blocks.append(Text(_added(report)))
    return Document(report.experiment, tuple(blocks), ())


def _pool(pool: Pool, report: Report) -> list[Block]:
    name = f"{pool_name(pool.key)}:"
    if not pool.frames:
        spent = ", ".join(f"{one.segment} {seconds(one.wall_ns)} s" for one in pool.segments)
        return [Text(f"no frame was finished ({spent})", lead=name)]
    blocks: list[Block] = [Text(
        f"{pool.frames} frames, {number(pool.loop_fps)} FPS in the loop, {number(pool.effective_fps)} with the drain, "
        f"{ms(pool.frame.mean_ns)} ms per frame", lead=name,
    )]  # fmt: skip
    if pool.key.mode == "custom" and len(pool.runs) > 1:  # started by hand: they need not be alike
        each = ", ".join(f"{run.run_id}: {number(run.loop_fps)} FPS" for run in report.runs_named(pool.runs))
        blocks.append(Text(each))
    if pool.composed is not None:
        blocks.append(Text(f"with the composition transferred from {', '.join(pool.composed.runs)}:"))
    return [*blocks, pools.short_buckets(pool)]


def _added(report: Report) -> str:
    contrast = report.comparison.record_against_none
    if contrast is None:
        return f"record against none: {comparison.unknown(report.comparison)}"
    one = contrast.frame_with_drain_ns
    doubt = "no interval" if one.lo is None else f"95 %: {comparison.difference_interval(one)}"
    return f"recording adds {signed_ms(one.difference)} ms per frame ({doubt}), drain included"
