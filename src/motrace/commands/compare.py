"""``compare``: two experiments, with an exit status for regressions."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from .. import analysis
from ..errors import MotraceError, UsageError
from ..findings.alike import differences
from ..findings.compare import Judged, contrast_runs, gate, usable
from ..report.format import ms, percent, signed_ms
from . import execute, parsers
from .terminal import Terminal, complain

GATE_FAILED = 3


def fraction(text: str) -> float:
    """``5%`` or ``5`` as 0.05. Raises UsageError, also for a number below 1 without %, which may mean either."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+) *(%?)", text)
    if found is None:
        raise UsageError(f"--fail-over {text}: write a percentage, as in 5%")
    value = float(found[1])
    if not found[2] and 0 < value < 1:
        raise UsageError(f"--fail-over {text}: write {value:g}% or {value * 100:g}%, whichever you mean")
    return value / 100


def run(args: argparse.Namespace) -> int:
    """Compare; the exit status is 3 unless each frame is known not to have got slower by more than allowed."""
    limit = None if args.fail_over is None else fraction(args.fail_over)
    if "" in (args.base, args.new):
        raise UsageError("BASE or NEW is empty: write `.` for the current folder")
    base, new = (analysis.load(Path(path)).report for path in (args.base, args.new))
    modes = [mode for mode in new["modes"] if usable(new["runs"], mode) and usable(base["runs"], mode)]
    if not modes:
        raise MotraceError(f"{args.base} and {args.new} have no mode with completed runs in common: nothing to compare")
    unlike = differences(base, new, modes)
    if unlike and not args.unlike:
        raise UsageError(
            f"{args.base} and {args.new} did not do the same work ({'; '.join(map(str, unlike))}): record the same "
            "again, or compare them all the same with --unlike"
        )
    console = Terminal()
    for difference in unlike:
        console.print(f"unlike: {difference}")
    doubts = [
        f"{mode}: can't tell, no run of it completed in {args.new}"
        for mode in base["modes"]
        if mode not in modes and usable(base["runs"], mode)
    ]
    for mode in modes:
        comparison = contrast_runs(usable(new["runs"], mode), usable(base["runs"], mode))
        show(mode, comparison, console)
        doubts += [] if limit is None else _doubts(mode, gate(comparison, limit), limit)
    if limit is None:
        for text in doubts:
            console.print(f"warning: {text}")
        return 0
    label = f" (unlike: {', '.join(difference.name for difference in unlike)})" if unlike else ""
    for text in doubts:
        complain("compare", text + label)
    if not doubts:
        console.print(f"no {' or '.join(modes)} frame got slower by more than {limit * 100:g} %{label}")
    return GATE_FAILED if doubts else 0


def _doubts(mode: str, judged: list[Judged], limit: float) -> list[str]:
    """Why a mode does not pass, a line for each quantity; empty where it does."""
    found = []
    for one in judged:
        if one.slower is False:
            continue
        what = f"{mode}: {'frame' if one.quantity == 'frame_ns' else 'frame with drain'}"
        doubt = f"95 %: {percent(one.lo)} to {percent(one.hi)}"
        if one.slower:
            found.append(f"{what} got {percent(one.change)} slower ({doubt}), more than {limit * 100:g} %")
        else:
            why = "one run has no spread: --repeat 2 or more" if one.lo is None else f"{doubt}; more --repeat"
            found.append(
                f"{what}: can't tell whether it got slower by more than {limit * 100:g} %: it changed by "
                f"{percent(one.change)} ({why} would tell)"
            )
    return found


def show(mode: str, comparison: dict[str, Any], console: Terminal) -> None:
    """A table of one mode."""
    news, bases = comparison["repeats"]
    table = Table(
        title=f"{mode}: ms per frame, {bases} base and {news} new runs", box=None, padding=(0, 2), title_justify="left"
    )
    table.add_column("")
    for title in ("base", "new", "change", "95 % interval"):
        table.add_column(title, justify="right")
    rows = [("loop", comparison["frame_ns"]), ("loop and drain", comparison["frame_with_drain_ns"])]
    for name, entry in [*rows, *comparison["phases"].items()]:
        interval = "–" if entry["lo"] is None else f"{signed_ms(entry['lo'])} to {signed_ms(entry['hi'])}"
        table.add_row(name, ms(entry["base"]), ms(entry["new"]), signed_ms(entry["difference"]), interval)
    console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.compare(), run, argv)
