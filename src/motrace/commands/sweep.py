"""``sweep``: how the time of a frame grows with environments and pixels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

from .. import environment, redaction, run_folder
from ..collect.registry import Settings
from ..errors import MotraceError, UsageError, command
from ..run_folder import JsonValue
from ..workloads.options import Options
from . import execute, parsers, record, refuse
from .sweep_analysis import analyse_folder, read_sweep, show
from .sweep_runs import (
    SWEEP_FILE,
    Adapter,
    Point,
    Recorder,
    SweepCommand,
    SweepManifest,
    Turn,
    grid,
    numbers_of,
    shared_options,
    turns_of,
)
from .terminal import Terminal, complain


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
    home, facts = _begin(args, plan, name, now)
    if plan.adapter is not None:
        console.print(record.adapter_line(plan.adapter))
    largest = max(plan.points, key=lambda point: point.width * point.height)
    record.warn_of_space(console, largest.of(plan.options))
    made = Recorder(home, facts, plan.options, plan.settings, args.stall_timeout).record(plan.turns, console)
    again = f"{command('sweep')} --analyze {home}"
    if made.interrupted:
        complain("sweep", f"interrupted; what was recorded is kept: go on with --resume, or {again}")
        return 130
    try:
        show(read_sweep(home), console)
    except MotraceError as error:
        console.print(f"warning: {error}")
    console.print(f"recorded in {home}; the fit once more: {again}")
    if made.failed:
        count = len(made.failed)
        runs_of = f"{count} run{'s' if count > 1 else ''} failed"
        complain("sweep", f"{runs_of}, first {made.failed[0]}; --resume tries again")
        return 1
    return 0


def _begin(args: argparse.Namespace, plan: SweepPlan, name: str, now: datetime) -> tuple[Path, SweepManifest]:
    """The sweep's folder and manifest: new, or with --resume the one that is there. Raises MotraceError."""
    home = Path(args.out) / name
    command: SweepCommand = {
        "argv": redaction.redacted(record.command_line()),
        "options": redaction.redacted(shared_options(plan.options)),
        "mode": args.mode,
        "repeat": args.repeat,
        "num_envs": sorted({point.num_envs for point in plan.points}),
        "sizes": list(dict.fromkeys(f"{point.width}x{point.height}" for point in plan.points)),
    }
    if args.resume:
        if not (home / SWEEP_FILE).exists():
            raise UsageError(f"--resume: {home} holds no {SWEEP_FILE}; leave --resume out to begin a sweep")
        facts = cast(SweepManifest, run_folder.read_json(home / SWEEP_FILE))
        _same(facts["command"], command, facts.get("adapter"), plan.adapter)
        command["earlier"] = [*facts["command"].get("earlier", []), facts["command"]["argv"]]
        return home, {**facts, "command": command, "results": None}
    if (home / SWEEP_FILE).exists():
        raise UsageError(f"--name {name}: {home} is there already; go on with it with --resume, or choose another name")
    home = record.make_folder(Path(args.out), name)
    return home, {
        "schema_version": run_folder.SCHEMA_VERSION,
        "sweep": name,
        "created_utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "status": run_folder.RUNNING,
        "command": command,
        "adapter": plan.adapter,
        "environment": {**environment.as_json(environment.collect(home)), **plan.options.environment()},
        "runs": [],
        "results": None,
    }


def _same(before: SweepCommand, now: SweepCommand, adapter_before: Adapter, adapter_now: Adapter) -> None:
    """Refuse to mix runs that are not comparable. Raises UsageError."""
    pairs: dict[str, tuple[JsonValue, JsonValue]] = {"mode": (before["mode"], now["mode"])}
    pairs |= {key: (before["options"].get(key), value) for key, value in now["options"].items()}
    pairs["Vulkan adapter"] = (adapter_before, adapter_now)
    for key, (old, new) in pairs.items():
        if (list(old) if isinstance(old, tuple) else old) != (list(new) if isinstance(new, tuple) else new):
            raise UsageError(f"--resume: {key} was {old}, now it is {new}: give the same, or another --name")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.sweep(), run, argv)
