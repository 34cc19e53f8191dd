"""``run_record --instrument FILE -- python prog.py ARGS``: any Python program, with no edit."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import run_folder
from ..workloads.program import Program, take_apart
from . import refuse

OF_WORKLOADS = (
    *("workload", "mode", "frames", "warmup", "num_envs", "size", "preset"),
    *("seed", "checkpoint", "python", "video_per_env"),
)


def program_of(args: argparse.Namespace) -> Program:
    """The program that the command line asks for. Raises MotraceError."""
    refuse(args, OF_WORKLOADS, " is for workloads: a program's own arguments come after `--`")
    return take_apart(args.workload_args, Path(args.instrument))


def instrument_warnings(home: Path) -> list[str]:
    """What could not be measured from outside in the runs of an experiment, each once."""
    found = [
        run_folder.read_manifest(path.parent).get("instrument", {})
        for path in sorted(home.glob(f"*/{run_folder.RUN_FILE}"))
    ]
    return list(dict.fromkeys(text for one in found for text in one.get("warnings", ())))
