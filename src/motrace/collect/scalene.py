"""``--collect scalene``: Scalene around the measured process, CPU only."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import MotraceError
from ..readers.scalene import read_lines
from ..record import boot
from ..run_folder import LOG_FILE, RUN_FILE, read_manifest
from .base import Collector, has_module

FILE = "scalene.json"


class ScaleneCollector(Collector):
    """Runs the measured process under Scalene; see docs/collect-python.md.

    Scalene starts the program a second time as its own child, which is the process that records:
    its pid is in the manifest, not the one that was started. Its exit status is passed on.
    """

    name = "scalene"
    intrusive = True

    def __init__(self, python: tuple[str, ...] = ()) -> None:
        """``python``: the measured process's interpreter with its options, where it is not ours."""
        self._python = python

    def missing(self) -> str | None:
        """None if Scalene is installed for the interpreter of the measured process."""
        if has_module(self._python, "scalene"):
            return None
        where = f" in the program's own environment: {self._python[0]} -m" if self._python else ":"
        return f"Scalene is not installed{where} pip install scalene"

    def command(self, command: list[str], run_dir: Path) -> list[str]:
        """``[python, -m, MODULE or FILE, args...]`` under Scalene's current command line (2.x)."""
        options = command.index("-m") if "-m" in command else 1
        at = options if all(word.startswith("-") for word in command[1:options]) else 1
        python, rest = command[:at], command[at:]
        program = rest[:2] if rest[:1] == ["-m"] else rest[:1]
        arguments = rest[len(program) :]
        words = [*python, "-m", "scalene", "run", "--cpu-only", "--no-stacks", "-o", str((run_dir / FILE).absolute())]
        if program == ["-m", boot.__name__]:  # what follows it and the run's folder is the program
            words += _scope(arguments[1:])
        elif not _is_built_in(run_dir):  # by default it looks only at files beside the program, which is ours
            words += ["--program-path", os.getcwd()]
        return [*words, *program, "---", *arguments]

    def finish(self, run_dir: Path) -> list[str]:
        """Whether it wrote a profile that can be read."""
        path = run_dir / FILE
        if not path.exists():
            return [f"scalene wrote nothing: the run was too short, or was killed (see {LOG_FILE})"]
        try:
            lines = read_lines(path)
        except MotraceError as error:
            return [f"scalene: {error}"]
        return [] if lines.num_rows else ["scalene saw no line of the program: the run was too short"]


def _scope(words: list[str]) -> list[str]:
    """The flags for which files' lines Scalene should tell of: the program's own, not every package it uses."""
    if words[0] == "-m":
        package = words[1].partition(".")[0]
        return ["--profile-all", "--profile-only", f"/{package}/,/{package}.py"]
    script = Path.cwd() if words[0] == "-c" else Path(words[0]).resolve()
    for packages in ("site-packages", "dist-packages"):
        if packages in script.parts[:-1]:  # an installed program: its whole package
            root = Path(*script.parts[: script.parts.index(packages) + 2])
            return ["--profile-all", "--profile-only", str(root)]
    own = str(script) if words[0] == "-c" else f"{script.parent},{words[0]}"
    return ["--profile-all", "--profile-only", own, "--profile-exclude", "site-packages,dist-packages"]


def _is_built_in(run_dir: Path) -> bool:
    if not (run_dir / RUN_FILE).exists():
        return False
    return ":" not in str(read_manifest(run_dir).get("options", {}).get("workload", ""))
