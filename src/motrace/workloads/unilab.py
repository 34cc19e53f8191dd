"""UniLab's own eval as a workload: unchanged, as its users install it, in its own environment.

The launcher asks UniLab which command its ``eval`` would run, and runs that command under
``record.boot``; ``unilab.toml`` says which of UniLab's names are which phase, and what is done
otherwise in the baselines. See docs/unilab.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, cast

import msgspec

from .. import environment
from ..errors import MotraceError, UsageError, close_to
from ..run_folder import JsonObject
from .options import UNILAB, Options, RunContext
from .process import ProcessCommand, program_command
from .program import Interpreter, ask_python, read_table, write_plan

TABLES = Path(__file__).with_suffix(".toml")
OWN_ENVIRONMENT = ".venv-unilab"
WORK = "work"
PACKAGES = ("unilab", "unisim-core", "motrixsim-core", "torch", "rsl-rl-lib", "numpy", "imageio", "imageio-ffmpeg",
            "mediapy", "mujoco", "hydra-core")  # fmt: skip
TESTED = "1.5.2"
UNFIT = 70
"""The exit status of a UniLab that has no such function, or one with other arguments."""
_ASK = (
    f"UNFIT = {UNFIT}"
    + """
import importlib.util, json, sys
given = json.loads(sys.argv[1])
try:
    from unilab.cli import build_command
    command = build_command(mode='eval', render_mode='record', **given)
except (ImportError, TypeError) as error:
    print(f'{type(error).__name__}: {error}', file=sys.stderr)
    sys.exit(UNFIT)
def is_there(name):
    try: return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError: return False  # what it is in is not there
layouts = [name for name in sys.argv[2:] if is_there(name)]
print(json.dumps({'command': command[1:], 'layouts': layouts}))
"""
)


@dataclass(frozen=True)
class Layout:
    """One table of ``unilab.toml``: how to know that UniLab is laid out so, and what is measured of it then.

    ``tried`` is the version it was recorded with, ``seed`` the override for a seed; empty: none.
    """

    name: str
    needs: str
    table: JsonObject
    tried: str = ""
    seed: str = ""


@dataclass(frozen=True)
class Eval:
    """What UniLab's ``eval`` would run: ``script`` and ``overrides`` (Hydra's), in folder ``work``."""

    python: str
    work: Path
    script: str
    overrides: tuple[str, ...]
    argv: tuple[str, ...]
    layout: Layout
    found: Interpreter

    def warnings(self) -> tuple[str, ...]:
        """What to know where this UniLab is not the one that was tried."""
        version = self.found.packages["unilab"]
        if self.layout.tried == version:
            return ()
        if not self.layout.tried:
            seed = "" if self.layout.seed else "; --seed can't be given to it, so no two runs do the same"
            return (
                f"UniLab {version} is laid out as in {self.layout.name}: its names were taken from its source and "
                f"never tried; check the phases and the frames{seed}",
            )
        return (
            f"UniLab {version} was never tried, {self.layout.tried} was: a name that it lacks is a warning of the run, "
            "and its phase is missing",
        )

    def environment(self) -> JsonObject:
        """What of UniLab's environment a report names; no path among it."""
        packages = {name: version for name, version in self.found.packages.items() if version}
        build = environment.motrixsim_build(packages.get("motrixsim-core"), self.found.motrixsim)
        return {
            "python": self.found.version_text,
            "packages": packages,
            "commits": self.found.commits,
            "motrixsim_build": asdict(build) if build is not None else None,
            "layout": self.layout.name,
            "command": ["eval", *self.argv],
        }


@dataclass(frozen=True)
class UniLabOptions(Options):
    """Options of a run of UniLab's eval."""

    eval: Eval | None = None

    def as_json(self) -> JsonObject:
        """The form in which manifests hold them, with the overrides that UniLab gets."""
        own = {key: getattr(self, key) for key in Options.__dataclass_fields__}
        return {**own, "python": None, "overrides": list(self.overrides())}

    def environment(self) -> JsonObject:
        """UniLab's environment, under ``unilab``."""
        assert self.eval is not None, "prepare makes the eval"
        return {UNILAB: {**self.eval.environment(), "overrides": list(self.overrides())}}

    def warnings(self) -> tuple[str, ...]:
        """What to know of this UniLab before it is run."""
        assert self.eval is not None, "prepare makes the eval"
        return self.eval.warnings()

    @property
    def seeded(self) -> bool:
        """Whether this UniLab can be given a seed."""
        assert self.eval is not None, "prepare makes the eval"
        return bool(self.eval.layout.seed)

    def overrides(self) -> tuple[str, ...]:
        """Hydra overrides: those of ``eval``, and those that make its sizes ours."""
        assert self.eval is not None, "prepare makes the eval"
        sizes = {"training.play_env_num": self.num_envs, "training.play_steps": self.frames + self.warmup}
        if self.eval.layout.seed:
            sizes[self.eval.layout.seed] = self.seed
        given = {override.split("=", 1)[0].lstrip("+~") for override in self.eval.overrides}
        clash = sorted(given & {key.lstrip("+") for key in sizes})
        if clash:
            raise UsageError(f"{clash[0]} is set by --num-envs, --frames and --seed: leave it out after `--`")
        return (*self.eval.overrides, *(f"{key}={value}" for key, value in sizes.items()))

    def command(self, run_dir: Path) -> ProcessCommand:
        """The process of a run; writes its plan into the run's folder, which is there."""
        assert self.eval is not None, "prepare makes the eval"
        values: JsonObject = {"width": self.width, "height": self.height, "warmup": self.warmup}
        asked = self.frames + self.warmup
        rule = "UniLab has no warm-up: its first frames, blank or compiling shaders, count"
        if self.warmup:
            rule = f"the first {self.warmup} frames; UniLab has no warm-up, so they are in its video"
        facts: JsonObject = {"warmup_rule": rule, "video_frames": asked if self.mode == "record" else None}
        write_plan(run_dir, self.eval.layout.table, self.mode, values, asked, facts)
        words = (self.eval.script, *self.overrides())
        return program_command((self.eval.python,), words, run_dir, self.eval.work)


