"""``sweep``: how the time of a frame grows with environments and pixels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from .. import environment, redaction, run_folder
from ..collect.registry import Settings
from ..errors import MotraceError, UsageError
from ..report import sweep_document
from ..workloads.options import Options
from . import execute, parsers, record, refuse
from .sweep_analysis import analyse_folder, read_sweep
from .sweep_runs import SWEEP_FILE, Json, Point, Recorder, Turn, grid, numbers_of, order, shared_options
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
    home, facts = _begin(args, plan, name, now)
    if plan.adapter is not None:
        console.print(f"Vulkan adapter: {plan.adapter['name']} ({plan.adapter['device_type']})")
    largest = max(plan.points, key=lambda point: point.width * point.height)
    record.warn_of_space(console, replace(plan.options, width=largest.width, height=largest.height), {})
    made = Recorder(home, facts, plan.options, plan.settings, args.stall_timeout).record(plan.turns, console)
    again = f"python -m tools.sweep --analyze {home}"
    if made.interrupted:
        complain("sweep", f"interrupted; what was recorded is kept: go on with --resume, or {again}")
        return 130
    try:
        console.show(sweep_document.short(read_sweep(home)))
    except MotraceError as error:
        console.print(f"warning: {error}")
    console.print(f"recorded in {home}; the fit once more: {again}")
    if made.failed:
        count = len(made.failed)
        runs_of = f"{count} run{'s' if count > 1 else ''} failed"
        complain("sweep", f"{runs_of}, first {made.failed[0]}; --resume tries again")
        return 1
    return 0


def _begin(args: argparse.Namespace, plan: Plan, name: str, now: datetime) -> tuple[Path, Json]:
    """The sweep's folder and manifest: new, or with --resume the one that is there. Raises MotraceError."""
    home = Path(args.out) / name
    command: Json = {
        "argv": record.command_line(),
        "options": shared_options(plan.options),
        "mode": args.mode,
        "repeat": args.repeat,
        "num_envs": sorted({point.num_envs for point in plan.points}),
        "sizes": list(dict.fromkeys(f"{point.width}x{point.height}" for point in plan.points)),
    }
    command = redaction.redacted(command)
    if args.resume:
        facts = run_folder.read_json(home / SWEEP_FILE) if (home / SWEEP_FILE).exists() else None
        if facts is None:
            raise UsageError(f"--resume: {home} holds no {SWEEP_FILE}; leave --resume out to begin a sweep")
        _same(facts["command"], command, facts.get("adapter"), plan.adapter)
        earlier = [*facts["command"].get("earlier", []), facts["command"]["argv"]]
        return home, {**facts, "command": {**command, "earlier": earlier}, "results": None}
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
        "environment": {**environment.collect(home), **plan.options.environment()},
        "runs": [],
        "results": None,
    }


def _same(before: Json, now: Json, adapter_before: object, adapter_now: object) -> None:
    """Refuse to mix runs that are not comparable. Raises UsageError."""
    pairs = {"mode": (before["mode"], now["mode"])}
    pairs |= {key: (before["options"].get(key), value) for key, value in now["options"].items()}
    pairs["Vulkan adapter"] = (adapter_before, adapter_now)
    for key, (old, new) in pairs.items():
        if (list(old) if isinstance(old, tuple) else old) != (list(new) if isinstance(new, tuple) else new):
            raise UsageError(f"--resume: {key} was {old}, now it is {new}: give the same, or another --name")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.sweep(), run, argv)
