"""What every collector is to the launcher.

A run is launched with the collectors that were asked for it. For each, in this order: ``missing``
(can it run here at all), ``command`` and ``environment`` (before the process is started),
``attach`` (as soon as the measured process is known by its pid), ``finish`` (when that process has
ended, whichever way). A collector writes into the run folder and never raises for what the tool
does: a failure of a tool is a warning, and the run goes on.
"""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

from ..run_folder import JsonObject

_PROBE = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
PATIENCE_S = 30.0
"""What the interpreter of the measured process, which may differ from ours, may take to answer."""


class Collector:
    """One tool that watches one run. Without more it neither wraps the measured process nor changes its environment."""

    name: str
    """As ``--collect`` names it."""

    intrusive: bool
    """True if it disturbs what it watches: it gets a pass of its own, which gives no times."""

    def missing(self) -> str | None:
        """None if the tool can run here, else one line that says what is missing and what to do."""
        return None

    def command(self, command: list[str], run_dir: Path) -> list[str]:
        """The command that runs ``command`` (the measured process) under the tool; it itself if not needed."""
        return command

    def environment(self, run_dir: Path) -> dict[str, str]:
        """Environment variables that the measured process needs."""
        return {}

    def attach(self, pid: int, run_dir: Path) -> None:
        """The measured process runs and has this id. Called once; must return at once."""

    def finish(self, run_dir: Path) -> list[str]:
        """The measured process has ended: stop, collect, convert. Returns warnings, one line each."""
        return []

    def facts(self) -> JsonObject | None:
        """What the run's manifest should hold of it (version, flags), if anything. Called after ``finish``."""
        return None

    def calmer(self) -> Collector | None:
        """After ``finish``: the collector with which the pass is worth another try, None if it is not."""
        return None


def has_module(python: tuple[str, ...], name: str) -> bool:
    """Whether ``name`` is installed for ``python`` (an interpreter and its options; empty: our own)."""
    if not python:
        return importlib.util.find_spec(name) is not None
    try:
        done = subprocess.run((*python, "-c", _PROBE, name), capture_output=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
