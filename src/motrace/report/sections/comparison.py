"""What recording adds, and the episodes of the runs."""

from __future__ import annotations

from ...findings.benchmark_codes import Note
from ...findings.model import Comparison, Contrast, Report
from ...findings.run_model import Pool
from ...findings.values import Difference, EpisodeStatistics, FrameCost, Spread
from ..blocks import Block, Column, Section, Table, Text, Tone, numbers, section, table, words
from ..format import count, interval, ms, number, percent, signed_ms
from ..say import capital, pool_name, say


def unknown(of: Comparison) -> str:
    """Why recording can't be compared with none; empty where it can."""
    if of.record_against_none is not None:
        return ""
    return (
        say(Note.OWN_PROGRAM) if of.own_program else say(Note.MISSING_MODES, {"modes": " and ".join(of.missing_modes)})
    )


def comparison(report: Report) -> list[Section]:
    """What recording adds per frame, as a whole and step by step."""
    of, blocks = report.comparison, list[Block]()
    if not report.runs:
        return []
    if (contrast := of.record_against_none) is None:
        blocks.append(Text(f"{capital(unknown(of))}.", Tone.PLAIN, "Not known."))
    else:
        runs = f"over {contrast.new_runs} runs of record and {contrast.base_runs} of none"
        doubt = "" if contrast.has_interval else f" {capital(say(Note.NO_INTERVAL))}."
        blocks += [Text(f"What recording adds per frame, {runs}.{doubt}"), contrast_table("", contrast, "added")]
    if of.steps:
        steps = [
            (f"{step.contrast.new} over {step.contrast.base}{part}", time)
            for step in of.steps
            for part, time in (
                ("", step.contrast.frame_with_drain_ns),
                (f": {', '.join(step.own_phases) or 'no phase'} of its own", step.own_ns),
                (": what both do", step.shared_ns),
            )
        ]
        blocks += [_differences("Step by step, drain included", ("with", "without", "added"), steps), Text(
            "none steps alone; capture also makes each picture and drops it; record also keeps and encodes them. What "
            "both do changes only where the machine changed between the runs, or where the two compete for it.",
            Tone.NOTE,
        )]  # fmt: skip
    if report.same_states is not None:
        same = "yes" if report.same_states else "NO"
        blocks.append(Text(f"All completed runs ended in the same simulation state: {same}."))
    return section("comparison", "Record against none", *blocks)


def contrast_table(title: str, contrast: Contrast, change: str) -> Table:
    """The frame and every phase in two groups of runs; ``change`` is the title of their difference."""
    rows = [("loop", contrast.frame_ns), ("loop and drain", contrast.frame_with_drain_ns)]
    rows += [(one.phase, one.time_ns) for one in contrast.phases]
    return _differences(title, (contrast.new, contrast.base, change), rows)


def _differences(title: str, titles: tuple[str, str, str], rows: list[tuple[str, Difference]]) -> Table:
    new, base, change = titles
    columns: list[Column[tuple[str, Difference]]] = [
        words("ms per frame", lambda row: row[0]), numbers(new, lambda row: row[1].new, ms),
        numbers(base, lambda row: row[1].base, ms), numbers(change, lambda row: row[1].difference, signed_ms),
        numbers("95 % interval", lambda row: row[1], difference_interval),
    ]  # fmt: skip
    return table(title, columns, rows)


def difference_interval(one: Difference) -> str:
    """The interval of a difference of times."""
    return interval(one.lo, one.hi, signed_ms)


def episodes(report: Report) -> list[Section]:
    """How the environments' episodes went, and whether slow steps are resets."""
    rows = [(pool, pool.episodes) for pool in report.pools if pool.episodes is not None]
    if not rows:
        return []
    rules = next((run.episodes for run in report.runs if run.episodes is not None), rows[0][1])
    text = "An episode is one environment from a reset to the next; return, length and success are of those that ended."
    text += f" Reward: {rules.reward_rule}." if rules.reward_rule else ""
    text += f" Success: it ended as {rules.success_rule}." if rules.success_rule else ""
    return section("episodes", "Episodes", table("", _COUNTS, rows), table(
        "Whether slow steps are resets: mean (median) ms of frames with a reset, and of the others", _RESETS, rows,
    ), Text(text, Tone.NOTE))  # fmt: skip


def _spread(one: Spread | None, digits: int = 2) -> str:
    """Mean and standard deviation."""
    return "–" if one is None else f"{number(one.mean, digits)} ± {number(one.std, digits)}"


def _cost(one: FrameCost | None) -> str:
    return "–" if one is None else f"{ms(one.mean_ns)} ({ms(one.p50_ns)})"


PoolEpisodes = tuple[Pool, EpisodeStatistics]
_COUNTS: list[Column[PoolEpisodes]] = [
    words("mode", lambda row: pool_name(row[0].key)), numbers("episodes", lambda row: row[1].episodes, count),
    numbers("terminated", lambda row: row[1].terminated, count),
    numbers("truncated", lambda row: row[1].truncated, count), numbers("cut off", lambda row: row[1].cut_off, count),
    numbers("success", lambda row: row[1].success_rate, percent),
    numbers("return", lambda row: row[1].returns, _spread),
    numbers("length, steps", lambda row: row[1].lengths, lambda one: _spread(one, 1)),
    numbers("reward per step", lambda row: row[1].reward_per_step, lambda one: number(one, 3)),
]  # fmt: skip
_RESETS: list[Column[PoolEpisodes]] = [
    words("mode", lambda row: pool_name(row[0].key)), numbers("resets", lambda row: row[1].resets, count),
    numbers("per frame", lambda row: row[1].resets_per_frame, lambda one: number(one, 3)),
    numbers("frames with one", lambda row: row[1].frames_with_reset, count),
    numbers("step with", lambda row: row[1].step.with_reset, _cost),
    numbers("step without", lambda row: row[1].step.without_reset, _cost),
    numbers("frame with", lambda row: row[1].frame.with_reset, _cost),
    numbers("frame without", lambda row: row[1].frame.without_reset, _cost),
]  # fmt: skip
