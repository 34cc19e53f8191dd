"""Sections of a report that are a text and some tables: the same in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..vocabulary import BUCKETS
from .blocks import Grid, Section
from .format import ms, number, percent, seconds, size
from .profiles import own_profiles

Json = dict[str, Any]


def leading(report: Json) -> list[Section]:
    """What comes before everything else: the benchmark's rows."""
    if not report["benchmark"]:
        return []
    groups: dict[str, list[tuple[str, ...]]] = {}
    for row in report["benchmark"]:
        value = _value(row["value"], row["unit"])
        groups.setdefault(row["group"], []).append((row["item"], value, row["note"] or ""))
    grids = tuple(Grid(group, ("item", "value", "note"), tuple(rows), words=3) for group, rows in groups.items())
    mode = "custom" if all(run["mode"] == "custom" for run in report["runs"]) else "record"
    text = f"Over the quiet completed runs of mode {mode}. What is not known is a dash, with the reason."
    return [Section("The benchmark in rows", text, grids)]


def _value(value: Any, unit: str) -> str:
    """A value in words: text as it is, numbers with their unit."""
    if value is None or isinstance(value, str):
        return value or "–"
    if unit == "B":
        return size(value)
    digits = 0 if isinstance(value, int) else {"ms": 3}.get(unit, 2)
    return number(value, digits) + {"1": "", "x": "x"}.get(unit, f" {unit}")


def sections(report: Json) -> list[Section]:
    """Everything that episodes and collectors added to the report; empty where there were none."""
    parts: tuple[Callable[[Json], Iterator[Section]], ...] = (
        _episodes,
        _composed,
        _traces,
        own_profiles,
        _observers,
        _clocks,
    )
    return [section for part in parts for section in part(report)]


def _episodes(report: Json) -> Iterator[Section]:
    told = {mode: pool["episodes"] for mode, pool in report["modes"].items() if pool["episodes"] is not None}
    if not told:
        return
    rules = next(run["episodes"] for run in report["runs"] if run["episodes"] is not None)
    text = "An episode is one environment from a reset to the next; return, length and success are of those that ended."
    text += f" Reward: {rules['reward_rule']}." if rules["reward_rule"] else ""
    text += f" Success: it ended as {rules['success_rule']}." if rules["success_rule"] else ""
    counts = tuple(
        (mode, *(f"{one[key]:,}" for key in ("episodes", "terminated", "truncated", "open")),
         percent(one["success_rate"]), _spread(one["return"]), _spread(one["length"], 1),
         number(one["reward_per_step"], 3))
        for mode, one in told.items()
    )  # fmt: skip
    slow = tuple(
        (mode, f"{one['resets']:,}", number(one["resets_per_frame"], 3), number(one["frames_with_reset"], 0),
         *(_mean_and_median(one[what][which]) for what in ("step", "frame") for which in one[what]))
        for mode, one in told.items()
    )  # fmt: skip
    yield Section("Episodes", text, (
        Grid("", ("mode", "episodes", "terminated", "truncated", "cut off", "success", "return", "length, steps",
                  "reward per step"), counts),
        Grid("Whether slow steps are resets: mean (median) ms of frames with a reset, and of the others",
             ("mode", "resets", "per frame", "frames with one", "step with", "step without", "frame with",
              "frame without"), slow),
    ))  # fmt: skip


def _spread(entry: Json | None, digits: int = 2) -> str:
    """Mean and standard deviation."""
    return "–" if entry is None else f"{number(entry['mean'], digits)} ± {number(entry['std'], digits)}"


def _mean_and_median(entry: Json | None) -> str:
    return "–" if entry is None else f"{ms(entry['mean_ns'])} ({ms(entry['p50_ns'])})"


def _composed(report: Json) -> Iterator[Section]:
    for mode, pool in report["modes"].items():
        composed = pool.get("composed")
        if composed is None:
            continue
        rows = tuple(
            (
                label,
                seconds(entry["ns"]),
                percent(entry["share"]),
                percent(entry["lo"]),
                percent(entry["hi"]),
                ", ".join(entry["evidence"]),
            )
            for bucket, label in BUCKETS.items()
            if (entry := composed["buckets"][bucket])["hi_ns"]
        )
        lenders = ", ".join(composed["lent_by"])
        yield Section(
            f"Mode {mode}, with the composition that {lenders} saw",
            f"Times are those of the quiet runs. Who worked while the loop thread was blocked is shared as in "
            f"{lenders} ({'; '.join(composed['evidence'])}), inside the bounds that the quiet runs' own clocks give. "
            "How much that differs from run to run is not in these bounds.",
            (Grid("", ("bucket", "s", "share", "at least", "at most", "rests on"), rows),),
        )


