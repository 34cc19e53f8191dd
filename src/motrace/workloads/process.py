"""The process of a run: which command starts it. Only the recorder enters another program's interpreter."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .. import run_folder
from ..record import boot
from ..run_folder import JsonObject

ENTERS = (
    "__init__.py",
    "errors.py",
    "output.py",
    "redaction.py",
    "run_folder.py",
    "thread_roles.py",
    "vocabulary.py",
    "record",
)


@dataclass(frozen=True)
class ProcessCommand:
    """A process to start. ``env`` is added to our own environment, ``cwd`` None is our current folder.

    ``worker``: a worker of ours, which alone can tell by its exit status that the command was wrong.
    """

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    stdin: int | None = subprocess.DEVNULL
    worker: bool = False

    def environment(self) -> dict[str, str]:
        """The whole environment of the process."""
        return {**os.environ, **self.env}


class Asked(Protocol):
    """What a run is asked to do: ``Options`` of a workload, or a ``Program``."""

    @property
    def mode(self) -> str:
        """The run's mode."""

    def as_json(self) -> JsonObject:
        """The form in which the manifest holds it."""

    def command(self, run_dir: Path) -> ProcessCommand:
        """The process of a run; what it needs is written into the run's folder, which is there."""


def worker(options: JsonObject, run_dir: Path) -> ProcessCommand:
    """motrace's own worker in its own environment."""
    descriptor, path = tempfile.mkstemp(".json", dir=_own_folder())  # the manifest is without credentials
    with open(descriptor, "w") as file:
        json.dump(options, file)
    return ProcessCommand((sys.executable, "-m", "motrace.workloads.worker", str(run_dir), path), worker=True)


def program_command(
    python: tuple[str, ...], words: tuple[str, ...], run_dir: Path, cwd: Path | None = None, stdin: int | None = None
) -> ProcessCommand:
    """A program under ``record.boot``: ``python`` is its interpreter with its options, ``words`` what comes after."""
    home = _recorder_home()
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    env = {"PYTHONPATH": path, boot.PATH_VARIABLE: home}
    argv = (*python, "-m", boot.__name__, str(run_dir.absolute()), *words)
    return ProcessCommand(argv, env, cwd, subprocess.DEVNULL if stdin is None else stdin)


@functools.cache
def _own_folder() -> str:
    """A folder that no other user can read; goes when we do."""
    folder = tempfile.mkdtemp(prefix="motrace-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _recorder_home() -> str:
    """A folder that holds a package ``motrace`` with the recorder and nothing else."""
    home = str(Path(_own_folder(), "recorder"))
    package = Path(run_folder.__file__).parent
    (Path(home) / "motrace").mkdir(parents=True)
    for name in ENTERS:
        (Path(home) / "motrace" / name).symlink_to(package / name)
    return home
