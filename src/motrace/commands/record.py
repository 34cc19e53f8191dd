"""``run_record``: record an experiment."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import environment, runs
from ..adapter import is_software
from ..collect import registry
from ..collect.registry import Settings
from ..errors import MotraceError, UsageError, command
from ..workloads import unilab
from ..workloads.options import DEFAULT_WORKLOAD, MODES, PRESETS, UNILAB, Options
from ..workloads.probe import probe_adapter
from ..workloads.program import Program
from . import execute, parsers, refuse
from .collecting import settings_of
from .outside import prepare_for_profiler, tell_of_profiler
from .parsers import TO_MEASURE_A_PROGRAM
from .passes import Done, Planned, plan_runs, run_all, usable
from .record_program import instrument_warnings, program_of
from .terminal import Terminal, complain

FIRST_MODE = "record"
PRESET_OPTIONS = ("frames", "warmup", "num_envs", "width", "height")


@dataclass(frozen=True)
class Plan:
    """What an experiment is to do, and why its sizes are what they are."""

    options: Options | Program
    runs: tuple[Planned, ...]
    preset: str | None
    chosen: tuple[str, ...]
    adapter: dict[str, str] | None
    settings: Settings
    warnings: tuple[str, ...]


def order(mode: str, repeat: int) -> list[str]:
    """Modes in the order of running: A B B A A B B A ... (A B C C B A ...), so that drift cancels."""
    together = {"both": (FIRST_MODE, "none"), "all": MODES}.get(mode, (mode,))
    return [mode for index in range(repeat) for mode in (together if index % 2 == 0 else together[::-1])]


def make_plan(args: argparse.Namespace) -> Plan:
    """Check the options, ask for the adapter, choose a preset. Raises MotraceError."""
    if args.repeat < 1:
        raise UsageError(f"--repeat {args.repeat}: must be at least 1")
    if not args.stall_timeout > 0:  # nan is neither
        raise UsageError(f"--stall-timeout {args.stall_timeout:g}: must be more than 0 seconds")
    settings = settings_of(args)
    asked = registry.defaults() if args.collect is None else registry.names(args.collect)
    if args.instrument is not None:
        program = program_of(args)
        settings = replace(settings, python=program.python)
        collectors, warnings = usable(asked, settings)
        runs_of = plan_runs([program.mode] * args.repeat, collectors)
        return Plan(program, runs_of, None, (), None, settings, tuple(warnings))
    args.workload = args.workload or DEFAULT_WORKLOAD
    base, given = _options(args)  # checks what was given before anything is started
    modes = order(args.mode or "both", args.repeat)
    _refuse_what_has_no_effect(args, base, given, modes)
    python = sys.executable
    told: tuple[str, ...] = ()
    if args.workload == UNILAB:
        base = unilab.prepare(base)
        if not base.seeded:
            refuse(args, ("seed",), ": this UniLab takes none; leave it out")
        python, told = str(base.python), base.warnings()
        settings = replace(settings, python=(python,))
    collectors, warnings = usable(asked, settings)
    adapter, chosen = None, []
    rendered = args.workload in (DEFAULT_WORKLOAD, UNILAB)
    if rendered and set(modes) != {"none"}:
        adapter = probe_adapter(python)
        chosen.append(f"Vulkan adapter: {adapter['name']} ({adapter['device_type']})")
    preset_name = args.preset
    if preset_name is None and rendered:
        software = adapter is None or is_software(adapter)
        preset_name = "quick" if software else "unilab"
        why = "no renderer in mode none" if adapter is None else "a software adapter" if software else "a GPU"
        chosen.append(f"preset {preset_name}: {why}")
    if preset_name is not None:
        base = replace(base, **{**_preset_values(preset_name, args.workload), **given})
    return Plan(base, plan_runs(modes, collectors), preset_name, tuple(chosen), adapter, settings, (*warnings, *told))


def _refuse_what_has_no_effect(
    args: argparse.Namespace, base: Options, given: dict[str, Any], modes: Sequence[str]
) -> None:
    """Raises UsageError for an option that nothing would come of."""
    if args.workload != UNILAB:
        refuse(args, ("python",), " names UniLab's interpreter: use it with --workload unilab")
    if args.workload == DEFAULT_WORKLOAD and base.workload_args:
        words = " ".join(base.workload_args)
        raise UsageError(
            f"-- {words}: the workload {DEFAULT_WORKLOAD} takes no arguments; {TO_MEASURE_A_PROGRAM}, "
            f"UniLab's own need --workload {UNILAB}"
        )
    if FIRST_MODE not in modes:
        refuse(args, ("video_per_env",), f": mode {args.mode} makes no video; use it with --mode {FIRST_MODE}")
    if set(given) == set(PRESET_OPTIONS):
        refuse(args, ("preset",), ": every size that it sets is given; leave it out")


def _options(args: argparse.Namespace) -> tuple[Options, dict[str, Any]]:
    """The options of the command line, and those that were given. Raises UsageError."""
    given = {name: getattr(args, name) for name in ("frames", "warmup", "num_envs") if getattr(args, name) is not None}
    if args.size is not None:
        given["width"], given["height"] = size_of(args.size)
    base = Options(
        workload=args.workload,
        seed=args.seed or 0,
        checkpoint=args.checkpoint,
        python=args.python,
        workload_args=tuple(args.workload_args),
        video_per_env=bool(args.video_per_env),
        **given,
    )
    return base, given


def _preset_values(name: str, workload: str) -> dict[str, int]:
    preset = PRESETS[name]
    values = {key: getattr(preset, key) for key in PRESET_OPTIONS}
    if workload == UNILAB:
        values["warmup"] = 0  # it has none: every frame is in the video
    return values


def size_of(text: str) -> tuple[int, int]:
    """``1280x720`` as (width, height). Raises UsageError."""
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if match is None:
        raise UsageError(f"--size {text}: write it as WIDTHxHEIGHT, as in 1280x720")
    return int(match[1]), int(match[2])


def free_name(out: Path, name: str) -> str:
    """``name``, with a number where another recording began in the same second."""
    names = (name, *(f"{name}-{number}" for number in range(2, 100)))
    return next((free for free in names if not (out / free).exists()), name)


def make_folder(out: Path, name: str) -> Path:
    """The experiment's new folder. Raises MotraceError."""
    if not re.fullmatch(r"[\w][\w.+-]*", name):
        raise UsageError(f"--name {name}: use letters, digits, '.', '_', '+' and '-' alone")
    home = out / name
    if home.exists():
        raise UsageError(f"--name {name}: {home} is there already; choose another name or remove it")
    try:
        home.mkdir(parents=True)
    except OSError as error:
        raise MotraceError(f"{home} can't be made ({error.strerror}): choose another folder with --out") from error
    return home


