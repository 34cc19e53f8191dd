"""Any Python program as a run: its own command line, its own interpreter, no edit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from .. import run_folder
from ..errors import MotraceError, UsageError
from ..record.boot import InstrumentPlan
from ..record.table import parse
from ..run_folder import JsonObject
from .process import ProcessCommand, program_command

WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
OLDEST = (3, 10)
_PROBE = """
import importlib.metadata, importlib.util, json, sys
def version(name):
    try: return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: return None
def commit(name):
    try: text = importlib.metadata.distribution(name).read_text('direct_url.json')
    except importlib.metadata.PackageNotFoundError: return None
    return json.loads(text or '{}').get('vcs_info', {}).get('commit_id')
spec = importlib.util.find_spec('motrixsim')
print(json.dumps({'version': list(sys.version_info[:3]),
    'packages': {name: version(name) for name in sys.argv[1:]},
    'commits': {name: commit(name) for name in sys.argv[1:] if commit(name)},
    'motrixsim': list(spec.submodule_search_locations or ()) if spec else []}))
"""


def read_table(path: Path) -> JsonObject:
    """The data of an instrument file, TOML or JSON, not yet checked. Raises MotraceError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise MotraceError(f"{path} can't be read: {reason}") from error
    try:
        data = json.loads(text) if path.suffix == ".json" else _toml(text)
    except ValueError as error:  # both libraries' errors are ValueErrors
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path}: holds no table")
    return data


def _toml(text: str) -> JsonObject:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def write_plan(
    run_dir: Path,
    table: JsonObject,
    mode: str,
    values: JsonObject,
    frames: int | None = None,
    facts: JsonObject | None = None,
) -> None:
    """Write what ``record.boot`` reads; a run with fewer ``frames`` counts as crashed. Raises OSError.

    ``facts`` go into the run's manifest as they are; of these ``video_frames`` must be in the video.
    """
    plan = InstrumentPlan(table=table, mode=mode, values=values, frames_asked=frames, facts=facts or {})
    run_folder.write_json(run_dir / run_folder.INSTRUMENT_FILE, cast(JsonObject, plan))


@dataclass(frozen=True)
class Program:
    """A program's command line, taken apart: ``python`` with its own options, and the words that follow."""

    python: tuple[str, ...]
    words: tuple[str, ...]
    table: JsonObject
    source: str
    workload: str = "program"
    mode: str = "custom"
    frames: int = 0
    warmup: int = 0
    width: int = 0
    height: int = 0

    def with_mode(self, mode: str) -> Program:
        """Itself: a program has but one mode."""
        return self

    def environment(self) -> JsonObject:
        """The program's own Python and the package that its table names, under ``program``."""
        distribution = parse(self.table, self.source).distribution
        found = ask_python(self.python, (distribution,) if distribution else ())
        return {
            "program": {
                "python": found.version_text,
                "packages": found.packages,
                "commits": found.commits,
            }
        }

    def as_json(self) -> JsonObject:
        """The form in which manifests hold it: the command as it was typed."""
        return {"workload": self.workload, "instrument": self.source, "command": [*self.python, *self.words]}

    def command(self, run_dir: Path) -> ProcessCommand:
        """The process of a run; writes its plan into the run's folder, which is there."""
        write_plan(run_dir, self.table, self.mode, {})
        return program_command(self.python, self.words, run_dir, stdin=None if _stdin_is_terminal() else 0)


def _stdin_is_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:  # closed
        return True


def take_apart(command: list[str], instrument: Path) -> Program:
    """The program that ``command`` starts. Raises UsageError where that is not a Python program."""
    table = read_table(instrument)
    parse(table, str(instrument))
    if not command:
        raise UsageError("--instrument: give the program after `--`, as in `-- python prog.py ARGS`")
    first = shutil.which(command[0])
    if first is None:
        raise UsageError(f"{command[0]}: no such program; give it after `--`, as in `-- python prog.py ARGS`")
    if re.fullmatch(r"(python|pypy)[\d.]*", Path(first).name):
        options, words = _options(command[1:])
        python = (command[0], *options)
    else:
        python, words = (_shebang(Path(first)),), (first, *command[1:])
    if not words or words[0] == "-":
        raise UsageError("--instrument: the program must be a script, -m MODULE or -c CODE, not a terminal session")
    return Program(python, words, table, str(instrument))


def _options(words: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The interpreter's own options, and the rest: a script, -m or -c."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at][:2] not in ("-m", "-c") and words[at] != "-":
        if re.match(r"-[bBdOqsSuvx?]*[IE]", words[at]):
            raise UsageError(f"{words[at]}: an isolated Python can't load the recorder; leave that option out")
        at += 2 if words[at] in WITH_VALUE else 1
    rest = tuple(words[at:])
    if rest and rest[0][:2] in ("-m", "-c") and len(rest[0]) > 2:  # -mjson.tool
        rest = (rest[0][:2], rest[0][2:], *rest[1:])
    if rest[:1] in (("-m",), ("-c",)) and len(rest) < 2:
        raise UsageError(f"{rest[0]}: what comes after it is missing")
    return tuple(words[:at]), rest


def _shebang(path: Path) -> str:
    """The interpreter of a script that is started by its name, as the commands of installed packages are."""
    with path.open("rb") as file:
        line = file.readline(512)
    words = line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if word != "-S"]
    if words and re.fullmatch(r"(python|pypy)[\d.]*", Path(words[0]).name):
        return words[0]
    raise UsageError(f"{path.name} is not a Python program: --instrument measures Python programs only")


@dataclass(frozen=True)
class Interpreter:
    """What an interpreter is: ``packages`` are None where not installed, ``motrixsim`` are its folders.

    ``commits`` are those of packages that were installed from a repository.
    """

    version: tuple[int, ...]
    packages: dict[str, str | None]
    commits: dict[str, str]
    motrixsim: tuple[str, ...]

    @property
    def version_text(self) -> str:
        """As in ``3.11.7``."""
        return ".".join(map(str, self.version))


def ask_python(python: tuple[str, ...], packages: tuple[str, ...]) -> Interpreter:
    """What an interpreter is. Raises MotraceError where it can't be started or is too old."""
    try:
        done = subprocess.run((*python, "-c", _PROBE, *packages), capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it does not answer"
        raise MotraceError(f"{python[0]} can't be started: {reason}") from error
    try:
        found = msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=Interpreter)
    except (IndexError, ValueError) as error:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise MotraceError(f"{python[0]} is not a working Python interpreter: {last[:200]}") from error
    if found.version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise MotraceError(f"{python[0]} is Python {found.version_text}: the recorder needs {oldest} or newer")
    return found
