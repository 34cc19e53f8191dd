"""``run_record``: record an experiment."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TypedDict, cast

from .. import environment, run_folder
from ..collect import registry
from ..collect.registry import Settings
from ..errors import MotraceError, UsageError, command
from ..run_folder import JsonObject
from ..vulkan_adapter import is_software
from ..workloads import unilab
from ..workloads.options import DEFAULT_WORKLOAD, MODES, PRESETS, UNILAB, Options
from ..workloads.probe import probe_adapter
from ..workloads.program import Program
from . import complain, execute, parsers, refuse
from .collecting import settings_of
from .outside import prepare_for_profiler, tell_of_profiler
from .parsers import TO_MEASURE_A_PROGRAM
from .passes import Done, Planned, plan_runs, run_all, usable
from .record_program import instrument_warnings, program_of
from .terminal import Terminal

FIRST_MODE = "record"


class Sizes(TypedDict, total=False):
    """What a preset sets."""

    frames: int
    warmup: int
    num_envs: int
    width: int
    height: int


@dataclass(frozen=True)
class ExperimentPlan:
    """What an experiment is to do, and why its sizes are what they are."""

    options: Options | Program
    runs: tuple[Planned, ...]
    preset: str | None
    chosen: tuple[str, ...]
    adapter: dict[str, str] | None
    settings: Settings
    warnings: tuple[str, ...]


def modes_in_order(mode: str, repeat: int) -> list[str]:
    """Modes in the order of running: A B B A A B B A ... (A B C C B A ...), so that drift cancels."""
    together = {"both": (FIRST_MODE, "none"), "all": MODES}.get(mode, (mode,))
    return [mode for index in range(repeat) for mode in (together if index % 2 == 0 else together[::-1])]


def plan_experiment(args: argparse.Namespace) -> ExperimentPlan:
    """Check the options, ask for the adapter, choose a preset. Raises MotraceError."""
    check_amounts(args.repeat, args.stall_timeout)
    settings = settings_of(args)
    asked = registry.defaults() if args.collect is None else registry.names(args.collect)
    if args.instrument is not None:
        program = program_of(args)
        settings = replace(settings, python=program.python)
        collectors, warnings = usable(asked, settings)
        runs_of = plan_runs([program.mode] * args.repeat, collectors)
        return ExperimentPlan(program, runs_of, None, (), None, settings, tuple(warnings))
    sizes = _sizes_given(args)
    base = Options(
        workload=args.workload or DEFAULT_WORKLOAD,
        seed=args.seed or 0,
        checkpoint=args.checkpoint,
        python=args.python,
        workload_args=tuple(args.workload_args),
        video_per_env=bool(args.video_per_env),
        **sizes,
    )  # checks what was given before anything is started
    modes = modes_in_order(args.mode or "both", args.repeat)
    if FIRST_MODE not in modes:
        refuse(args, ("video_per_env",), f": mode {args.mode} makes no video; use it with --mode {FIRST_MODE}")
    if set(sizes) == set(Sizes.__annotations__):
        refuse(args, ("preset",), ": every size that it sets is given; leave it out")
    base = prepared(base, args)
    settings = replace(settings, python=own_python(base))
    collectors, warnings = usable(asked, settings)
    adapter = adapter_for(base, modes)
    preset, chosen = args.preset, [] if adapter is None else [adapter_line(adapter)]
    if preset is None and base.workload in (DEFAULT_WORKLOAD, UNILAB):
        software = adapter is None or is_software(adapter)
        preset = "quick" if software else "unilab"
        why = "no renderer in mode none" if adapter is None else "a software adapter" if software else "a GPU"
        chosen.append(f"preset {preset}: {why}")
    if preset is not None:
        chosen_sizes: Sizes = {**_preset_values(preset, base.workload), **sizes}
        base = replace(base, **chosen_sizes)
    warnings += base.warnings()
    return ExperimentPlan(base, plan_runs(modes, collectors), preset, tuple(chosen), adapter, settings, tuple(warnings))


def check_amounts(repeat: int, stall_timeout_s: float) -> None:
    """Raises UsageError for numbers with which nothing can be recorded."""
    if repeat < 1:
        raise UsageError(f"--repeat {repeat}: must be at least 1")
    if not stall_timeout_s > 0:  # nan is neither
        raise UsageError(f"--stall-timeout {stall_timeout_s:g}: must be more than 0 seconds")


def prepared(options: Options, args: argparse.Namespace) -> Options:
    """Options that the workload can be started with: UniLab is asked what it would run.

    Raises UsageError for an option in ``args`` that nothing would come of, MotraceError where UniLab is not there.
    """
    if options.workload == UNILAB:
        found = unilab.prepare(options)
        if not found.seeded:
            refuse(args, ("seed",), ": this UniLab takes none; leave it out")
        return found
    refuse(args, ("python",), " names UniLab's interpreter: use it with --workload unilab")
    if options.workload == DEFAULT_WORKLOAD and options.workload_args:
        raise UsageError(
            f"-- {' '.join(options.workload_args)}: the workload {DEFAULT_WORKLOAD} takes no arguments; "
            f"{TO_MEASURE_A_PROGRAM}, UniLab's own need --workload {UNILAB}"
        )
    return options


def own_python(options: Options) -> tuple[str, ...]:
    """The interpreter of a workload that has one of its own."""
    return () if options.python is None else (options.python,)


def adapter_for(options: Options, modes: Sequence[str]) -> dict[str, str] | None:
    """The Vulkan adapter that the renderer will choose; None where none is used. Raises MotraceError."""
    if options.workload not in (DEFAULT_WORKLOAD, UNILAB) or set(modes) == {"none"}:
        return None
    return probe_adapter(*own_python(options))


def adapter_line(adapter: dict[str, str]) -> str:
    """Says which one it is."""
    return f"Vulkan adapter: {adapter['name']} ({adapter['device_type']})"


def _sizes_given(args: argparse.Namespace) -> Sizes:
    """Those of the preset's options that stand on the command line. Raises UsageError."""
    asked = {"frames": args.frames, "warmup": args.warmup, "num_envs": args.num_envs}
    given = cast(Sizes, {name: value for name, value in asked.items() if value is not None})
    if args.size is not None:
        given["width"], given["height"] = size_of(args.size)
    return given


