"""What the launcher does around a program that records into a folder of its choice."""

from __future__ import annotations

import os
from pathlib import Path

from motrace import run_folder
from motrace.record import annotate


def begin(folder: str | os.PathLike[str], cpu_clocks: bool = True) -> None:
    """Begin to record into the folder itself."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    process = {"pid": os.getpid()}
    run_folder.update_run(Path(folder), run_id="run", mode="custom", status=run_folder.RUNNING, process=process)
    annotate.start_in(folder, "run", cpu_clocks)


def end(folder: str | os.PathLike[str]) -> None:
    """End what ``begin`` began."""
    run_folder.update_run(Path(folder), status=run_folder.COMPLETED)
    annotate.end()
