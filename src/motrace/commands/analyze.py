"""``analyze``: recordings to tables and a report."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .. import analysis, run_folder
from ..dataset.dataset import told_apart
from ..errors import MotraceError, UsageError, reason
from ..ingest.discover import find
from ..ingest.experiment_key import name_of
from ..ingest.file_types import PassedOver
from ..readers.nsys.export import is_nsys_file
from ..report.document import short
from . import complain, execute, parsers, refuse
from .pandas_later import pandas_later
from .sums import print_sums
from .terminal import Terminal

MOST_PASSED = 20
"""So many files that were passed over are named."""


def run(args: argparse.Namespace) -> int:
    """Analyse every experiment; one that fails does not stop the others."""
    pandas_later()
    if "" in args.paths:
        raise UsageError("PATH is empty: write `.` for the current folder")
    if args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs}: must be at least 1")
    if args.scrub is not None:
        refuse(args, ("sums", "out", "phases", "jobs"), ": --scrub analyses nothing; leave it out")
        return _scrub(args.paths, Path(args.scrub))
    with tempfile.TemporaryDirectory(prefix="motrace-", dir=_room_for(args.out)) as scratch:
        if args.sums:
            refuse(args, ("phases", "jobs"), ": --sums reads the reports as they are; leave it out")
            return print_sums([Path(path) for path in args.paths], Path(scratch), args.out)
        return _analyse(args, Path(scratch))


def _room_for(out: str | None) -> Path | None:
    """Where the event tables are made: beside the results, if that folder is there and pyarrow takes its name."""
    return Path(out) if out is not None and out.isprintable() and Path(out).is_dir() else None


def _scrub(paths: list[str], target: Path) -> int:
    """Write a copy of an export that can be shared."""
    if len(paths) != 1:
        raise UsageError(f"--scrub: give one export, not {len(paths)} paths")
    from ..readers.nsys.anonymize import scrub

    scrub(Path(paths[0]), target, [Path.cwd()])
    Terminal().print(f"scrubbed copy: {target}")
    return 0


def _analyse(args: argparse.Namespace, scratch: Path) -> int:
    problems: list[MotraceError] = []
    passed: list[PassedOver] = []
    found = find([Path(path) for path in args.paths], scratch, analysis.exporter(), problems, passed)
    if found and not any(run.is_trace for sources in found.values() for run in sources.runs):
        refuse(args, ("phases",), " is for a trace that belongs to no recording, and there is none; leave it out")
    for problem in problems:
        complain("analyze", problem)
    console = Terminal()
    statuses = [problem.exit_status for problem in problems]
    homes = sorted(found)
    outputs = _outputs(homes, args.out)
    for index, home in enumerate(homes):
        try:
            work = scratch / f"home{index}"
            one = analysis.analyse(home, found[home], work, args.jobs, phases=args.phases)
            analysis.write(one, outputs[home], _named(home, args.out))
            console.show(short(one.report))
            console.print(f"report: {outputs[home] / 'report.html'}")
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  (the other experiments are analysed all the same)
            complain("analyze", reason(str(home), error))
            statuses.append(getattr(error, "exit_status", 1))
    _show_passed(console, passed)
    return max(statuses, default=0)


def _show_passed(console: Terminal, passed: list[PassedOver]) -> None:
    """The files in the folders that were not read, and why."""
    shown = [one for one in passed if one.named][:MOST_PASSED]
    rest = len(passed) - len(shown)
    for one in shown:
        console.print(f"passed over: {one.path}: {one.why}")
    if rest:
        others = "other files" if shown else "files"
        console.print(f"passed over: {rest:,} {others} that no profiler wrote whose files motrace reads")


def _named(home: Path, out: str | None) -> Path:
    """The folder that the user named, at or above the results."""
    if out is not None:
        return Path(out)
    return home if own_output(home).is_relative_to(home) else home.parent


def _outputs(homes: list[Path], out: str | None) -> dict[Path, Path]:
    """Where each experiment's results go: one folder each."""
    if out is None:
        return {home: own_output(home) for home in homes}
    if len(homes) == 1:
        return dict.fromkeys(homes, Path(out))
    return {home: Path(out) / name for home, name in zip(homes, told_apart(map(name_of, homes)))}


def own_output(home: Path) -> Path:
    """Where an experiment's results go by default: into its folder; a trace's, beside it."""
    if (home / run_folder.EXPERIMENT_FILE).exists() or (home.is_dir() and not is_nsys_file(home)):
        return home / run_folder.ANALYSIS_DIR
    return home.parent / run_folder.ANALYSIS_DIR / name_of(home)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.analyze(), run, argv)
