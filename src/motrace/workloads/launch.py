"""Starts the process of each run, watches it, and completes its manifest."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import redaction, run_folder
from ..collect.base import Collector
from ..collect.team import Team
from ..errors import MotraceError, UsageError
from ..readers.progress import SpanTail
from ..record.nvtx_ranges import profiler_attached
from ..run_folder import JsonObject, Manifest
from ..vulkan_adapter import parse_adapter
from .competition import Competition
from .process import Asked, ProcessCommand
from .video import VideoFacts, missing_frames, probe
from .watch import Interrupts, await_birth, reap, spawn, watch

FULL_DISK_BYTES = 1 << 18
LAST_WORDS_S = 0.2
"""What the output of a process needs to pass through the tool that started it."""

NO_NVTX = "a profiler is attached, but it records none of our ranges: `pip install nvtx` into the program's environment"
DUMMY = (
    "a profiler is attached, but it records none of our ranges: nvtx, too new for it, gives a DummyDomain; "
    "`pip install nvtx==0.2.11`, or use Nsight Systems 2023.3 or newer"
)


@dataclass(frozen=True)
class Ended:
    """How a run ended. ``wrong_usage``: the workload can't be made of what the command says.

    ``warnings``: what its collectors could not do; ``again``: those to try it again with.
    """

    run_id: str
    status: str
    reason: str | None
    wrong_usage: bool = False
    warnings: tuple[str, ...] = ()
    again: tuple[Collector, ...] | None = None


@dataclass
class _Life:
    """What the launcher saw of a run's process."""

    spawn_ns: int
    exit_ns: int = 0
    competition: Competition = field(default_factory=Competition)
    stalled: str | None = None
    returncode: int | None = None
    usage: resource.struct_rusage | None = None
    pid: int | None = None
    log_bytes: int | None = None
    interrupted: bool = False
    worker: bool = False


def profiled_by() -> str | None:
    """What profiles this process and all that it starts, None if nothing does."""
    if not profiler_attached():
        return None
    return "nsys" if any(name.startswith("NSYS_") for name in os.environ) else "a profiler"


def launch(
    run_dir: Path,
    options: Asked,
    manifest: JsonObject,
    interrupts: Interrupts,
    progress: Callable[[int], None],
    stall_timeout_s: float,
    collectors: Sequence[Collector] = (),
) -> Ended:
    """Run one process to its end and complete its manifest; ``progress`` gets the frames so far."""
    run_dir.mkdir(parents=True)
    team = Team(collectors, run_dir)
    asked: JsonObject = {"options": options.as_json(), "mode": options.mode, "status": run_folder.RUNNING}
    outside: JsonObject = {"profiler_attached": profiler_attached(), "profiled_by": profiled_by()}
    run_folder.write_manifest(run_dir / run_folder.RUN_FILE, {**manifest, **asked, **team.described(), **outside})
    try:
        own = options.command(run_dir)
        life = _live(run_dir, own, team, interrupts, progress, stall_timeout_s)
        life.worker = own.worker
    except OSError as error:  # a tool that can't be started
        team.finish()
        life = _Life(0, stalled=f"it could not be started ({error.strerror})")
    return _complete(run_dir, life, team)


def _live(
    run_dir: Path,
    own: ProcessCommand,
    team: Team,
    interrupts: Interrupts,
    progress: Callable[[int], None],
    stall_timeout_s: float,
) -> _Life:
    """Start the process, attach, watch it to its end, let the collectors finish."""
    plain = list(own.argv)
    command = team.command(plain)
    wrapped = command != plain
    life = _Life(time.monotonic_ns())
    environment = {**own.environment(), **team.environment()}
    process = spawn(command, environment, run_dir / run_folder.LOG_FILE, wrapped, own.cwd, own.stdin)
    pid: int | None = process.pid
    interrupts.aim(None if wrapped else pid)
    try:
        if team.collectors:
            born = await_birth(process, run_dir, stall_timeout_s)
            pid = born if wrapped else pid
            interrupts.aim(pid)
            if born is not None:
                team.attach(born)
        if pid is not None:
            life.stalled = watch(pid, SpanTail(run_dir, pid), progress, stall_timeout_s)
        life.exit_ns, life.pid, life.interrupted = time.monotonic_ns(), pid, interrupts.count > 0
        life.competition.stop()
    finally:
        interrupts.aim(None)
    direct = pid == process.pid
    if direct:
        life.usage, _ = reap(process)
    else:
        time.sleep(LAST_WORDS_S)
        life.log_bytes = (run_dir / run_folder.LOG_FILE).stat().st_size
    with interrupts.raised():
        team.finish()
    killed = False if direct else reap(process)[1]
    life.returncode = None if killed else _of_measured(process, direct)
    return life


