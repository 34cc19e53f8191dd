"""The collector ``nsys``: records a run under Nsight Systems, imports and exports the report.

The run folder gets ``nsys.nsys-rep`` and, as the machine that analyses may have no nsys, its export
beside it: ``nsys_pqtdir/`` or ``nsys.sqlite``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from ..errors import MotraceError, UsageError
from ..record.nvtx_ranges import INJECTED
from ..run_folder import JsonObject
from .base import Collector
from .nsys import HELP, REPORT, STREAM, Nsys, NsysOptions, find_nsys
from .nsys_session import SPIN_S, Session

NAME = "nsys"
TRACES = ("nvtx", "osrt", "cuda", "vulkan", "vulkan-annotations")
SHORT = {"-e": "--env-var", "-f": "--force-overwrite", "-o": "--output", "-s": "--sample", "-t": "--trace",
         "-w": "--show-output", "-x": "--stop-on-exit"}  # fmt: skip
OURS = ("--output", "--session-new", "--force-overwrite", "--export", "--stats", "--show-output", "--stop-on-exit")
"""Options that the importer and the watchdog rely on."""
PERF = {"--sample": "none", "--cpuctxsw": "none", "--event-sample": "none"}
"""Options that open perf events, and the value that keeps them shut."""

TRIES = 6
"""Passes with perf events that are made before one without: about half of them hang at the end."""

PROCESSORS = "/sys/devices/system/cpu"


def option_of(word: str) -> str | None:
    """The long name of the option that a word of nsys's command line begins; None if it is a value."""
    if not word.startswith("-"):
        return None
    return word.partition("=")[0] if word.startswith("--") else SHORT.get(word[:2], word[:2])


def check_args(args: Sequence[str], options: NsysOptions | None) -> None:
    """Refuse ``--nsys-args`` that can't work; ``options`` are the installed version's. Raises UsageError."""
    if args and option_of(args[0]) is None:
        raise UsageError(f"--nsys-args: {args[0]} is not an option of nsys profile; write it as --option=value")
    for word in args:
        name = option_of(word)
        if name in OURS:
            raise UsageError(f"--nsys-args: {name} is set by run_record; leave it out")
        if options is not None and name is not None and name.startswith("--") and name not in options:
            raise UsageError(f"--nsys-args: this version of nsys has no {name} (see `nsys profile --help`)")


def profile_flags(options: NsysOptions, args: Sequence[str]) -> list[str]:
    """The flags of ``nsys profile`` that this version has, with the user's in place of ours for the same option."""
    traces = [name for name in TRACES if options.has("--trace", name)]
    if "vulkan-annotations" in traces:
        traces.remove("vulkan")  # it comes with its annotations
    ours = {
        "--trace": ",".join(traces),
        "--sample": "none",
        "--cpuctxsw": "none",
        "--wait": "primary",  # a process that the program left behind must not hold the report up
        "--force-overwrite": "true",
    }
    if options.has("--vulkan-gpu-workload", "individual"):
        ours["--vulkan-gpu-workload"] = "individual"
    given = {option_of(word) for word in args}
    return [f"{name}={value}" for name, value in ours.items() if name in options and name not in given] + list(args)


def perf_events(flags: Sequence[str]) -> bool:
    """Whether these flags make nsys open perf events."""
    for index, word in enumerate(flags):
        name = option_of(word)
        if name in PERF:
            value = word.partition("=")[2] if "=" in word else word[2:] if word[2:] and word[1] != "-" else ""
            if (value or "".join(flags[index + 1 : index + 2])) != PERF[name]:
                return True
    return False


def without_perf_events(args: Sequence[str]) -> list[str]:
    """The user's flags without those that open perf events."""
    kept: list[str] = []
    dropping = False
    for word in args:
        name = option_of(word)
        dropping = name in PERF if name is not None else dropping
        if not dropping:
            kept.append(word)
    return kept