@dataclass(frozen=True)
class _Answer:
    command: tuple[str, ...]
    layouts: tuple[str, ...]


class UniLab:
    """In the place of a workload class: UniLab runs in an interpreter of its own, never in motrace's worker."""

    def __init__(self, context: RunContext) -> None:
        raise MotraceError("unilab is recorded only by run_record --workload unilab")


@functools.cache
def layouts() -> tuple[Layout, ...]:
    """The tables of ``unilab.toml``."""
    found = []
    for name, given in read_table(TABLES).items():
        table = dict(cast(JsonObject, given))
        own = {key: str(table.pop(key)) for key in ("needs", "tried", "seed") if key in table}
        found.append(Layout(name, table=table, **own))
    return tuple(found)


def prepare(options: Options) -> UniLabOptions:
    """Find UniLab's interpreter and ask UniLab what its eval would run. Raises MotraceError."""
    if options.checkpoint:
        raise UsageError("--checkpoint is the humanoid's; UniLab takes --load-run RUN after `--`")
    parser = _parser()
    args, overrides = parser.parse_known_args(list(options.workload_args))
    for word in overrides:
        if word.startswith("-"):
            name = word.split("=", 1)[0]
            parser.error(f"{name} is unknown{close_to(name, parser._option_string_actions)}")
    python = str(Path(options.python).absolute()) if options.python else _own_python()
    found = ask_python((python,), PACKAGES)
    version = found.packages["unilab"]
    if version is None:
        raise MotraceError(f"--python {python}: UniLab is not installed there; name another or run `make unilab`")
    work = Path(args.work) if args.work else _work(Path(python))
    asked = {"algo": args.algo, "task": args.task, "sim": args.sim, "load_run": args.load_run, "profile": args.profile}
    answer = _ask_unilab(python, version, {**asked, "overrides": overrides}, work)
    layout = next((layout for layout in layouts() if layout.needs in answer.layouts), None)
    if layout is None:
        needs = ", ".join(f"{layout.needs} ({layout.name})" for layout in layouts())
        raise MotraceError(f"UniLab {version} has none of {needs}: no table of unilab.toml fits; use UniLab {TESTED}")
    script, *words = answer.command
    argv = tuple(word for name, value in asked.items() if value for word in (f"--{name.replace('_', '-')}", value))
    argv = (*argv, "--render-mode", "record", *overrides)
    made = Eval(python, work, script, tuple(words), argv, layout, found)
    kept = {key: getattr(options, key) for key in Options.__dataclass_fields__}
    return UniLabOptions(**{**kept, "python": python, "eval": made})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage."""
        raise UsageError(f"--workload {UNILAB}: {message}; give what `eval` takes after `--`")


def _parser() -> argparse.ArgumentParser:
    made = _Parser(prog=UNILAB, add_help=False, allow_abbrev=False)
    made.add_argument("--algo", default="ppo")
    made.add_argument("--task", default="g1_motion_tracking")
    made.add_argument("--sim", default="motrix", choices=("motrix",))
    made.add_argument("--load-run", default="-1")
    made.add_argument("--profile")
    made.add_argument("--render-mode", default="record", choices=("record",))
    made.add_argument("--work")
    return made


def _own_python() -> str:
    own = Path(OWN_ENVIRONMENT, "bin", "python")
    if not own.exists():
        raise MotraceError(
            f"--workload {UNILAB}: no {own}; run `make unilab`, or name UniLab's own interpreter with --python PATH"
        )
    return str(own.absolute())


def _work(python: Path) -> Path:
    """The folder that UniLab runs in, where its `logs` are: the environment's own, else the current one."""
    own = python.parent.parent / WORK
    return own.absolute() if (own / "logs").is_dir() else Path.cwd()


def _ask_unilab(python: str, version: str, given: JsonObject, work: Path) -> _Answer:
    """The command that UniLab's eval makes of its arguments, and which layouts it may have."""
    packages = [layout.needs for layout in layouts()]
    try:
        done = subprocess.run(
            (python, "-c", _ASK, json.dumps(given), *packages), capture_output=True, text=True, timeout=120, cwd=work
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MotraceError(f"UniLab {version} does not say what its eval runs: {error}") from error
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode == UNFIT:
        raise MotraceError(
            f"UniLab {version} has no unilab.cli.build_command as this workload needs it ({last[:160]}): "
            f"use UniLab {TESTED}, or record its script with --instrument"
        )
    if done.returncode:
        raise UsageError(f"UniLab: {last[:300]}")
    return msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=_Answer)
