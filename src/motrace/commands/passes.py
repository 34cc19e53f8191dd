"""The runs of an experiment: which ones, under which collectors, one after the other.

First the unprofiled runs, which give the times; then, for each collector that disturbs what it watches,
one pass of its own. A collector that does not disturb rides along in every run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .. import run_folder
from ..collect import registry
from ..collect.base import Collector
from ..run_folder import JsonObject
from ..workloads.launch import Ended, launch
from ..workloads.options import Options
from ..workloads.program import Program
from ..workloads.watch import Interrupts
from .terminal import Terminal

PASS_MODE = "record"


@dataclass(frozen=True)
class Planned:
    """One run that is to be made."""

    run_id: str
    mode: str
    collectors: tuple[str, ...] = ()
    intrusive: bool = False

    def as_json(self) -> JsonObject:
        """The form in which the experiment's manifest holds it."""
        return {
            "run_id": self.run_id,
            "mode": self.mode,
            "collectors": list(self.collectors),
            "observer": self.intrusive,
        }


@dataclass(frozen=True)
class Done:
    """What became of the runs; the second of a pair is None for a run that was not started."""

    runs: tuple[tuple[Planned, Ended | None], ...]
    interrupted: bool

    @property
    def failed(self) -> Ended | None:
        """The unprofiled run that did not complete, None if all did."""
        unprofiled = [one for planned, one in self.runs if one is not None and not planned.intrusive]
        return next((one for one in unprofiled if one.status != run_folder.COMPLETED), None)

    @property
    def status(self) -> str:
        """Of the experiment. A pass that fails is not a failure of the experiment, one that was interrupted is."""
        if self.failed is not None:
            return self.failed.status
        complete = all(one is not None and one.status == run_folder.COMPLETED for _, one in self.runs)
        return run_folder.INTERRUPTED if self.interrupted and not complete else run_folder.COMPLETED


def usable(names: Sequence[str], settings: registry.Settings) -> tuple[list[Collector], list[str]]:
    """Those collectors that can run here, and a warning for each that can't."""
    found, warnings = [], []
    for name in names:
        collector = registry.make(name, settings)
        missing = collector.missing()
        if missing is None:
            found.append(collector)
        else:
            warnings.append(f"--collect {name}: {missing}; the other runs go on without it")
    return found, warnings


def plan_runs(modes: Sequence[str], collectors: Sequence[Collector]) -> tuple[Planned, ...]:
    """The unprofiled runs in their order, then one pass for each intrusive collector."""
    riding = tuple(collector.name for collector in collectors if not collector.intrusive)
    unprofiled = [Planned(f"{index:02d}-{mode}", mode, riding) for index, mode in enumerate(modes, 1)]
    mode = PASS_MODE if PASS_MODE in modes else modes[0]
    profiled = [collector.name for collector in collectors if collector.intrusive]
    passes = [
        Planned(f"{index:02d}-{mode}-{name}", mode, (*riding, name), intrusive=True)
        for index, name in enumerate(profiled, len(unprofiled) + 1)
    ]
    return (*unprofiled, *passes)


def run_all(
    home: Path,
    planned: Sequence[Planned],
    options: Options | Program,
    settings: registry.Settings,
    stall_timeout_s: float,
    console: Terminal,
) -> Done:
    """Run one after the other. Stops at the first unprofiled run that fails, and at Ctrl-C."""
    waiting = list(planned)
    retries: dict[str, tuple[Collector, ...]] = {}
    tries: dict[str, tuple[str, int]] = {}
    done: list[tuple[Planned, Ended | None]] = []
    with Interrupts().handled() as interrupts, _progress(console) as progress:
        while waiting:
            one = waiting.pop(0)
            collectors = retries.get(one.run_id) or tuple(registry.make(name, settings) for name in one.collectors)
            ended = _run(home, one, options, collectors, interrupts, stall_timeout_s, progress)
            done.append((one, ended))
            if interrupts.count or (ended.status != run_folder.COMPLETED and not one.intrusive):
                break
            if ended.again is not None:
                first, tried = tries.get(one.run_id, (one.run_id, 1))
                again = replace(one, run_id=f"{first}-again{tried if tried > 1 else ''}")
                retries[again.run_id], tries[again.run_id] = ended.again, (first, tried + 1)
                waiting.insert(0, again)
                progress.console.print(f"{again.run_id}: the pass is repeated")
    return Done((*done, *((one, None) for one in waiting)), interrupts.count > 0)


def _progress(console: Terminal) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=2,  # it must not take a core from what is measured
        disable=not console.is_terminal,
    )


def _run(
    home: Path,
    planned: Planned,
    options: Options | Program,
    collectors: tuple[Collector, ...],
    interrupts: Interrupts,
    stall_timeout_s: float,
    progress: Progress,
) -> Ended:
    """One run, with what a person sees of it."""
    began, console = time.monotonic(), progress.console
    total = options.frames + options.warmup
    task = progress.add_task(planned.run_id, total=total)
    if not console.is_terminal:
        console.print(f"{planned.run_id}: started")
    ended = launch(
        home / planned.run_id,
        options.with_mode(planned.mode),
        {"schema_version": run_folder.SCHEMA_VERSION, "run_id": planned.run_id},
        interrupts,
        partial(_show, progress, task, total),
        stall_timeout_s,
        collectors,
    )
    console.print(f"{planned.run_id}: {ended.status} in {time.monotonic() - began:.1f} s")
    failed = planned.intrusive and ended.status == run_folder.CRASHED
    for warning in (*ended.warnings, *([str(ended.reason)] if failed else [])):
        console.print(f"warning: {planned.run_id}: {warning}")
    return ended


def _show(progress: Progress, task: TaskID, total: int, frames: int) -> None:
    progress.update(task, completed=min(frames, total))
