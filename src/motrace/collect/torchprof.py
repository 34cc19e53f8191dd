"""``--collect torch``: torch.profiler around a few frames of the loop."""

from __future__ import annotations

from pathlib import Path

from ..errors import MotraceError
from ..readers.torch.kineto import read_torch
from ..record.torch_hook import FIRST_FRAME, VARIABLE
from .base import Collector, has_module

FILE = "torch.json"


class TorchCollector(Collector):
    """Asks the measured process to profile itself; see docs/collect-python.md."""

    name = "torch"
    intrusive = True

    def __init__(self, python: tuple[str, ...] = ()) -> None:
        """``python``: the measured process's interpreter with its options, where it is not ours."""
        self._python = python

    def missing(self) -> str | None:
        """None if torch is installed for the interpreter of the measured process."""
        if has_module(self._python, "torch"):
            return None
        return "the program's environment has no torch" if self._python else "torch is not installed: pip install torch"

    def environment(self, run_dir: Path) -> dict[str, str]:
        """What switches the hook in the loop on."""
        return {VARIABLE: str((run_dir / FILE).absolute())}

    def finish(self, run_dir: Path) -> list[str]:
        """Whether it wrote a trace that can be read."""
        if not (run_dir / FILE).exists():
            return [
                f"torch: no trace was written: the run had fewer than {FIRST_FRAME + 1} frames, ended early, "
                "or has no frames (see docs/collect-python.md)"
            ]
        try:
            read_torch(run_dir / FILE)
        except MotraceError as error:
            return [f"torch: {error}"]
        return []
