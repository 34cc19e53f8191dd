"""``--collect scalene``: Scalene around the measured process, CPU only."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from ..errors import MotraceError
from ..readers.scalene import read_lines
from ..runs import RUN_FILE, read_json

FILE = "scalene.json"


class ScaleneCollector:
    """Runs the measured process under Scalene; see docs/collect-python.md.

    Scalene starts the program a second time as its own child, which is the process that records:
    its pid is in the manifest, not the one that was started. Its exit status is passed on.
    """

    name = "scalene"
    observer = True

    def missing(self) -> str | None:
        """None if Scalene is installed."""
        if importlib.util.find_spec("scalene") is None:
            return "Scalene is not installed: pip install scalene"
        return None

    def command(self, command: list[str], run_dir: Path) -> list[str]:
        """``[python, -m, MODULE or FILE, args...]`` under Scalene's current command line (2.x)."""
        python, *rest = command
        program = rest[:2] if rest[:1] == ["-m"] else rest[:1]
        arguments = rest[len(program) :]
        words = [python, "-m", "scalene", "run", "--cpu-only", "--no-stacks", "-o", str(run_dir / FILE)]
        if not _is_built_in(run_dir):  # by default it looks only at files beside the program, which is ours
            words += ["--program-path", os.getcwd()]
        return [*words, *program, "---", *arguments]

    def environment(self, run_dir: Path) -> dict[str, str]:
        """None needed."""
        return {}

    def attach(self, pid: int, run_dir: Path) -> None:
        """It is inside already."""

    def finish(self, run_dir: Path) -> list[str]:
        """Whether it wrote a profile that can be read."""
        path = run_dir / FILE
        if not path.exists():
            return ["scalene wrote nothing: the run was too short, or was killed"]
        try:
            lines = read_lines(path)
        except MotraceError as error:
            return [f"scalene: {error}"]
        return [] if lines.num_rows else ["scalene saw no line of the program: the run was too short"]


def _is_built_in(run_dir: Path) -> bool:
    if not (run_dir / RUN_FILE).exists():
        return False
    options = read_json(run_dir / RUN_FILE).get("options") or {}
    return ":" not in str(options.get("workload", ""))
