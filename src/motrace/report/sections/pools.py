"""Where the time of each pool of runs went: buckets with bounds, phases, causes, and what is outside the loop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from ...dataset.estimate import Estimate
from ...findings.run_model import Composition, Pool
from ...findings.values import BucketTime, CauseTime, Distribution, PhaseTime, SegmentPhase, Worker
from ...vocabulary import BUCKETS, CAUSES, FRAMED_SEGMENTS
from ..blocks import Column, Section, Table, Text, Tone, numbers, section, table, words
from ..figures import Bar, Bars, Figure
from ..format import interval, ms, percent, seconds
from ..say import evidence, pool_name, say

SMALLEST_CAUSE, SMALLEST_UPPER_BOUND, SMALLEST_PHASE = 0.0005, 0.005, 0.01
"""Shares below which a cause, a cause's upper bound and a phase outside the loop are left out."""
INDENT = "\u00a0\u00a0"


class Timed(Protocol):
    """What has a time with bounds."""

    @property
    def time(self) -> Estimate:
        """The time."""


BUCKET: Column[BucketTime] = words("bucket", lambda one: BUCKETS[one.bucket])
SHARES: tuple[Column[BucketTime], ...] = (
    numbers("share", lambda one: None if one.guess else one.share, percent),
    numbers("at least", lambda one: one.lo_share, percent),
    numbers("at most", lambda one: one.hi_share, percent),
)  # fmt: skip
BOUNDS: tuple[Column[Timed], ...] = (
    numbers("at least", lambda one: one.time.lo_ns, seconds), numbers("at most", lambda one: one.time.hi_ns, seconds),
)  # fmt: skip


def _time(pool: Pool) -> Column[Timed]:
    """The time, where it is more than a guess."""
    wall = pool.recording_wall_ns
    return numbers("s", lambda one: None if one.time.guessed(wall) else one.time.ns, seconds)


def _likely(one: BucketTime) -> str:
    return interval(one.likely_lo_share, one.likely_hi_share, percent)


def _runs(one: BucketTime) -> str:
    return interval(None if one.guess else one.least_run_share, one.most_run_share, percent)


def slug(*names: str) -> str:
    """Names as the id of a section."""
    return "-".join(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in names)


def pools(every: tuple[Pool, ...]) -> list[Section]:
    """The sections of each pool."""
    return [one for pool in every for one in _pool(pool)]


def _pool(pool: Pool) -> Iterator[Section]:
    name, mine = pool_name(pool.key), slug("pool", pool.key.mode, *pool.key.profilers)
    plural = "s" if len(pool.runs) > 1 else ""
    figure = Figure("Loop and drain by bucket, with bounds", bars(pool.best))
    yield Section(mine, f"Mode {name}: {pool.frames} frames of {len(pool.runs)} run{plural}", (figure,))
    if pool.composed is not None:
        yield from _composition(mine, pool, pool.composed)
    note = Text(_label(pool), Tone.NOTE) if _label(pool) else None
    yield from section(f"{mine}-buckets", "Buckets of loop and drain", buckets(pool, pool), note, level=3)
    yield from section(f"{mine}-phases", "Phases of the loop, ms per frame", phases(pool), Text(
        "A phase includes the indented ones below it. glue is time outside every span.", Tone.NOTE,
    ), level=3)  # fmt: skip
    yield from section(f"{mine}-causes", "Causes", causes(pool), level=3)
    yield from section(f"{mine}-workers", "Workers", workers(pool), Text(
        "CPU time that other threads and child processes used while the loop thread was in the phase, whether it "
        "waited or not; an estimate between two readings of their clocks. Several at once add up.", Tone.NOTE,
    ), level=3)  # fmt: skip
    yield from section(f"{mine}-outside", "Outside the loop, s", outside(pool), level=3)


def workers(pool: Pool) -> Table:
    """Who worked in which phase."""
    columns: list[Column[Worker]] = [
        words("phase", lambda one: one.phase),
        words("worker", lambda one: one.name + (f" ({one.count})" if one.count > len(pool.runs) else "")),
        words("what", lambda one: "child process" if one.is_child else one.library or "thread"),
        words("role", lambda one: one.role), numbers("CPU s", lambda one: one.cpu_ns, seconds),
        numbers("of loop and drain", lambda one: one.cpu_ns / pool.recording_wall_ns, percent),
    ]  # fmt: skip
    return table("", columns, pool.workers)


def _label(pool: Pool) -> str:
    """What a bucket's label does not say of these runs."""
    if pool.software_adapter:
        return f"{BUCKETS['renderer_gpu']} is a software rasterizer here, which draws on the CPU in the GPU's place."
    return ""


def _composition(mine: str, pool: Pool, composed: Composition) -> Iterator[Section]:
    seen = ", ".join(composed.runs)
    text = (
        f"Times are those of the unprofiled runs. The composition of blocked time is transferred from "
        f"{seen} ({evidence(composed.evidence)}), within the bounds that the unprofiled runs' own clocks give. How "
        "much that differs from run to run is not in these bounds."
    )
    title = f"Buckets of loop and drain, with the composition seen in {seen}"
    yield from section(f"{mine}-transferred", title, buckets(pool, composed), Text(text, Tone.NOTE), level=3)


