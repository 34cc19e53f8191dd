"""The process of a run, from outside: starting it, learning which one it is, waiting, signals.

Under a tool that starts the program itself the process we start is the tool, not the one that is
measured; the measured one writes its id into run.json.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from .. import run_folder
from ..readers.progress import SpanTail

POLL_S = 0.5
BIRTH_POLL_S = 0.02
REAP_S = 10.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Interrupts:
    """Ctrl-C, counted: the first is passed on to the run once, the second as SIGTERM, the third kills."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

    def __init__(self) -> None:
        self.count = 0
        self._pid: int | None = None
        self._raise = False

    def aim(self, pid: int | None) -> None:
        """Pass signals on to this process from now on; the last one that found no process, too."""
        self._pid = pid
        if pid is not None and self.count:
            self._send()

    def _send(self) -> None:
        if self._pid is not None:
            with suppress(ProcessLookupError):  # it may end between the signal and here
                os.kill(self._pid, self.SIGNALS[min(self.count, len(self.SIGNALS)) - 1])

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        self._send()
        if self._raise:
            raise KeyboardInterrupt

    @contextmanager
    def handled(self) -> Iterator[Interrupts]:
        """Handle SIGINT and SIGTERM of this process."""
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at the next one: no run is there to be stopped."""
        self._raise = True
        try:
            yield
        finally:
            self._raise = False


def spawn(
    command: list[str],
    environment: dict[str, str],
    log: Path,
    wrapped: bool,
    cwd: Path | None = None,
    stdin: int | None = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a run; its output goes to ``log``. A tool that wraps it ends with us, as the worker itself does.

    Raises OSError where the program can't be started.
    """
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=cwd,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it once, through us
            preexec_fn=_die_with_parent if wrapped else None,
        )


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def await_birth(process: subprocess.Popen[bytes], run_dir: Path, timeout_s: float) -> int | None:
    """The id of the measured process, once it says so in run.json; None if ``process`` ends or time is up first."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        over = _ended(process.pid)
        pid = run_folder.read_manifest(run_dir).get("process", {}).get("pid")
        if pid is not None:
            return pid
        if over:
            return None
        time.sleep(BIRTH_POLL_S)
    return None


def _ended(pid: int) -> bool:
    """Whether a child has ended; it is left to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def watch(pid: int, tail: SpanTail, progress: Callable[[int], None], stall_timeout_s: float) -> str | None:
    """Wait for a process to end; kill it when it has written no span for too long. Returns why, or None."""
    try:
        process_fd = os.pidfd_open(pid)
    except ProcessLookupError:  # not our child, and gone already
        progress(tail.update())
        return None
    try:
        poller = select.poll()
        poller.register(process_fd, select.POLLIN)
        while not poller.poll(POLL_S * 1000):
            progress(tail.update())
            if tail.idle_s() > stall_timeout_s:
                os.kill(pid, signal.SIGKILL)
                poller.poll()
                idle = f"it began or ended no span for {stall_timeout_s:.0f} s{tail.where()}"
                return f"killed: {idle}; see {run_folder.LOG_FILE}"
        progress(tail.update())
        return None
    finally:
        os.close(process_fd)


def reap(process: subprocess.Popen[bytes]) -> tuple[resource.struct_rusage, bool]:
    """Wait for our child, which is about to end, else kill it; returns its usage and whether it was killed.

    Sets ``process.returncode``.
    """
    deadline = time.monotonic() + REAP_S
    while not (late := time.monotonic() > deadline) and not _ended(process.pid):
        time.sleep(BIRTH_POLL_S)
    killed = late and not _ended(process.pid)
    if killed:
        os.kill(process.pid, signal.SIGKILL)
    _, wait_status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(wait_status)
    return usage, killed