def run(args: argparse.Namespace) -> int:
    """Record the experiment that ``args`` ask for."""
    plan = make_plan(args)
    now = datetime.now(timezone.utc)
    name = args.name
    if name is None:
        name = free_name(Path(args.out), f"{plan.options.workload.replace(':', '.')}-{now:%Y%m%d-%H%M%S}")
    home = make_folder(Path(args.out), name)
    console = Terminal()
    for line in (*plan.chosen, *(f"warning: {text}" for text in plan.warnings)):
        console.print(line)
    facts: dict[str, Any] = {
        "schema_version": runs.SCHEMA_VERSION,
        "experiment": name,
        "created_utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "status": runs.RUNNING,
        "command": {
            "argv": command_line(),
            "options": {key: value for key, value in plan.options.as_json().items() if key != "mode"},
            "mode": "custom" if args.instrument is not None else args.mode or "both",
            "repeat": args.repeat,
            "preset": plan.preset,
            "chosen": list(plan.chosen),
            "warnings": list(plan.warnings),
        },
        "adapter": plan.adapter,
        "environment": {**environment.collect(home), **plan.options.environment()},
        "runs": [planned.as_json() for planned in plan.runs],
    }
    try:
        runs.write_manifest(home / runs.EXPERIMENT_FILE, facts)
    except OSError as error:
        raise MotraceError(f"{home} can't be written ({error.strerror}): choose another folder with --out") from error
    prepare_for_profiler(console)
    warn_of_space(console, plan.options, facts["environment"])
    done = run_all(home, plan.runs, plan.options, plan.settings, args.stall_timeout, console)
    return _finish(home, facts, done, console)


def command_line() -> list[str]:
    """The command as it was typed, without the machine's own paths."""
    program = Path(sys.argv[0])
    module = ["python", "-m", f"tools.{program.stem}"] if program.parent.name == "tools" else [program.name]
    return [*module, *sys.argv[1:]]


def warn_of_space(console: Terminal, options: Options | Program, facts: dict[str, Any]) -> None:
    """Say where memory or disk may not do."""
    needed = options.frames * options.width * options.height * 3
    import psutil

    free = psutil.virtual_memory().available
    if needed > free // 2:
        console.print(
            f"warning: all frames are held until the end: {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB of memory are free"
        )
    disk = facts.get("disk_free_bytes")
    if disk is not None and disk < 1 << 30:
        console.print(f"warning: low disk: {disk / 1e6:.0f} MB are free")


def _finish(home: Path, facts: dict[str, Any], done: Done, console: Terminal) -> int:
    """Complete the experiment's manifest, say what to do next, choose the exit status."""
    facts["status"] = done.status
    facts["runs"] = [
        {**planned.as_json(), "status": one.status if one is not None else "not started"} for planned, one in done.runs
    ]
    try:
        runs.write_manifest(home / runs.EXPERIMENT_FILE, facts)
    except OSError as error:
        console.print(f"warning: {runs.EXPERIMENT_FILE} could not be updated ({error.strerror})")
    to_analyse = tell_of_profiler(home, console)
    for text in instrument_warnings(home):
        console.print(f"warning: {text}")
    console.print(f"recorded in {home}; next: {command('analyze')} {to_analyse}")
    if done.status == runs.COMPLETED:
        return 0
    if done.status == runs.CRASHED and done.failed is not None:
        complain("run_record", f"{done.failed.run_id} crashed: {done.failed.reason}")
        return (UsageError if done.failed.wrong_usage else MotraceError).exit_status
    complain("run_record", "interrupted; what was recorded is kept")
    return 130


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.record(), run, argv)
