"""``compare``: two experiments, with an exit status for regressions."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import analysis
from ..errors import MotraceError, UsageError
from ..findings.alike import differences, versions
from ..findings.compare import Judged, contrast_runs, gate, usable
from ..report.blocks import Document
from ..report.format import percent
from ..report.sections.comparison import contrast_table
from . import complain, execute, parsers
from .terminal import Terminal

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
    before, after = (
        {pool.key.mode: usable(report.runs, pool.key.mode) for pool in report.pools} for report in (base, new)
    )
    modes = [mode for mode, runs in after.items() if runs and before.get(mode)]
    if not modes:
        raise MotraceError(f"{args.base} and {args.new} have no mode with completed runs in common: nothing to compare")
    unlike = differences(base, new, modes)
    if unlike and not args.unlike:
        raise UsageError(
            f"{args.base} and {args.new} did not do the same work ({'; '.join(map(str, unlike))}): record the same "
            "again, or compare them anyway with --unlike"
        )
    console = Terminal()
    for difference in unlike:
        console.print(f"unlike: {difference}")
    for difference in versions(base, new):
        console.print(f"changed: {difference}")
    doubts = [
        f"{mode}: can't decide: no run of it completed in {args.new}"
        for mode, runs in before.items()
        if runs and mode not in modes
    ]
    for mode in modes:
        contrast = replace(contrast_runs(after[mode], before[mode]), new="new", base="base")
        title = f"{mode}: ms per frame, {contrast.base_runs} base and {contrast.new_runs} new runs"
        console.show(Document("", (contrast_table(title, contrast, "change"),), ()))
        doubts += [] if limit is None else _doubts(mode, gate(contrast, limit), limit)
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
        what = f"{mode}: {'frame with drain' if one.with_drain else 'frame'}"
        doubt = f"95 %: {percent(one.lo)} to {percent(one.hi)}"
        if one.slower:
            found.append(f"{what} got {percent(one.change)} slower ({doubt}), more than {limit * 100:g} %")
        else:
            why = "one run has no spread: --repeat 2 or more" if one.lo is None else f"{doubt}; more --repeat"
            found.append(
                f"{what}: can't decide whether it got slower by more than {limit * 100:g} %: it changed by "
                f"{percent(one.change)} ({why} would decide it)"
            )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.compare(), run, argv)
