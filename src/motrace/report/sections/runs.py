"""Each run: how it ended, where its wall time went, its frames, and what recording it cost."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...dataset.frames import phase_times
from ...findings.model import Report
from ...findings.run_model import Pool, RunSummary
from ..blocks import Column, Section, Text, Tone, numbers, section, table, words
from ..figures import Columns, Figure, Slice, Stack, Strips
from ..format import count, number, percent, seconds, size
from ..say import pool_name

MOST_COLUMNS = 450
"""A run of more frames is drawn with the mean of some in a row."""


def runs(report: Report) -> list[Section]:
    """A row for each run."""
    columns: list[Column[RunSummary]] = [
        words("run", lambda run: run.run_id), words("mode", lambda run: run.mode),
        words("status", lambda run: f"{run.status}: {run.status_reason}" if run.status_reason else run.status),
        numbers("frames", lambda run: run.frames, count), numbers("warm-up", lambda run: run.warmup_frames, count),
        numbers("loop FPS", lambda run: run.loop_fps, number),
        numbers("effective FPS", lambda run: run.effective_fps, number),
        numbers("wall, s", lambda run: run.run_wall_ns, seconds),
        numbers("residual, ns", lambda run: run.residual_ns, count),
    ]  # fmt: skip
    note = (
        "Loop FPS is frames over the loop. Effective FPS is frames over the loop and the drain (what is left after the "
        "last frame: buffered encoding). Residual is time attributed twice or not at all; it must be 0."
    )
    rules = dict.fromkeys(run.workload.warmup_rule for run in report.runs if run.workload.warmup_rule)
    return section(
        "runs", "Runs", table("", columns, report.runs), Text(note, Tone.NOTE),
        *(Text(f"Warm-up: {rule}.", Tone.NOTE) for rule in rules), *_videos(report.runs),
    )  # fmt: skip


def _videos(every: tuple[RunSummary, ...]) -> Iterator[Text]:
    for run in every:
        if (video := run.video) is not None:
            yield Text(
                f"Video of {run.run_id}: {video.path}, {video.frames} frames, {number(video.duration_s)} s at "
                f"{number(video.fps, 0)} FPS, {video.width}x{video.height}, {size(video.bytes)}.", Tone.NOTE,
            )  # fmt: skip


def segments(report: Report) -> list[Section]:
    """Wall time by segment, means over the runs of a pool."""
    names = list(dict.fromkeys(one.segment for pool in report.pools for one in pool.segments_mean))
    columns: list[Column[Pool]] = [
        words("mode (runs)", lambda pool: f"{pool_name(pool.key)} ({len(pool.runs)})"),
        *(numbers(name, partial(_segment_ns, name), seconds) for name in names),
        numbers("sum", lambda pool: pool.run_wall_mean_ns, seconds),
    ]
    strips = Strips(tuple(
        Stack(pool_name(pool.key), tuple(
            Slice(one.segment, one.wall_ns, f"{one.segment} {seconds(one.wall_ns)} s") for one in pool.segments_mean
        ))
        for pool in report.pools
    ))  # fmt: skip
    return section("segments", "Wall time by segment, s", Figure("", strips), table("", columns, report.pools),
                   Text("Means over the runs of a mode.", Tone.NOTE))  # fmt: skip


def _segment_ns(name: str, pool: Pool) -> int:
    return sum(one.wall_ns for one in pool.segments_mean if one.segment == name)


def frames(report: Report, table_of_frames: pa.Table, frame_phases: pa.Table) -> list[Section]:
    """Every frame of every run, divided by phase."""
    figures = [_strip(run, table_of_frames, frame_phases) for run in report.runs]
    return section("frames", "Frames", *figures)


def _strip(run: RunSummary, every: pa.Table, frame_phases: pa.Table) -> Figure:
    """One column for each frame; where there are more than fit, one for the mean of some in a row."""
    mine = every.filter(pc.equal(every.column("run").cast("string"), run.run_id))
    if not (total := mine.num_rows):
        return Figure("", Columns((), 0))
    group = np.arange(total) * min(total, MOST_COLUMNS) // total
    sizes = np.bincount(group)
    wall = (pc.subtract(mine.column("end_ns"), mine.column("start_ns"))).to_numpy()
    top = max(1.0, float((np.bincount(group, wall) / sizes).max()))
    times = phase_times(mine, frame_phases)
    means = {one.phase: np.bincount(group, times[one.phase]) / sizes
             for one in run.phases if one.parent is None and one.phase in times}  # fmt: skip
    numbered, pale = mine.column("frame").to_pylist(), np.bincount(group, mine.column("warmup").to_numpy()) == sizes
    ends = np.searchsorted(group, np.arange(len(sizes) + 1))
    stacks = []
    for place in range(len(sizes)):
        first, last = numbered[ends[place]], numbered[ends[place + 1] - 1]
        label = f"frame {first}" if first == last else f"frames {first} to {last}, mean"
        label += " (warm-up)" if pale[place] else ""
        parts = tuple(Slice(phase, ns[place], f"{ns[place] / 1e6:,.3f} ms") for phase, ns in means.items())
        stacks.append(Stack(label, parts, bool(pale[place])))
    title = f"{run.run_id}: {total} frames, warm-up pale; full height {number(top / 1e6, 1)} ms"
    return Figure(title, Columns(tuple(stacks), top))


def recorder(report: Report) -> list[Section]:
    """Recorder overhead."""
    costs = {run.recorder.boundary_cost_ns for run in report.runs if run.recorder.boundary_cost_ns}
    known = f"{min(costs)} to {max(costs)} ns each" if len(costs) > 1 else f"{min(costs, default=0)} ns each"
    how = (
        f"Boundaries of spans cost {known} (measured at the end of each run); snapshots of CPU clocks count as timed."
        if costs
        else "Not measured: no recorder ran to its end."
    )
    columns: list[Column[RunSummary]] = [
        words("run", lambda run: run.run_id), numbers("recorder, s", lambda run: run.recorder.recorder_ns, seconds),
        numbers("share of loop", lambda run: run.recorder.share_of_loop, percent),
    ]  # fmt: skip
    return section("recorder", "Recorder overhead", table("", columns, report.runs), Text(how, Tone.NOTE))