def _traces(report: Json) -> Iterator[Section]:
    for run in report["runs"]:
        trace = run["trace"]
        if trace is None:
            continue
        events = ", ".join(f"{rows:,} {table}" for table, rows in trace["events"].items())
        grids = [
            Grid("GPU work by phase", ("phase", "operations", "launched in it, s", "ran meanwhile, s"), tuple(
                (row["phase"], f"{row['operations']:,}", seconds(row["launched_ns"]), seconds(row["ran_ns"]))
                for row in trace["gpu_phases"]
            )),
            Grid("GPU per frame", ("mean over frames", "value"), _gpu_frame(trace["gpu_frames"])),
            _calls("What the loop thread waited on", trace["waits"]),
            _calls("What the renderer's threads called", trace["renderer_calls"]),
            _samples(trace["samples"]),
            Grid("GPU sensors over the frames", ("GPU", "metric", "mean", "least", "most", "unit"), tuple(
                (str(row["device"]), row["metric"], number(row["mean"]), number(row["least"]), number(row["most"]),
                 row["unit"]) for row in trace["gpu_sensors"]
            ), words=2),
            Grid("Lines that Scalene points at (hints where to look: its split is not evidence)",
                 ("line", "Python %", "native %", "system %"), tuple(
                (f"{row['file']}:{row['line']}", number(row["python_pct"], 1), number(row["native_pct"], 1),
                 number(row["system_pct"], 1)) for row in trace["lines"]
            )),
        ]  # fmt: skip
        shown = tuple(grid for grid in grids if grid.rows)
        told = (
            f"Covers {seconds(trace['covered_ns'])} s, times aligned to {trace['error_ns'] / 1e3:,.1f} us. "
            f"Blocked time rests on: {trace['evidence'] or 'CPU clocks alone'}. Events: {events or 'none'}."
        )
        if not (shown or events):
            told = "No GPU work, no calls, no ranges and no samples: the program did nothing that this tool records."
        yield Section(f"What profilers saw of {run['run_id']}", told, shown)


def _samples(counts: Json) -> Grid:
    """What py-spy found the loop thread doing, per phase: the largest classes."""
    rows = []
    for phase, classes in counts.items():
        total = sum(classes.values())
        for name, count in sorted(classes.items(), key=lambda item: (-item[1], item[0])):
            if count >= 0.02 * total:
                rows.append((phase, name, f"{count:,}", percent(count / total)))
    return Grid("Samples of the loop thread's stacks", ("phase", "class", "samples", "share"), tuple(rows), words=2)


def _gpu_frame(frames: Json | None) -> tuple[tuple[str, str], ...]:
    if frames is None:
        return ()
    return (
        ("GPU (or software rasterizer) busy, ms", ms(frames["busy_mean_ns"])),
        ("busy while the loop thread was off its core, ms", ms(frames["wait_mean_ns"])),
        ("gap to the next frame's first work, ms", ms(frames["gap_mean_ns"])),
        ("serialisation (1: CPU and GPU took turns, 0: overlapped)", number(frames["serialisation_mean"])),
    )


def _calls(title: str, rows: list[Json]) -> Grid:
    cells = tuple(
        (
            row["phase"],
            row["role"],
            f"{row['name']} ({row['api']})",
            row["waits_on"] or "–",
            f"{row['calls']:,}",
            seconds(row["total_ns"]),
        )
        for row in rows
    )
    return Grid(title, ("phase", "thread", "call", "waits on", "calls", "s"), cells, words=4)


def _observers(report: Json) -> Iterator[Section]:
    rows = tuple(
        (
            row["observer"],
            row["phase"],
            ms(row["quiet_ns"]),
            ms(row["observed_ns"]),
            percent(row["change"]),
            "–" if row["lo"] is None else f"{percent(row['lo'])} to {percent(row['hi'])}",
            row["use"] + (f" ({row['would_do']} per second would do)" if row["would_do"] else ""),
        )
        for row in report["observers"]
    )
    if rows:
        yield Section(
            "What the observers cost",
            "Mean per frame under each observer against the quiet runs of the same mode. Above 5 % what it says of a "
            "phase is flagged, above 30 % it is refused for it; so too where it took so much less, for then the "
            "machine was not quiet. The interval takes an observer's one pass to scatter as the quiet runs do.",
            (Grid("", ("observer", "phase", "quiet, ms", "observed, ms", "change", "95 %", "use"), rows, words=2),),
        )


def _clocks(report: Json) -> Iterator[Section]:
    foreign = [row for row in report["clocks"] if row["source"] != "spans"]
    if foreign:
        rows = tuple(
            (row["run"], row["source"], f"{row['error_ns'] / 1e3:,.1f}", number(row["drift_ppm"], 3),
             f"{row['pairs']:,}", row["method"])
            for row in foreign
        )  # fmt: skip
        yield Section(
            "Clocks",
            "How times of each source were brought onto the run's CLOCK_MONOTONIC. 95 % of them are this close.",
            (Grid("", ("run", "source", "error, us", "drift, ppm", "pairs", "method"), rows, words=2),),
        )