class NsysCollector(Collector):
    """One run under ``nsys profile``; see ``Collector``."""

    name = NAME
    intrusive = True

    def __init__(self, args: Sequence[str] = (), timeout_s: float = 60.0, tries: int = TRIES) -> None:
        self._args = tuple(args)
        self._tries = tries
        self._timeout_s = timeout_s
        self._nsys: Nsys | None = find_nsys()
        self._session_name = f"motrace-{uuid.uuid4().hex[:12]}"
        self._session: Session | None = None
        self._temporary: Path | None = None
        self._flags: list[str] = []
        self._hung = self._lost = False

    def missing(self) -> str | None:
        """See ``Collector``. Raises UsageError where ``--nsys-args`` can't work."""
        if self._nsys is None:
            check_args(self._args, None)
            return f"no nsys on PATH or below /opt/nvidia: {HELP}"
        if "--trace" not in self._nsys.profile_options:
            return f"{self._nsys.path.name} {self._nsys.version_text} does not answer `nsys profile --help`: {HELP}"
        check_args(self._args, self._nsys.profile_options)
        if not os.path.isdir(PROCESSORS):
            return f"nsys needs {PROCESSORS}, which is not here: its recordings could not be imported; mount /sys"
        if os.environ.get(INJECTED[0]) and any(name.startswith("NSYS_") for name in os.environ):
            return "this run_record is itself profiled by nsys, which can't be nested: leave one of the two out"
        return None

    def command(self, command: list[str], run_dir: Path) -> list[str]:
        """See ``Collector``."""
        nsys = self._nsys
        assert nsys is not None, "missing() was not asked"
        self._flags = profile_flags(nsys.profile_options, self._args)
        # nsys keeps its growing stream in TMPDIR: a folder of our own shows whether it makes progress.
        self._temporary = Path(tempfile.mkdtemp(prefix="motrace-nsys-"))
        self._session = Session(self._session_name, (self._temporary, run_dir))
        output = str(run_dir / NAME).replace("%", "%%")  # % begins a placeholder
        own = [f"--session-new={self._session_name}", f"--output={output}"]
        before = os.environ.get("TMPDIR", "/tmp")
        if "--env-var" not in map(option_of, self._args) and "," not in before:
            own.append(f"--env-var=TMPDIR={before}")  # the measured process keeps its own
        return [str(nsys.path), "profile", *self._flags, *own, *command]

    def environment(self, run_dir: Path) -> dict[str, str]:
        """See ``Collector``. WGPU_DEBUG makes the renderer name its passes."""
        return {"WGPU_DEBUG": "1", **({"TMPDIR": str(self._temporary)} if self._temporary else {})}

    def attach(self, pid: int, run_dir: Path) -> None:
        """See ``Collector``."""
        if self._session is not None:
            self._session.look()

    def finish(self, run_dir: Path) -> list[str]:
        """See ``Collector``: wait for nsys, import, export."""
        if self._session is None or self._nsys is None:
            return []
        warnings: list[str] = []
        try:
            self._hung = not self._session.end(self._timeout_s)
            if self._hung:
                perf = " (it does that with perf events on: --sample, --cpuctxsw)" if perf_events(self._flags) else ""
                still_s = SPIN_S if self._session.spun else self._timeout_s
                warnings.append(f"nsys made no progress for {still_s:g} s after the run's end{perf}: killed")
            report = run_dir / f"{NAME}{REPORT}"
            try:
                self._make_report(run_dir, report)
                self._nsys.export(report, run_dir)
            except MotraceError as error:
                self._lost = not report.exists()
                warnings.append(str(error))
            return warnings
        finally:
            self._session.kill()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)

    def _make_report(self, run_dir: Path, report: Path) -> None:
        """Import the stream if nsys did not. Raises MotraceError."""
        assert self._nsys is not None and self._temporary is not None
        stream = run_dir / f"{NAME}{STREAM}"
        if not stream.exists():
            unfinished = max(self._temporary.glob(f"*{STREAM}"), key=lambda path: path.stat().st_mtime, default=None)
            stream = unfinished or stream
        if stream.exists():
            self._nsys.import_stream(stream, report)
        elif not report.exists():
            raise MotraceError("nsys wrote no report; its messages are in the run's log")

    def calmer(self) -> NsysCollector | None:
        """See ``Collector``: where the report was lost with perf events, some times the same, then without them."""
        if not (self._lost and perf_events(self._flags)):
            return None
        args = self._args if self._tries > 1 else without_perf_events(self._args)
        return NsysCollector(args, self._timeout_s, self._tries - 1)

    def facts(self) -> JsonObject:
        """See ``Collector``."""
        version = self._nsys.version_text if self._nsys is not None else None
        return {"version": version, "flags": self._flags, "perf_events": perf_events(self._flags), "hung": self._hung}
