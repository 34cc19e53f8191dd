"""Runs a program, unchanged, with its functions measured: ``python -m motrace.record.boot RUN_DIR PROGRAM ARGS``.

PROGRAM is what stands after ``python`` on the program's own command line: a script, ``-m MODULE``
or ``-c CODE``. RUN_DIR/instrument.json says what to measure. The program runs as ``__main__``,
with its own sys.argv and sys.path; this module's presence shows in ``sys.modules`` alone.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TypedDict, cast

from .. import run_folder
from ..run_folder import JsonObject
from . import annotate, mainprogram, nvtx_ranges
from .instrument import Instrument
from .table import parse
from .torch_hook import frame_hook

PATH_VARIABLE = "MOTRACE_PATH"  # what the launcher put in front of PYTHONPATH
EXIT_INTERRUPTED = 130  # how a program says that it took Ctrl-C for its end
_PR_SET_PDEATHSIG = 1


class InstrumentPlan(TypedDict):
    """instrument.json: what the launcher wants measured, and what it knows of the run."""

    table: JsonObject
    mode: str
    values: JsonObject
    frames_asked: int | None
    facts: JsonObject


class Boot:
    """One program, run and recorded."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.status, self.reason = run_folder.COMPLETED, ""
        plan = cast(InstrumentPlan, run_folder.read_json(run_dir / run_folder.INSTRUMENT_FILE))
        self.frames_asked, self.facts = plan["frames_asked"], plan["facts"]
        values: JsonObject = {**plan["values"], "run_dir": str(run_dir), "video": str(run_dir / run_folder.VIDEO_FILE)}
        self.instrument = Instrument(parse(plan["table"], run_folder.INSTRUMENT_FILE), plan["mode"], values)

    def run(self, words: list[str]) -> None:
        """Run the program to its end. Raises what it raises, SystemExit among that."""
        annotate.start_in(self.run_dir, run_folder.read_manifest(self.run_dir)["run_id"])
        run_folder.update_run(self.run_dir, process={"pid": os.getpid()}, nvtx=nvtx_ranges.facts())
        atexit.register(self.finish)  # the program's own exit functions are registered later, so they run earlier
        sys.modules["__main__"] = ModuleType("__main__")  # the table's names in it are the program's, not ours
        self.instrument.frame_hook = hook = frame_hook()
        self.instrument.install()
        table = self.instrument.table
        if not (table.frame or table.frame_begins or table.segments):
            annotate.segment("loop", presumed=True)  # all of it counts, unless it says itself where its loop begins
        try:
            mainprogram.run(words, self.instrument)
        except SystemExit as exit_:
            if exit_.code == EXIT_INTERRUPTED:
                self.status, self.reason = run_folder.INTERRUPTED, "Ctrl-C"
            elif exit_.code not in (None, 0):
                self.status, self.reason = run_folder.CRASHED, f"it ended with sys.exit({exit_.code!r})"
            raise
        except KeyboardInterrupt:
            self.status, self.reason = run_folder.INTERRUPTED, "Ctrl-C"
            raise
        except BaseException as error:
            text = " ".join(str(error).split())[:300]
            self.status, self.reason = run_folder.CRASHED, f"{type(error).__name__}: {text} (see {run_folder.LOG_FILE})"
            raise
        finally:
            if hook is not None:
                hook.end()
            if not self.instrument.table.has_segment("shutdown"):
                annotate.segment("shutdown")

    def finish(self) -> None:
        """Take everything back, and write down what was found."""
        self.instrument.uninstall()
        turns, asked = self.instrument.iterations, self.frames_asked
        if self.status == run_folder.COMPLETED and asked is not None and turns != asked:
            self.status = run_folder.CRASHED
            self.reason = f"{self.instrument.table.program} made {turns} of {asked} frames and went on as if it had"
        for warning in self.instrument.warnings:
            print(f"motrace: warning: {warning}", file=sys.stderr)
        try:
            self.instrument.episodes.write(self.run_dir)
            run_folder.update_run(
                self.run_dir,
                status=self.status,
                status_reason=self.reason or None,
                workload={**self.facts, **self.instrument.facts, "frames": turns},
                instrument={"measured": self.instrument.measured, "warnings": self.instrument.warnings},
            )
        except OSError as error:
            print(f"motrace: {run_folder.RUN_FILE} could not be written: {error.strerror}", file=sys.stderr)
        dropped = annotate.end()
        if dropped:
            print(f"motrace: {dropped} records could not be kept", file=sys.stderr)


def main() -> None:
    """Entry point."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # end with the launcher, even if that is killed
    run_dir, words = Path(sys.argv[1]), sys.argv[2:]
    _leave_no_path()
    boot = Boot(run_dir)
    try:
        boot.run(words)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  (shown as Python shows it, without our own frames)
        error.__traceback__ = _without_us(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


def _leave_no_path() -> None:
    """Take the recorder's own folder from sys.path and from the environment, which children inherit."""
    ours = os.environ.pop(PATH_VARIABLE, None)
    if ours is None:
        return
    sys.path[:] = [entry for entry in sys.path if entry != ours]
    rest = os.environ.get("PYTHONPATH", "").partition(ours)[2].lstrip(os.pathsep)
    if rest:
        os.environ["PYTHONPATH"] = rest
    else:
        os.environ.pop("PYTHONPATH", None)


def _without_us(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the program's first frame on."""
    here = os.path.dirname(os.path.abspath(__file__))
    at = trace
    while at is not None and os.path.abspath(at.tb_frame.f_code.co_filename).startswith(here):
        at = at.tb_next
    return at or trace


if __name__ == "__main__":
    main()