def _preset_values(name: str, workload: str) -> Sizes:
    preset = PRESETS[name]
    warmup = 0 if workload == UNILAB else preset.warmup  # UniLab has none: every frame is in the video
    return Sizes(
        frames=preset.frames, warmup=warmup, num_envs=preset.num_envs, width=preset.width, height=preset.height
    )


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
        raise UsageError(f"--name {name}: use only letters, digits, '.', '_', '+' and '-'")
    home = out / name
    if home.exists():
        raise UsageError(f"--name {name}: {home} exists already; choose another name or remove it")
    try:
        home.mkdir(parents=True)
    except OSError as error:
        raise MotraceError(f"{home} can't be made ({error.strerror}): choose another folder with --out") from error
    return home


def run(args: argparse.Namespace) -> int:
    """Record the experiment that ``args`` ask for."""
    plan = plan_experiment(args)
    now = datetime.now(timezone.utc)
    name = args.name
    if name is None:
        name = free_name(Path(args.out), f"{plan.options.workload.replace(':', '.')}-{now:%Y%m%d-%H%M%S}")
    home = make_folder(Path(args.out), name)
    console = Terminal()
    for line in (*plan.chosen, *(f"warning: {text}" for text in plan.warnings)):
        console.print(line)
    machine = environment.collect(home)
    described: JsonObject = {**environment.as_json(machine), **plan.options.environment()}
    facts: JsonObject = {
        "schema_version": run_folder.SCHEMA_VERSION,
        "experiment": name,
        "experiment_id": run_folder.new_id(),
        "created_utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "status": run_folder.RUNNING,
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
        "environment": described,
        "runs": [planned.as_json() for planned in plan.runs],
    }
    try:
        run_folder.write_manifest(home / run_folder.EXPERIMENT_FILE, facts)
    except OSError as error:
        raise MotraceError(f"{home} can't be written ({error.strerror}): choose another folder with --out") from error
    prepare_for_profiler(console)
    warn_of_space(console, plan.options, machine.disk_free_bytes)
    done = run_all(home, plan.runs, plan.options, plan.settings, args.stall_timeout, console)
    return _finish(home, facts, done, console)


def command_line() -> list[str]:
    """The command as it was typed, without the machine's own paths."""
    program = Path(sys.argv[0])
    module = ["python", "-m", f"tools.{program.stem}"] if program.parent.name == "tools" else [program.name]
    return [*module, *sys.argv[1:]]


def warn_of_space(console: Terminal, options: Options | Program, disk_bytes: int | None = None) -> None:
    """Say where memory or disk may not do."""
    needed = options.frames * options.width * options.height * 3
    import psutil

    free = psutil.virtual_memory().available
    if needed > free // 2:
        console.print(
            f"warning: all frames are held until the end: {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB of memory are free"
        )
    if disk_bytes is not None and disk_bytes < 1 << 30:
        console.print(f"warning: low disk: {disk_bytes / 1e6:.0f} MB are free")


def _finish(home: Path, facts: JsonObject, done: Done, console: Terminal) -> int:
    """Complete the experiment's manifest, say what to do next, choose the exit status."""
    facts["status"] = done.status
    facts["runs"] = [
        {**planned.as_json(), "status": one.status if one is not None else "not started"} for planned, one in done.runs
    ]
    try:
        run_folder.write_manifest(home / run_folder.EXPERIMENT_FILE, facts)
    except OSError as error:
        console.print(f"warning: {run_folder.EXPERIMENT_FILE} could not be updated ({error.strerror})")
    to_analyse = tell_of_profiler(home, console)
    for text in instrument_warnings(home):
        console.print(f"warning: {text}")
    console.print(f"recorded in {home}; next: {command('analyze')} {to_analyse}")
    if done.status == run_folder.COMPLETED:
        return 0
    if done.status == run_folder.CRASHED and done.failed is not None:
        complain("run_record", f"{done.failed.run_id} crashed: {done.failed.reason}")
        return (UsageError if done.failed.wrong_usage else MotraceError).exit_status
    complain("run_record", "interrupted; what was recorded is kept")
    return 130


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return execute(parsers.record(), run, argv)