def bars(of: Pool | Composition) -> Bars:
    """Wall time by bucket, with bounds."""
    return Bars(tuple(
        Bar(BUCKETS[one.bucket], None if one.guess else one.share, one.lo_share, one.hi_share)
        for one in _shown(of)
        if one.time.hi_ns
    ))  # fmt: skip


def _shown(of: Pool | Composition) -> list[BucketTime]:
    """Buckets that hold something, and the unexplained time, which is said even where there is none."""
    return [one for name in BUCKETS if (one := of.bucket(name)).time.hi_ns or name == "unexplained"]


def buckets(pool: Pool, of: Pool | Composition) -> Table:
    """Every bucket with its bounds."""
    columns: list[Column[BucketTime]] = [
        BUCKET,
        _time(pool),
        *SHARES,
        words("bounds are", lambda one: say(one.interval)),
        numbers("likely", lambda one: one, _likely),
        numbers("its runs", lambda one: one, _runs),
        words("rests on", lambda one: evidence(one.evidence)),
    ]
    total = ("sum", seconds(pool.recording_wall_ns), percent(1.0) if pool.recording_wall_ns else "–")
    return table("", columns, _shown(of), total)


def short_buckets(pool: Pool) -> Table:
    """Buckets that hold something, in few columns."""
    rows = [one for one in _shown(pool.best) if one.hi_share >= SMALLEST_CAUSE]
    kind: Column[BucketTime] = words("bounds are", lambda one: say(one.interval))
    return table("", [BUCKET, _time(pool), *SHARES, kind], rows)


def phases(pool: Pool) -> Table | None:
    """Times per frame of each phase, and of the frame."""
    if not pool.frames:
        return None
    times: tuple[tuple[str, Callable[[Distribution], int]], ...] = (
        ("total", lambda one: one.total_ns), ("mean", lambda one: one.mean_ns), ("p50", lambda one: one.p50_ns),
        ("p95", lambda one: one.p95_ns), ("p99", lambda one: one.p99_ns), ("max", lambda one: one.max_ns),
    )  # fmt: skip

    def row(name: str, time: Distribution, share: float) -> tuple[str, ...]:
        return (name, *(ms(of(time)) for _, of in times), percent(share))

    header = ("phase", *(title for title, _ in times), "share of loop")
    rows = tuple(row(INDENT * depth + one.phase, one.time, one.share) for depth, one in nested(pool.phases))
    return Table("", header, (False, *(True for _ in header[1:])), rows, row("frame", pool.frame, pool.frame_share))


def causes(pool: Pool) -> Table:
    """What the loop thread did, and what was busy while it was blocked."""
    least = SMALLEST_UPPER_BOUND * pool.recording_wall_ns
    columns: list[Column[CauseTime]] = [
        words("phase", lambda one: one.phase), words("state", lambda one: one.state),
        words("cause", lambda one: one.cause), words("meaning", lambda one: CAUSES[one.cause].meaning),
        _time(pool), *BOUNDS,
        numbers("share", lambda one: None if one.time.guessed(pool.recording_wall_ns) else one.share, percent),
        words("bounds are", lambda one: say(one.interval)), words("rests on", lambda one: evidence(one.evidence)),
    ]  # fmt: skip
    rows = [one for one in pool.causes if one.share >= SMALLEST_CAUSE or one.time.hi_ns >= least]
    return table("What the loop thread did, and what was busy while it was blocked", columns, rows, folded=True)


def outside(pool: Pool) -> Table:
    """What start-up, drain and shutdown consist of."""
    columns: list[Column[SegmentPhase]] = [
        words("segment", lambda one: one.segment), words("phase", lambda one: one.phase),
        numbers("s (all runs)", lambda one: one.total_ns, seconds),
        numbers("share of the segment", lambda one: one.share, percent),
    ]  # fmt: skip
    rows = [one for one in pool.segment_phases if one.segment not in FRAMED_SEGMENTS and one.share >= SMALLEST_PHASE]
    return table("Start-up, drain and shutdown", columns, rows, folded=True)


def nested(phases: tuple[PhaseTime, ...]) -> list[tuple[int, PhaseTime]]:
    """Phases with each behind its parent, otherwise in their order, and how many stand around it."""
    known = {one.phase: one for one in phases}

    def parent(one: PhaseTime) -> str | None:
        """The phase around it; None at the top, and for phases that stand around each other."""
        seen: set[str] = set()
        at = one.parent
        while at in known and at not in seen:
            if at == one.phase:
                return None
            seen.add(at)
            at = known[at].parent
        return one.parent if one.parent in known else None

    def below(name: str | None, depth: int) -> Iterator[tuple[int, PhaseTime]]:
        for one in phases:
            if parent(one) == name:
                yield depth, one
                yield from below(one.phase, depth + 1)

    return list(below(None, 0))
