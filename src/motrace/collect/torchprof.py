"""``--collect torch``: torch.profiler around a few frames of the loop."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import MotraceError
from ..readers.torchprof import read_torch
from .torch_hook import FIRST_FRAME, VARIABLE

FILE = "torch.json"


class TorchCollector:
    """Asks the measured process to profile itself; see docs/collect-python.md."""

    name = "torch"
    observer = True

    def missing(self) -> str | None:
        """None if torch is installed."""
        return None if importlib.util.find_spec("torch") else "torch is not installed: pip install torch"

    def command(self, command: list[str], run_dir: Path) -> list[str]:
        """The same."""
        return command

    def environment(self, run_dir: Path) -> dict[str, str]:
        """What switches the hook in the loop on."""
        return {VARIABLE: str((run_dir / FILE).absolute())}

    def attach(self, pid: int, run_dir: Path) -> None:
        """It is inside already."""

    def finish(self, run_dir: Path) -> list[str]:
        """Whether it wrote a trace that can be read."""
        if not (run_dir / FILE).exists():
            return [
                f"torch: no trace was written: the run had fewer than {FIRST_FRAME + 1} frames, ended early, "
                "or its workload does not use motrace's loop"
            ]
        try:
            read_torch(run_dir / FILE)
        except MotraceError as error:
            return [f"torch: {error}"]
        return []
