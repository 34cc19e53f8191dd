"""The report as the rows of a benchmark report: what the original request asks for, each an item with its value.

Every row is always there; a value that is not known is None, and the remark says why. The rows are over the unprofiled
completed runs of ``benchmark_mode``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..cautions import Value
from ..dataset.facts import Command, Environment
from .benchmark_codes import BenchmarkItem, Note
from .codes import Answer
from .compare import CUSTOM, usable
from .environment_rows import command_rows, environment_rows
from .model import BenchmarkRow, Comparison, Contrast, Remark, Triage, Verdict
from .run_model import Pool, RunSummary
from .values import Difference, EpisodeStatistics

LOOP_PARTS = {
    "step": BenchmarkItem.STEP,
    "policy": BenchmarkItem.POLICY,
    "capture": BenchmarkItem.CAPTURE,
    "copy": BenchmarkItem.COPY,
    "encode": BenchmarkItem.ENCODE,
    "env_videos": BenchmarkItem.ENV_VIDEOS,
}
OPTIONAL = ("env_videos",)


@dataclass(frozen=True)
class Findings:
    """What the rows are made of."""

    runs: Sequence[RunSummary]
    pools: Sequence[Pool]
    comparison: Comparison
    verdict: Verdict
    triage: Triage
    environment: Environment
    command: Command | None

    @property
    def chosen(self) -> list[RunSummary]:
        """The runs that the rows are over."""
        return usable(self.runs, benchmark_mode(self.runs))

    @property
    def pool(self) -> Pool | None:
        """Their pool; None where there are none."""
        mode = benchmark_mode(self.runs)
        mine = (pool for pool in self.pools if pool.key.mode == mode and not pool.key.profiled)
        return next(mine, None) if self.chosen else None


def benchmark_rows(findings: Findings) -> tuple[BenchmarkRow, ...]:
    """All rows, in their order."""
    parts = (_result, _breakdown, _baseline, _video, _triage)
    rows = [row for part in parts for row in part(findings)]
    rows += environment_rows(findings.environment, findings.runs)
    return (*rows, *command_rows(findings.command, findings.environment))


def benchmark_mode(runs: Sequence[RunSummary]) -> str:
    """The mode that the rows are over: record; of a program that has but its own, custom."""
    own = bool(runs) and all(run.mode == CUSTOM for run in runs)
    return CUSTOM if own and usable(runs, CUSTOM) else "record"


def remark(note: Note, **values: Value) -> Remark:
    """A remark with the values of its sentence."""
    return Remark(note, values)


NO_RUN = remark(Note.NO_RUN)


def _result(findings: Findings) -> Iterator[BenchmarkRow]:
    pool, count = findings.pool, len(findings.chosen)
    if pool is None:
        items = [item for item in BenchmarkItem if item.group.value == "result"]
        units = ("s", "s", "s", "ms", "FPS", "FPS", "1", "1")
        yield from (BenchmarkRow(item, None, unit, NO_RUN) for item, unit in zip(items, units))
        return
    startup = next((one.wall_ns for one in pool.segments_mean if one.segment == "startup"), 0)
    mean = _range([run.run_wall_ns for run in findings.chosen])
    each = remark(Note.EACH_OF_RUNS, runs=count) if count > 1 else None
    playback = pool.recording_wall_ns / count / 1e9
    yield BenchmarkRow(BenchmarkItem.RUN_WALL, pool.run_wall_mean_ns / 1e9, "s", mean)
    yield BenchmarkRow(BenchmarkItem.PLAYBACK, playback, "s", remark(Note.LOOP_AND_ENCODING))
    starts = _range([run.segment_ns("startup") for run in findings.chosen])
    yield BenchmarkRow(BenchmarkItem.STARTUP, startup / 1e9, "s", starts)
    firsts = [run.first_frame_ns for run in findings.chosen if run.first_frame_ns is not None]
    median = remark(Note.MEDIAN_FRAME, p50_ns=pool.frame.p50_ns, mean_ns=pool.frame.mean_ns)
    first = sum(firsts) / len(firsts) / 1e6 if firsts else None
    yield BenchmarkRow(BenchmarkItem.FIRST_FRAME, first, "ms", median)
    yield BenchmarkRow(BenchmarkItem.CAPTURE_FPS, pool.effective_fps, "FPS", remark(Note.FRAMES_OVER_PLAYBACK))
    yield BenchmarkRow(BenchmarkItem.LOOP_FPS, pool.loop_fps, "FPS")
    yield BenchmarkRow(BenchmarkItem.FRAMES, pool.frames // count, "1", each)
    resets = None if pool.episodes is None else pool.episodes.resets_per_frame
    yield BenchmarkRow(BenchmarkItem.RESETS_PER_FRAME, resets, "1", _of_resets(pool.episodes))


def _range(values_ns: Sequence[int]) -> Remark | None:
    """How far repeats are apart, the first of them, which may be a cold start, apart; None of a single one."""
    if len(values_ns) < 2:
        return None
    spread = {"lo_ns": min(values_ns), "hi_ns": max(values_ns), "first_ns": values_ns[0]}
    return remark(Note.MEAN_OF_RUNS, runs=len(values_ns), **spread)


def _of_resets(episodes: EpisodeStatistics | None) -> Remark:
    """What a reset costs."""
    if episodes is None:
        return remark(Note.NO_EPISODES)
    slow, plain = episodes.step.with_reset, episodes.step.without_reset
    if slow is None or plain is None:
        return remark(Note.ENVIRONMENTS_RESET, count=episodes.resets)
    return remark(Note.RESET_COST, with_reset_ns=slow.p50_ns, without_reset_ns=plain.p50_ns)


def _breakdown(findings: Findings) -> Iterator[BenchmarkRow]:
    """Per frame, over loop and drain; these parts add up to the whole."""
    pool = findings.pool
    wall, frames = (pool.recording_wall_ns, pool.frames) if pool is not None else (0, 0)
    rest = wall

    def row(item: BenchmarkItem, ns: int, note: Remark | None) -> BenchmarkRow:
        return BenchmarkRow(item, ns / frames / 1e6 if frames else None, "ms", note)

    def part(item: BenchmarkItem, ns: int, phase: str = "") -> BenchmarkRow:
        if not wall or pool is None:
            return row(item, ns, NO_RUN)
        timed = pool.phase(phase)
        if timed is None:
            return row(item, ns, remark(Note.SHARE, share=ns / wall))
        return row(item, ns, remark(Note.SHARE_AND_MEDIAN, share=ns / wall, p50_ns=timed.time.p50_ns))

    for phase, item in LOOP_PARTS.items():
        mine = () if pool is None else pool.segment_phases
        ns = sum(one.total_ns for one in mine if one.phase == phase and one.segment in ("loop", "drain"))
        rest -= ns
        if ns or phase not in OPTIONAL:
            yield part(item, ns, phase)
    yield part(BenchmarkItem.REST, rest)
    yield row(BenchmarkItem.SUM, wall, None if pool is not None else NO_RUN)


def _baseline(findings: Findings) -> Iterator[BenchmarkRow]:
    comparison, own = findings.comparison, benchmark_mode(findings.runs) == CUSTOM
    whole = None if own else comparison.record_against_none
    entry = None if whole is None else whole.frame_with_drain_ns
    unknown = None
    if entry is None:
        one_mode = own or comparison.own_program
        unknown = remark(Note.OWN_PROGRAM) if one_mode else remark(Note.MISSING_MODES, modes=comparison.missing_modes)

    def row(item: BenchmarkItem, ns: float | None, note: Remark | None) -> BenchmarkRow:
        return BenchmarkRow(item, None if ns is None else ns / 1e6, "ms", note)

    yield row(BenchmarkItem.BASELINE, None if entry is None else entry.base, unknown)
    yield row(BenchmarkItem.RECORDING_ADDS, None if entry is None else entry.difference, unknown or _interval(whole))
    yield BenchmarkRow(BenchmarkItem.RATIO, None if entry is None else entry.ratio, "x", unknown)
    steps = {(step.contrast.new, step.contrast.base): step for step in comparison.steps}
    missing = remark(Note.OWN_PROGRAM if own else Note.NO_CAPTURE_MODE)
    for new, base, item in (("capture", "none", BenchmarkItem.CAPTURE_ADDS),
                            ("record", "capture", BenchmarkItem.ENCODING_ADDS)):  # fmt: skip
        step = steps.get((new, base))
        note = missing if step is None else _interval_of(step.own_ns, step.contrast)
        yield row(item, None if step is None else step.own_ns.difference, note)


def _interval(contrast: Contrast | None) -> Remark | None:
    if contrast is None:
        return None
    return _interval_of(contrast.frame_with_drain_ns, contrast)


def _interval_of(entry: Difference, contrast: Contrast) -> Remark:
    if entry.lo is None or entry.hi is None:
        return remark(Note.NO_INTERVAL)
    counts = {"new_runs": contrast.new_runs, "base_runs": contrast.base_runs}
    return remark(Note.INTERVAL, lo_ns=entry.lo, hi_ns=entry.hi, **counts)


def _video(findings: Findings) -> Iterator[BenchmarkRow]:
    runs, pool = findings.chosen, findings.pool
    found = next(((run.run_id, run.video) for run in runs if run.video is not None), None)
    if found is None:
        reason = runs[0].video_unknown if runs else None
        why = NO_RUN if not runs else remark(Note.RECORDED, text=reason) if reason else remark(Note.NO_VIDEO)
        items = [item for item in BenchmarkItem if item.group.value == "video"]
        units = ("1", "s", "FPS", "", "B", "", "x")
        yield from (BenchmarkRow(item, None, unit, why) for item, unit in zip(items, units))
        return
    run_id, video = found
    blank = remark(Note.BLANK_FRAMES, blank=video.blank_frames) if video.blank_frames else None
    playback = pool.recording_wall_ns / 1e9 / len(runs) if pool is not None else None
    ratio = playback / video.duration_s if playback and video.duration_s else None
    yield BenchmarkRow(BenchmarkItem.VIDEO_FRAMES, video.frames, "1", blank)
    yield BenchmarkRow(BenchmarkItem.VIDEO_DURATION, video.duration_s, "s")
    yield BenchmarkRow(BenchmarkItem.VIDEO_FPS, video.fps, "FPS")
    yield BenchmarkRow(BenchmarkItem.VIDEO_PATH, f"{run_id}/{video.path}", "", remark(Note.BELOW_EXPERIMENT))
    yield BenchmarkRow(BenchmarkItem.VIDEO_SIZE, video.bytes, "B")
    yield BenchmarkRow(BenchmarkItem.PICTURE, f"{video.width}x{video.height}")
    yield BenchmarkRow(BenchmarkItem.REAL_TIME_RATIO, ratio, "x", remark(Note.ONE_IS_REAL_TIME))


def _triage(findings: Findings) -> Iterator[BenchmarkRow]:
    """Rows whose words are made of the report's verdict and triage."""
    triage, leading = findings.triage, findings.verdict.leading
    setup = remark(Note.MACHINE_SETUP) if triage.answer is Answer.MACHINE_SETUP else None
    owner = None if triage.owner is None else triage.owner.value
    yield BenchmarkRow(BenchmarkItem.EXPECTED, triage.answer.value)
    yield BenchmarkRow(
        BenchmarkItem.LEADING_BUCKET, None if leading is None or findings.verdict.open else leading.bucket
    )
    yield BenchmarkRow(BenchmarkItem.OWNER, owner, "", setup)
    yield BenchmarkRow(BenchmarkItem.NEXT_ACTION, None if triage.advice is None else triage.advice.action.value)
