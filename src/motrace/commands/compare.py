"""``compare``: two experiments, with an exit status for regressions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import analysis
from ..errors import MotraceError, UsageError
from ..model.compare import contrast_runs, regression, usable
from ..report.format import ms, percent, signed_ms
from . import execute, parsers


def fraction(text: str) -> float:
    """``5%`` or ``0.05`` as 0.05. Raises UsageError."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise UsageError(f"--fail-over {text}: write a percentage, as in 5%") from error
    if not 0 <= value < float("inf"):
        raise UsageError(f"--fail-over {text}: must not be negative")
    return value


def run(args: argparse.Namespace) -> int:
    """Compare; the exit status is 1 where a mode got slower by more than allowed."""
    limit = None if args.fail_over is None else fraction(args.fail_over)
    base, new = (analysis.load(Path(path)).report for path in (args.base, args.new))
    console = Console(highlight=False, soft_wrap=True)
    modes = [mode for mode in new["modes"] if usable(new["runs"], mode) and usable(base["runs"], mode)]
    if not modes:
        raise MotraceError(f"{args.base} and {args.new} have no mode with completed runs in common: nothing to compare")
    slower = 0
    for mode in modes:
        comparison = contrast_runs(usable(new["runs"], mode), usable(base["runs"], mode))
        show(mode, comparison, console)
        for entry in regression(comparison, limit) if limit is not None else ():
            slower += 1
            doubt = (
                "" if entry["has_interval"] else "; one run has no spread, so this may be noise: record with --repeat 2"
            )
            what = "frame" if entry["quantity"] == "frame_ns" else "frame with drain"
            print(
                f"compare: {mode}: {what} got {percent(entry['change'])} slower, more than {percent(limit)}{doubt}",
                file=sys.stderr,
            )
    if limit is not None and not slower:
        console.print(f"no {' or '.join(modes)} frame got slower by more than {percent(limit)}")
    return 1 if slower else 0


def show(mode: str, comparison: dict[str, Any], console: Console) -> None:
    """A table of one mode."""
    news, bases = comparison["repeats"]
    table = Table(
        title=f"{mode}: ms per frame, {bases} base and {news} new runs", box=None, padding=(0, 2), title_justify="left"
    )
    table.add_column("")
    for title in ("base", "new", "change", "95 % interval"):
        table.add_column(title, justify="right")
    rows = [("loop", comparison["frame_ns"]), ("loop and drain", comparison["frame_with_drain_ns"])]
    for name, entry in [*rows, *((escape(name), entry) for name, entry in comparison["phases"].items())]:
        interval = "–" if entry["lo"] is None else f"{signed_ms(entry['lo'])} to {signed_ms(entry['hi'])}"
        table.add_row(name, ms(entry["base"]), ms(entry["new"]), signed_ms(entry["difference"]), interval)
    console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.compare(), run, argv)
