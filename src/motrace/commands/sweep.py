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
from ..dataset.typed_json import Json, convert
from ..errors import MotraceError, UsageError
from ..findings.sweep_model import Sweep, SweepCommand
from ..report.sweep_document import short
from ..workloads.options import Options
from . import execute, parsers, record, refuse
from .sweep_analysis import analyse_folder, read_sweep
from .sweep_runs import SWEEP_FILE, Point, Recorder, Turn, grid, load, numbers_of, order, shared_options
from .terminal import Terminal, complain


@dataclass(frozen=True)
class Plan:
    """A sweep that is to be made."""

    options: Options
    points: tuple[Point, ...]
    turns: tuple[Turn, ...]
    adapter: dict[str, str] | None
    settings: Settings


def make_plan(args: argparse.Namespace) -> Plan:
    """Check everything before anything is started; find the adapter as run_record does. Raises MotraceError."""
    counts = numbers_of(args.num_envs)
    sizes = list(dict.fromkeys(record.size_of(text) for text in args.size.split(",")))
    points = grid(counts, sizes)
    for point in points:  # raises where a point can't be made
        Options(workload=args.workload, num_envs=point.num_envs, width=point.width, height=point.height)
    one = points[0]
    words = ["--collect", "none", "--num-envs", str(one.num_envs)]
    words += ["--size", f"{one.width}x{one.height}"]
    for name in ("workload", "mode", "repeat", "frames", "warmup", "seed", "python", "stall_timeout"):
        if (value := getattr(args, name)) is not None:
            words.append(f"--{name.replace('_', '-')}={value}")
    plan = record.make_plan(parsers.record().parse_args([*words, "--", *args.workload_args]))
    assert isinstance(plan.options, Options), "only --instrument makes a Program"
    options = plan.options.with_mode(args.mode)
    return Plan(options, points, tuple(order(points, args.repeat)), plan.adapter, plan.settings)


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
    plan = make_plan(args)
    now = datetime.now(timezone.utc)
    name = args.name or f"sweep-{plan.options.workload.replace(':', '.')}-{now:%Y%m%d-%H%M%S}"
    home, begun = _begin(args, plan, name, now)
    if plan.adapter is not None:
        console.print(f"Vulkan adapter: {plan.adapter['name']} ({plan.adapter['device_type']})")
    largest = max(plan.points, key=lambda point: point.width * point.height)
    record.warn_of_space(console, replace(plan.options, width=largest.width, height=largest.height), {})
    made = Recorder(home, begun, plan.options, plan.settings, args.stall_timeout).record(plan.turns, console)
    again = f"python -m tools.sweep --analyze {home}"
    if made.interrupted:
        complain("sweep", f"interrupted; what was recorded is kept: go on with --resume, or {again}")
        return 130
    try:
        console.show(short(read_sweep(home)))
    except MotraceError as error:
        console.print(f"warning: {error}")
    console.print(f"recorded in {home}; the fit once more: {again}")
    if made.failed:
        count = len(made.failed)
        runs_of = f"{count} run{'s' if count > 1 else ''} failed"
        complain("sweep", f"{runs_of}, first {made.failed[0]}; --resume tries again")
        return 1
    return 0


def _begin(args: argparse.Namespace, plan: Plan, name: str, now: datetime) -> tuple[Path, Sweep]:
    """The sweep's folder and manifest: new, or with --resume the one that is there. Raises MotraceError."""
    home = Path(args.out) / name
    asked = {
        "argv": record.command_line(),
        "options": shared_options(plan.options),
        "mode": args.mode,
        "repeat": args.repeat,
        "num_envs": sorted({point.num_envs for point in plan.points}),
        "sizes": list(dict.fromkeys(f"{point.width}x{point.height}" for point in plan.points)),
    }
    command = msgspec.convert(redaction.redacted(asked), SweepCommand)
    if args.resume:
        before = load(home / SWEEP_FILE) if (home / SWEEP_FILE).exists() else None
        if before is None:
            raise UsageError(f"--resume: {home} holds no {SWEEP_FILE}; leave --resume out to begin a sweep")
        adapter = None if plan.adapter is None else msgspec.convert(plan.adapter, Adapter)
        _same(before, command, adapter)
        return home, replace(before, command=replace(command, earlier=[*before.command.earlier, before.command.argv]))
    if (home / SWEEP_FILE).exists():
        raise UsageError(f"--name {name}: {home} is there already; go on with it with --resume, or choose another name")
    home = record.make_folder(Path(args.out), name)
    facts: dict[str, Json] = {
        "sweep": name,
        "created_utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "status": run_folder.RUNNING,
        "adapter": {**plan.adapter} if plan.adapter is not None else None,
        "environment": {**environment.collect(home), **plan.options.environment()},
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
