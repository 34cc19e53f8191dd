"""run_record inside an ``nsys profile`` of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

from ..collect.nsys_outside import make_room, nsys_around
from ..errors import command
from ..workloads.launch import profiled_by
from .terminal import Terminal


def prepare_for_profiler(console: Terminal) -> None:
    """Do for the user's ``nsys profile`` what it does not do for itself, and say what may go wrong."""
    outside = nsys_around()
    if outside is None:
        return
    try:
        make_room(outside)
    except OSError as error:
        console.print(f"warning: the folder of nsys's report can't be made ({error.strerror}): it will stay in /tmp")
    if outside.perf_events:
        console.print(
            "warning: this nsys uses perf events, with which it can hang at its end: "
            "stop it and start it as `nsys profile -s none --cpuctxsw=none ...`"
        )


def tell_of_profiler(home: Path, console: Terminal) -> Path:
    """Say where the report of a profiler around us must lie to be found; returns the folder to analyse."""
    profiler, outside = profiled_by(), nsys_around()
    folder = home
    if profiler is None:
        return folder
    where = f"put it into {home}"
    if outside is not None and outside.report is not None:
        above = Path(os.path.commonpath((outside.report.parent, home.resolve())))
        if len(above.parts) > 2:  # not half the disk
            folder = Path(os.path.relpath(above))
            where = f"this one with `{command('analyze')} {folder}`"
    console.print(f"profiled by {profiler}: its report is read where it lies below the folder to analyse; {where}")
    if outside is not None and outside.perf_events:
        console.print(
            "if nsys does not end within a minute, it hangs and its report is lost: kill the process "
            "`nsys --start-agent`; record again with `nsys profile -s none --cpuctxsw=none ...`, or let run_record "
            "call nsys, which watches it: --collect nsys"
        )
    return folder
