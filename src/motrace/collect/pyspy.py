"""``--collect pyspy``: py-spy, attached to the running process with limits on what it may cost."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..readers.progress import SpanTail
from ..readers.pyspy.samples import FACTS_FILE, LOG_FILE, PROFILES, ZIPPED_LOG_FILE
from ..run_folder import JsonObject, JsonValue
from .base import Collector
from .prompt import wake_promptly
from .threads import last_line, stop
from .watched import state_letter

DEFAULT_RATE = 100
LEAST_RATE = 20
# Threads x rate: every thread is stopped for every sample. At 1700/s a program took 26 % longer, at
# twice that 78 %; with native stacks the same at half of it (notes of the measurements: docs/collect-python.md).
MOST_STOPS, MOST_NATIVE_STOPS = 2000, 1000
READY_S = 20.0
NO_SPANS_S = 2.0
STUCK_S = 2.0
POLL_S = 0.1
PATIENCE_S = 10.0
STDOUT_FILE = "py-spy.out"
_PERMISSION = (
    "py-spy may not attach to a process of this user here; allow it with `sudo sysctl kernel.yama.ptrace_scope=0`, "
    "--cap-add SYS_PTRACE for a container, or run as root"
)


@dataclass(frozen=True)
class SamplingPlan:
    """How to sample a process; ``refused`` says why not."""

    rate: int
    native: bool
    blocking: bool
    refused: str | None = None

    @property
    def format(self) -> str:
        """Exact times come from the lock log, which only a blocking py-spy writes."""
        return "speedscope" if self.blocking else "chrometrace"


def plan(threads: int, rate: int | None = None, native: bool | None = None, light: bool = False) -> SamplingPlan:
    """How to sample a process of so many threads; what is None is chosen.

    Without wishes: native stacks at up to DEFAULT_RATE; where that many threads allow less than
    LEAST_RATE, blocking without native stacks; then without stopping anything. A wish that costs
    too much is refused, with the highest usable rate.
    """
    if light:
        return SamplingPlan(rate or DEFAULT_RATE, False, False)
    if rate is None:
        for with_native, most in ((True, MOST_NATIVE_STOPS), (False, MOST_STOPS)):
            affordable = min(DEFAULT_RATE, most // threads)
            if affordable >= LEAST_RATE and native in (None, with_native):
                return SamplingPlan(affordable, with_native, True)
        if native is None:
            return SamplingPlan(DEFAULT_RATE, False, False)
        rate = LEAST_RATE
    most = MOST_NATIVE_STOPS if native is not False else MOST_STOPS
    if threads * rate > most:
        allowed = f"--pyspy-rate {most // threads}" if most >= threads else "--pyspy-light"
        refused = f"py-spy was not started: it would stop {threads} threads {rate} times per second; use {allowed}"
        return SamplingPlan(rate, native is not False, True, refused)
    return SamplingPlan(rate, native is not False, True)


class PySpyCollector(Collector):
    """Samples stacks; see docs/collect-python.md. ``light`` stops nothing, and sees no native code."""

    name = "pyspy"
    intrusive = True

    def __init__(self, rate: int | None = None, native: bool | None = None, light: bool = False) -> None:
        self._rate, self._native, self._light = rate, native, light
        self._warnings: list[str] = []
        self._facts: JsonObject = {}
        self._clock: list[JsonValue] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def missing(self) -> str | None:
        """None if py-spy is installed."""
        return None if _program() else "py-spy is not installed: pip install py-spy"

    def attach(self, pid: int, run_dir: Path) -> None:
        """Attach as soon as the process has begun its frames, so that its threads are all there."""
        self._thread = threading.Thread(
            target=self._supervise, args=(pid, run_dir), name="py-spy watchdog", daemon=True
        )
        self._thread.start()

    def finish(self, run_dir: Path) -> list[str]:
        """The process has ended, so py-spy ends and writes; if it does not it is made to."""
        if self._thread is None:
            return []
        self._ended.set()
        self._thread.join()
        try:
            (run_dir / FACTS_FILE).write_text(json.dumps(self._facts, indent=1) + "\n")
            (run_dir / STDOUT_FILE).unlink(missing_ok=True)
            if (run_dir / LOG_FILE).exists():
                with (run_dir / LOG_FILE).open("rb") as plain, gzip.open(run_dir / ZIPPED_LOG_FILE, "wb", 1) as zipped:
                    shutil.copyfileobj(plain, zipped)
                (run_dir / LOG_FILE).unlink()
        except OSError as error:
            self._warnings.append(f"py-spy: its log could not be kept ({error.strerror})")
        return self._warnings

    def facts(self) -> JsonObject:
        """How it sampled: rate (per second), native, blocking, threads, exit status; empty if it never began."""
        return {name: value for name, value in self._facts.items() if name not in ("pid", "clock")}

    def _supervise(self, pid: int, run_dir: Path) -> None:
        """Wait until it is worth while, start py-spy, and watch that nothing stays stopped."""
        # py-spy inherits this: woken late it would sample the program where that enters the kernel.
        wake_promptly()
        if not self._wait_until_ready(pid, run_dir):
            self._warnings.append("py-spy: the process ended before there was anything to sample")
            return
        chosen = plan(len(_threads(pid)), self._rate, self._native, self._light)
        self._facts = {"pid": pid, "threads": len(_threads(pid)), **vars(chosen), "clock": self._clock}
        self._clock.append(_clock_pair())
        if chosen.refused:
            self._warnings.append(chosen.refused)
            return
        try:
            self._start(pid, run_dir, chosen)
        except OSError as error:
            self._warnings.append(f"py-spy could not be started: {error.strerror or error}")
            return
        self._watch(pid)
        self._conclude(pid, run_dir, chosen)

    def _wait_until_ready(self, pid: int, run_dir: Path) -> bool:
        """Until a frame has begun; False if the process ended before that. A program without spans gets a moment."""
        tail = SpanTail(run_dir, pid)
        begin = time.monotonic()
        while time.monotonic() - begin < (READY_S if tail.has_log() else NO_SPANS_S):
            if self._ended.is_set() or not _threads(pid):
                return False
            if tail.update():
                return True
            self._ended.wait(POLL_S)
        return not self._ended.is_set()

    def _start(self, pid: int, run_dir: Path, chosen: SamplingPlan) -> None:
        words = [_program() or "py-spy", "record", "--pid", str(pid), "--rate", str(chosen.rate), "--idle", "--threads"]
        words += ["--format", chosen.format, "--output", str(run_dir / PROFILES[chosen.format])]
        words += ["--native"] if chosen.native else []
        words += [] if chosen.blocking else ["--nonblocking"]
        log_level = "remoteprocess=debug,py_spy=info" if chosen.blocking else "py_spy=info"
        with (run_dir / LOG_FILE).open("wb") as log, (run_dir / STDOUT_FILE).open("wb") as out:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "RUST_LOG": log_level, "RUST_LOG_STYLE": "never"},
            )

    def _watch(self, pid: int) -> None:
        """While py-spy runs; a process that stays stopped is let go, and py-spy ended."""
        assert self._process is not None
        still = _Standstill(pid)
        while self._process.poll() is None:
            if self._ended.wait(POLL_S):
                # It ends by itself now that the process has ended.
                stop(self._process, signal.SIGINT, PATIENCE_S)
                break
            if still.seconds() > STUCK_S:
                self._process.kill()
                self._process.wait()
                self._warnings.append("py-spy kept the process stopped for 2 s: it was killed, the run goes on")

    def _conclude(self, pid: int, run_dir: Path, chosen: SamplingPlan) -> None:
        """Note how it ended; what it left stopped is let go."""
        assert self._process is not None
        status = self._process.wait()
        ran_on = bool(_threads(pid))
        self._facts |= {"exit": status}
        self._clock.append(_clock_pair())
        for _ in range(3):
            if not self._ended.is_set() and _stopped(pid):
                with suppress(ProcessLookupError):  # it may end between the look and the signal
                    os.kill(pid, signal.SIGCONT)
            self._ended.wait(POLL_S)
        if (run_dir / PROFILES[chosen.format]).exists():
            return
        said = last_line(run_dir / LOG_FILE)
        log = (run_dir / LOG_FILE).read_text(errors="replace")
        if "ermission denied" in log.lower() or "operation not permitted" in log.lower():
            self._warnings.append(_PERMISSION)
        elif status < 0:
            self._warnings.append(f"py-spy was ended by {signal.Signals(-status).name}: it wrote nothing")
        else:
            why = next((line for line in log.splitlines() if line.startswith("Error:")), said)
            short = "" if ran_on else " (the process ended meanwhile: record more frames)"
            self._warnings.append(f"py-spy wrote nothing (status {status}): {why[:200]}{short}")


def _program() -> str | None:
    """py-spy of this environment, else the one on the path."""
    own = Path(sysconfig.get_path("scripts")) / "py-spy"
    beside = Path(sys.executable).with_name("py-spy")
    for path in (own, beside):
        if path.exists():
            return str(path)
    return shutil.which("py-spy")


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:  # it has ended
        return []


def _state(pid: int) -> str:
    try:
        return state_letter(Path(f"/proc/{pid}/stat").read_bytes())
    except OSError:  # it has ended
        return "X"


def _stopped(pid: int) -> bool:
    return _state(pid) in "Tt"


class _Standstill:
    """For how long a process has not run, by looks now and then.

    Every sample stops it, so that on a busy machine each look may find it held by py-spy (t) though it
    runs between them: then its main thread has left a core meanwhile. One that is stopped besides (T)
    leaves cores too, at each sample, and stands still all the same until a look finds it neither way.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._held: float | None = None
        self._stopped: float | None = None
        self._switches = -1

    def seconds(self) -> float:
        """Look at it once more."""
        now, state, before = time.monotonic(), _state(self._pid), self._switches
        self._switches = _switches(self._pid)
        self._held = (self._held or now) if state == "t" and self._switches == before else None
        self._stopped = (self._stopped or now) if state == "T" else self._stopped if state == "t" else None
        return now - min(self._held or now, self._stopped or now)


def _switches(pid: int) -> int:
    """How often the main thread has left a core: each stop adds one."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) for line in status.splitlines() if "voluntary_ctxt_switches" in line)


def _clock_pair() -> tuple[int, int]:
    """CLOCK_MONOTONIC and UTC at the same moment, ns: the closest of some readings."""
    readings = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(5)]
    before, utc, after = min(readings, key=lambda reading: reading[2] - reading[0])
    return (before + after) // 2, utc
