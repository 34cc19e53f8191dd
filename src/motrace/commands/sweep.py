"""``sweep``: how the time of a frame grows with environments and pixels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from .. import environment, redaction, run_folder
from ..collect.registry import Settings
from ..dataset.facts import Adapter, OptionValue
from ..dataset.typed_json import convert
from ..errors import MotraceError, UsageError, command
from ..findings.sweep_model import Sweep, SweepCommand
from ..report.sweep_document import short
from ..run_folder import JsonObject
from ..workloads.options import Options
from . import complain, execute, parsers, record, refuse
from .sweep_analysis import analyse_folder, read_sweep
from .sweep_runs import SWEEP_FILE, Point, Recorder, Turn, grid, load, numbers_of, shared_options, turns_of
from .terminal import Terminal


@dataclass(frozen=True)
class SweepPlan:
    """A sweep that is to be made."""

    options: Options
    points: tuple[Point, ...]
    turns: tuple[Turn, ...]
    adapter: dict[str, str] | None
    settings: Settings


def plan_sweep(args: argparse.Namespace) -> SweepPlan:
    """Check everything before anything is started; find the adapter as run_record does. Raises MotraceError."""
    counts = numbers_of(args.num_envs)
    sizes = list(dict.fromkeys(record.size_of(text) for text in args.size.split(",")))
    points = grid(counts, sizes)
    record.check_amounts(args.repeat, args.stall_timeout)
    asked = Options(
        workload=args.workload,
        mode=args.mode,
        frames=args.frames,
        warmup=args.warmup,
        seed=args.seed or 0,
        python=args.python,
        workload_args=tuple(args.workload_args),
    )
    every = [point.of(asked) for point in points]  # raises where a point can't be made
    options = record.prepared(every[0], args)
    adapter = record.adapter_for(options, [args.mode])
    settings = Settings(python=record.own_python(options))
    return SweepPlan(options, points, tuple(turns_of(points, args.repeat)), adapter, settings)


def run(args: argparse.Namespace) -> int:
    """Record a sweep and fit it, or fit one that is there."""
    console = Terminal()
    if args.analyze is not None:
        refuse(args, sorted(args.given - {"analyze", "workload_args"}), ": --analyze records nothing; leave it out")
        if args.workload_args:
            raise UsageError(f"-- {' '.join(args.workload_args)}: --analyze records nothing; leave it out")
        return analyse_folder(Path(args.analyze), console)
    if args.resume and args.name is None:
        raise UsageError("--resume: say which sweep with --name")
    plan = plan_sweep(args)
    now = datetime.now(timezone.utc)
    name = args.name
    if name is None:
        name = f"sweep-{plan.options.workload.replace(':', '.')}-{now:%Y%m%d-%H%M%S}"
    home, begun = _begin(args, plan, name, now)
    if plan.adapter is not None:
        console.print(record.adapter_line(plan.adapter))
    largest = max(plan.points, key=lambda point: point.width * point.height)
    record.warn_of_space(console, largest.of(plan.options))
    made = Recorder(home, begun, plan.options, plan.settings, args.stall_timeout).record(plan.turns, console)
    again = f"{command('sweep')} --analyze {home}"
    if made.interrupted:
        complain("sweep", f"interrupted; what was recorded is kept: go on with --resume, or {again}")
        return 130
    try:
        console.show(short(read_sweep(home)))
    except MotraceError as error:
        console.print(f"warning: {error}")
    console.print(f"recorded in {home}; to fit again: {again}")
    if made.failed:
        count = len(made.failed)
        runs_of = f"{count} run{'s' if count > 1 else ''} failed"
        complain("sweep", f"{runs_of}, first {made.failed[0]}; --resume tries again")
        return 1
    return 0


def _begin(args: argparse.Namespace, plan: SweepPlan, name: str, now: datetime) -> tuple[Path, Sweep]:
    """The sweep's folder and manifest: new, or with --resume the one that is there. Raises MotraceError."""
    home = Path(args.out) / name
    asked: JsonObject = {
        "argv": record.command_line(),
        "options": shared_options(plan.options),
        "mode": args.mode,
        "repeat": args.repeat,
        "num_envs": sorted({point.num_envs for point in plan.points}),
        "sizes": list(dict.fromkeys(f"{point.width}x{point.height}" for point in plan.points)),
    }
    command = msgspec.convert(redaction.redacted(asked), SweepCommand)
    adapter = None if plan.adapter is None else msgspec.convert(plan.adapter, Adapter)
    if args.resume:
        before = load(home / SWEEP_FILE) if (home / SWEEP_FILE).exists() else None
        if before is None:
            raise UsageError(f"--resume: {home} holds no {SWEEP_FILE}; leave --resume out to begin a sweep")
        _same(before, command, adapter)
        return home, replace(before, command=replace(command, earlier=[*before.command.earlier, before.command.argv]))
    if (home / SWEEP_FILE).exists():
        raise UsageError(f"--name {name}: {home} exists already; continue it with --resume, or choose another name")
    home = record.make_folder(Path(args.out), name)
    facts: JsonObject = {
        "sweep": name,
        "created_utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "status": run_folder.RUNNING,
        "adapter": {**plan.adapter} if plan.adapter is not None else None,
        "environment": {**environment.as_json(environment.collect(home)), **plan.options.environment()},
    }
    return home, replace(convert(Sweep, facts, SWEEP_FILE, []), command=command)


def _same(before: Sweep, now: SweepCommand, adapter: Adapter | None) -> None:
    """Refuse to mix runs that are not comparable. Raises UsageError."""
    pairs: dict[str, tuple[OptionValue | Adapter, OptionValue | Adapter]] = {"mode": (before.command.mode, now.mode)}
    pairs |= {key: (before.command.options.get(key), value) for key, value in now.options.items()}
    pairs["Vulkan adapter"] = (before.adapter, adapter)
    for key, (old, new) in pairs.items():
        if old != new:
            raise UsageError(f"--resume: {key} was {old}, now it is {new}: give the same, or another --name")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.sweep(), run, argv)
