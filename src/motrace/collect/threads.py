"""``--collect threads``: what every thread does and waits on, sampled from /proc by a separate process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from ..errors import MotraceError
from ..readers import thread_samples
from ..record.gil_lock import NOT_KNOWN
from .base import Collector
from .thread_sampler import DEFAULT_BUDGET, DEFAULT_HZ

FILE, RAW_FILE, FACTS_FILE, LOG_FILE = "threads.arrow", "threads.bin", "threads.json", "threads.log"
PATIENCE_S = 3.0
LATE_SHARE = 0.05


class ThreadsCollector(Collector):
    """Samples thread states at ``hz``, for at most ``budget`` of one core. See docs/collect-python.md."""

    name = "threads"
    intrusive = False

    def __init__(self, hz: float = DEFAULT_HZ, budget: float = DEFAULT_BUDGET) -> None:
        self._hz, self._budget = hz, budget
        self._process: subprocess.Popen[bytes] | None = None
        self._failed: str | None = None

    def missing(self) -> str | None:
        """None on Linux with /proc/<pid>/syscall; else what is missing."""
        if not os.path.exists("/proc/self/task"):
            return "thread states are read from /proc, which is not here: leave out --collect threads"
        return None

    def attach(self, pid: int, run_dir: Path) -> None:
        """Start the sampler on a process."""
        options = ["--hz", str(self._hz), "--budget", str(self._budget)]
        words = [sys.executable, "-m", "motrace.collect.thread_sampler", str(pid), str(run_dir / RAW_FILE), *options]
        try:
            with (run_dir / LOG_FILE).open("wb") as log:
                self._process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            self._failed = f"threads: the sampler could not be started: {error.strerror or error}"

    def finish(self, run_dir: Path) -> list[str]:
        """Stop it, turn its file into threads.arrow and write down its cost (threads.json)."""
        if self._process is None:
            return [self._failed] if self._failed else []
        warnings = []
        status = stop(self._process, signal.SIGTERM, PATIENCE_S)
        if status:
            warnings.append(f"threads: the sampler ended with status {status}: {last_line(run_dir / LOG_FILE)}")
        try:
            samples = thread_samples.read(run_dir / RAW_FILE)
            thread_samples.write(samples, run_dir / FILE)
            more = {"cost_share": round(samples.cost_share, 5), "samples": samples.facts.reads}
            (run_dir / FACTS_FILE).write_text(json.dumps({**asdict(samples.facts), **more}, indent=1) + "\n")
            (run_dir / RAW_FILE).unlink()
        except MotraceError as error:
            return [*warnings, f"threads: {error}"]
        except OSError as error:
            return [*warnings, f"threads: {FILE} could not be written ({error.strerror}); {RAW_FILE} is read instead"]
        if not status:
            (run_dir / LOG_FILE).unlink(missing_ok=True)
        if not samples.stays.num_rows:
            warnings.append("threads: no thread could be read; does the process belong to another user?")
        elif samples.facts.gil == NOT_KNOWN:
            warnings.append(
                "threads: the interpreter's lock was not found, so a wait for it is a futex wait: "
                "record with motrace's recorder, on CPython 3.10 to 3.13"
            )
        if samples.late_share > LATE_SHARE:
            warnings.append(
                f"threads: {samples.late_share:.0%} of the samples waited for a core ({samples.facts.scheduling} "
                "scheduling): running threads are seen too seldom; leave a core free, or use Linux 6.12 or later"
            )
        return warnings


def stop(process: subprocess.Popen[bytes], with_signal: int, patience_s: float) -> int:
    """End a process of ours, gently first; returns its status, negative for a signal."""
    for number in (None, with_signal, signal.SIGKILL):
        if number is not None and process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def last_line(path: Path) -> str:
    """The last words of a log."""
    try:
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1][:200] if lines else "it said nothing"