def _of_measured(process: subprocess.Popen[bytes], direct: bool) -> int | None:
    """The measured process's exit code; a tool passes it on, a signal as 128 + its number, unless it was killed."""
    code = process.returncode
    if direct or code < 0:
        return code if direct else None
    return 128 - code if 128 < code <= 128 + signal.NSIG else code


def _complete(run_dir: Path, life: _Life, team: Team) -> Ended:
    """Fill in what only the launcher knows, and what only the ended run's files tell."""
    manifest = run_folder.read_manifest(run_dir)
    status, reason = manifest["status"], manifest.get("status_reason")
    wrong = life.worker and status == run_folder.CRASHED and life.returncode == UsageError.exit_status
    if life.stalled is not None:
        status, reason = run_folder.CRASHED, life.stalled
    elif status == run_folder.RUNNING:
        status, reason = run_folder.CRASHED, _why(life, run_dir)
    nvtx = manifest.get("nvtx", {})
    if nvtx.get("dummy"):
        team.warnings.append(NO_NVTX if nvtx.get("missing") else DUMMY)
    log = (
        (run_dir / run_folder.LOG_FILE).read_text(errors="replace") if (run_dir / run_folder.LOG_FILE).exists() else ""
    )
    adapter = parse_adapter(log)
    video, video_unknown = _video(run_dir, manifest)
    if status == run_folder.COMPLETED and life.interrupted and "instrument" in manifest["options"]:
        # The program took Ctrl-C for its end and exited with 0; how far it would have gone is not known.
        status, reason = run_folder.INTERRUPTED, "Ctrl-C, after which the program ended by itself"
    if status == run_folder.COMPLETED:
        reason = missing_frames(manifest, video, video_unknown)
        status = run_folder.CRASHED if reason else status
    if status == run_folder.CRASHED and life.returncode == 0 and reason:  # the program swallowed what went wrong
        reason += _last_error(log)
    reason = reason and redaction.text(reason)
    fields: JsonObject = {
        "status": status,
        "status_reason": reason,
        "exit_code": life.returncode,
        "clocks": {"spawn_monotonic_ns": life.spawn_ns, "exit_monotonic_ns": life.exit_ns} if life.exit_ns else {},
        "adapter": adapter,
        "adapter_unknown": None if adapter else _no_adapter(manifest),
        "video": video.as_json() if video is not None else None,
        "video_unknown": video_unknown,
        **team.outcome(),
    }
    fields["resources"] = _resources(life, manifest.get("resources", {}))
    warnings, again = tuple(team.warnings), team.calmer()
    try:
        run_folder.update_run(run_dir, **fields)
        run_folder.update_run(run_dir, artifacts=run_folder.artifacts(run_dir))
    except OSError as error:
        note = f"its manifest could not be completed: {error.strerror}; free some space, what was recorded is kept"
        return Ended(run_dir.name, run_folder.CRASHED, f"{reason}; {note}" if reason else note, False, warnings)
    return Ended(run_dir.name, status, reason, wrong, warnings, again)


def _resources(life: _Life, reported: dict[str, int]) -> dict[str, int]:
    """CPU time and peak memory, as the kernel counted them or else as the worker reported; and what others used."""
    if life.usage is not None:
        cpu_s = life.usage.ru_utime + life.usage.ru_stime
        reported = {"cpu_ns": int(cpu_s * 1e9), "max_rss_bytes": life.usage.ru_maxrss * 1024}
    return {**reported, **life.competition.found(reported["cpu_ns"])} if reported else {}


def _last_error(log: str) -> str:
    """The last line of a log that names an exception, for a message."""
    found = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Panic)\w*: .*$", log, re.MULTILINE)
    return f"; its log says: {found[-1][:200]}" if found else f"; see {run_folder.LOG_FILE}"


def _no_adapter(manifest: Manifest) -> str:
    if manifest["mode"] == "none":
        return "mode none makes no renderer"
    return "the renderer printed no AdapterInfo line"


def _video(run_dir: Path, manifest: Manifest) -> tuple[VideoFacts | None, str | None]:
    path = run_dir / run_folder.VIDEO_FILE
    if manifest["mode"] in ("none", "capture"):
        return None, f"mode {manifest['mode']} records nothing"
    if not path.exists():
        return None, "the run wrote no video"
    try:
        return probe(path), None
    except MotraceError as error:
        return None, str(error)


def _why(life: _Life, run_dir: Path) -> str:
    if shutil.disk_usage(run_dir).free < FULL_DISK_BYTES:
        return "the disk is full; free some space, or choose another folder with --out"
    code = life.returncode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory? check `dmesg`)" if name == "SIGKILL" else ""
        return f"the process was killed by {name}{hint}"
    log = (run_dir / run_folder.LOG_FILE).read_bytes()[: life.log_bytes].decode(errors="replace")
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["it printed nothing"]
    if life.pid is None:
        return f"the tool that should start the process did not: {lines[0][:200]}"
    how = f"with status {code}" if code is not None else "in an unknown way"
    return f"the process ended {how}: {lines[-1][:200]}"
