"""Starts the process of each run, watches it, and completes its manifest."""

from __future__ import annotations

import os
import re
import resource
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from .. import runs
from ..adapter import parse_adapter
from ..errors import MotraceError
from ..readers.progress import SpanTail
from ..video import missing_frames, probe
from .process import worker_command

POLL_S = 0.5
FULL_DISK_BYTES = 1 << 18


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    run_id: str
    status: str
    reason: str | None
    exit_status: int


class Interrupts:
    """Ctrl-C, counted: the first is passed on to the run once, the second as SIGTERM, the third kills."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

    def __init__(self) -> None:
        self.count = 0
        self.pid: int | None = None

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):  # it may end between the signal and here
                os.kill(self.pid, self.SIGNALS[min(self.count, len(self.SIGNALS) - 1)])
        self.count += 1

    @contextmanager
    def handled(self) -> Iterator[Interrupts]:
        """Handle SIGINT and SIGTERM of this process."""
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def launch(
    run_dir: Path,
    options: Any,
    manifest: dict[str, Any],
    interrupts: Interrupts,
    progress: Callable[[int], None],
    stall_timeout_s: float,
) -> Ended:
    """Run one process to its end and complete its manifest; ``progress`` gets the frames so far.

    ``options`` are ``Options`` or a ``Program``.
    """
    run_dir.mkdir(parents=True)
    runs.write_json(
        run_dir / runs.RUN_FILE,
        {**manifest, "options": options.as_json(), "mode": options.mode, "status": runs.RUNNING},
    )
    with (run_dir / runs.LOG_FILE).open("wb") as log:
        spawn_ns = time.monotonic_ns()
        command = worker_command(options, run_dir)
        process = subprocess.Popen(
            command.argv,
            env=command.environment(),
            cwd=command.cwd,
            stdin=command.stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it once, through us
        )
    interrupts.pid = process.pid
    try:
        stalled = _watch(process.pid, SpanTail(run_dir, process.pid), progress, stall_timeout_s)
        exit_ns = time.monotonic_ns()
        _, wait_status, usage = os.wait4(process.pid, 0)
    finally:
        interrupts.pid = None
    process.returncode = os.waitstatus_to_exitcode(wait_status)
    clocks = {"spawn_monotonic_ns": spawn_ns, "exit_monotonic_ns": exit_ns}
    return _complete(run_dir, process.returncode, stalled, clocks, usage)


def _watch(pid: int, tail: SpanTail, progress: Callable[[int], None], stall_timeout_s: float) -> str | None:
    """Wait for a process to end; kill it when it has written no span for too long. Returns why, or None."""
    process_fd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(process_fd, select.POLLIN)
        while not poller.poll(POLL_S * 1000):
            progress(tail.update())
            if tail.idle_s() > stall_timeout_s:
                os.kill(pid, signal.SIGKILL)
                poller.poll()
                return (
                    f"killed: it began or ended no span for {stall_timeout_s:.0f} s{tail.where()}; see {runs.LOG_FILE}"
                )
        progress(tail.update())
        return None
    finally:
        os.close(process_fd)


def _complete(
    run_dir: Path, returncode: int, stalled: str | None, clocks: dict[str, int], usage: resource.struct_rusage
) -> Ended:
    """Fill in what only the launcher knows, and what only the ended run's files tell."""
    manifest = runs.read_json(run_dir / runs.RUN_FILE)
    status, reason = manifest["status"], manifest.get("status_reason")
    if stalled is not None:
        status, reason = runs.CRASHED, stalled
    elif status == runs.RUNNING:
        status, reason = runs.CRASHED, _why(returncode, run_dir)
    log = (run_dir / runs.LOG_FILE).read_text(errors="replace")
    adapter = parse_adapter(log)
    video, video_unknown = _video(run_dir, manifest)
    if status == runs.COMPLETED:
        reason = missing_frames(manifest, video, video_unknown)
        status = runs.CRASHED if reason else status
    if status == runs.CRASHED and returncode == 0 and reason:  # the program swallowed what went wrong
        reason += _last_error(log)
    fields: dict[str, Any] = {
        "status": status,
        "status_reason": reason,
        "exit_code": returncode,
        "clocks": clocks,
        "resources": {
            "cpu_ns": int((usage.ru_utime + usage.ru_stime) * 1e9),
            "max_rss_bytes": usage.ru_maxrss * 1024,
        },
        "adapter": adapter,
        "adapter_unknown": None if adapter else _no_adapter(manifest),
        "video": video,
        "video_unknown": video_unknown,
    }
    exit_status = 0 if status == runs.COMPLETED else returncode if 0 < returncode < 128 else 1
    try:
        runs.update_run(run_dir, **fields)
        runs.update_run(run_dir, artifacts=runs.artifacts(run_dir))
    except OSError as error:
        note = f"its manifest could not be completed: {error.strerror}; free some space, what was recorded is kept"
        return Ended(run_dir.name, runs.CRASHED, f"{reason}; {note}" if reason else note, exit_status or 1)
    return Ended(run_dir.name, status, reason, exit_status)


def _last_error(log: str) -> str:
    """The last line of a log that names an exception, for a message."""
    found = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Panic)\w*: .*$", log, re.MULTILINE)
    return f"; its log says: {found[-1][:200]}" if found else f"; see {runs.LOG_FILE}"


def _no_adapter(manifest: dict[str, Any]) -> str:
    if manifest["mode"] == "none":
        return "mode none makes no renderer"
    return "the renderer printed no AdapterInfo line"


def _video(run_dir: Path, manifest: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    path = run_dir / runs.VIDEO_FILE
    if manifest["mode"] in ("none", "capture"):
        return None, f"mode {manifest['mode']} records nothing"
    if not path.exists():
        return None, "the run wrote no video"
    try:
        return probe(path).as_json(), None
    except MotraceError as error:
        return None, str(error)


def _why(returncode: int, run_dir: Path) -> str:
    if shutil.disk_usage(run_dir).free < FULL_DISK_BYTES:
        return "the disk is full; free some space, or choose another folder with --out"
    log = run_dir / runs.LOG_FILE
    if returncode < 0:
        name = signal.Signals(-returncode).name
        hint = " (out of memory? `dmesg` tells)" if name == "SIGKILL" else ""
        return f"the process was killed by {name}{hint}"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"the process ended with status {returncode}: {lines[-1][:200] if lines else 'it printed nothing'}"
