"""The process of one run: ``python -m motrace.workloads.worker RUN_DIR [OPTIONS_FILE]``.

The launcher has written what to do into RUN_DIR/run.json; a file of its own, if given, has the options
with their credentials. This process records itself, runs the
workload and writes what it found out; whatever goes wrong becomes one line in ``status_reason``.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from .. import run_folder
from ..errors import MotraceError, UsageError, not_installed
from ..record import annotate, nvtx_ranges
from ..run_folder import JsonObject
from .options import BUILT_IN, Options, RunContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Workload

EXIT_INTERRUPTED = 130
EXIT_NOT_WRITTEN = 74  # sysexits.h: an error while doing output
_PR_SET_PDEATHSIG = 1


def load_workload(name: str) -> Callable[[RunContext], Workload]:
    """The class of a workload: a built-in name, or MODULE:CLASS (the current folder is searched too)."""
    module_name, _, class_name = BUILT_IN.get(name, name).partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found: Callable[[RunContext], Workload] = getattr(importlib.import_module(module_name), class_name)
        return found
    except ModuleNotFoundError as error:
        missing = not_installed(error) or f"{error}; install it or run from its folder"
        raise UsageError(f"--workload {name}: {missing}") from error
    except AttributeError as error:
        raise UsageError(f"--workload {name}: module {module_name} has no {class_name}") from error
    finally:
        sys.path.remove(os.getcwd())


def main(run_dir: Path, asked: Path | None = None) -> int:
    """Run it; returns the exit status. ``asked`` holds the options as they were given, and is removed."""
    _die_with_parent()
    signal.signal(signal.SIGTERM, _as_interrupt)
    manifest = run_folder.read_manifest(run_dir)
    options = Options.from_json(run_folder.read_json(asked) if asked else manifest["options"])
    if asked:
        asked.unlink()
    annotate.start_in(run_dir, manifest["run_id"])
    run_folder.update_run(run_dir, process={"pid": os.getpid()}, nvtx=nvtx_ranges.facts())
    status, reason, exit_status = run_folder.COMPLETED, None, 0
    facts: JsonObject = {}
    try:
        with annotate.span("imports"):
            workload_class = load_workload(options.workload)
        facts = workload_class(RunContext(options, run_dir)).run() or {}
        if facts.get("interrupted"):
            status, reason, exit_status = run_folder.INTERRUPTED, "Ctrl-C during the frames", EXIT_INTERRUPTED
    except KeyboardInterrupt:
        status, reason, exit_status = run_folder.INTERRUPTED, "Ctrl-C", EXIT_INTERRUPTED
    except BaseException as error:  # noqa: BLE001  (pyo3's PanicException is not an Exception)
        status, exit_status = run_folder.CRASHED, getattr(error, "exit_status", 1)
        reason = one_line(error)
        if not isinstance(error, MotraceError):
            traceback.print_exc()
    annotate.segment("shutdown")
    _finish(run_dir, status, reason, facts)
    return exit_status


def _finish(run_dir: Path, status: str, reason: str | None, facts: JsonObject) -> None:
    try:
        run_folder.update_run(run_dir, status=status, status_reason=reason, workload=facts, resources=_used())
        dropped = annotate.end()
        if dropped:
            run_folder.update_run(run_dir, dropped_records=dropped)
    except OSError:  # a full disk, on which nothing more can be said either; the launcher tells the user
        annotate.end()
        os._exit(EXIT_NOT_WRITTEN)


def _used() -> dict[str, int]:
    """CPU time and peak memory up to now; the launcher knows better, unless a tool stands between us."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return {"cpu_ns": int(cpu_s * 1e9), "max_rss_bytes": max(own.ru_maxrss, children.ru_maxrss) * 1024}


def one_line(error: BaseException) -> str:
    """What went wrong, and what to do, in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = type(error).__name__
    if isinstance(error, MotraceError):
        return text
    if isinstance(error, ModuleNotFoundError) and (missing := not_installed(error)):
        return missing
    if kind == "PanicException":
        return f"Motrix panicked: {text[:300]} (its own message is in {run_folder.LOG_FILE})"
    if kind == "RenderClosedError":
        return f"the renderer closed in mid-run: {text[:300]} (its own message is in {run_folder.LOG_FILE})"
    if isinstance(error, SystemExit):
        return f"the workload called sys.exit({error.code!r})"
    return f"{kind}: {text[:300]} (the traceback is in {run_folder.LOG_FILE})"


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _die_with_parent() -> None:
    """End with the launcher, even if that is killed: no run may linger and disturb the next.

    Under a tool that starts us the tool is the parent; it ends with the launcher in the same way.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
