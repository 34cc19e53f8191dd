"""Everything that one run recorded, as read: manifest, span logs, CPU clock log."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from .. import run_folder
from ..dataset.facts import RunManifest
from ..dataset.typed_json import convert
from ..errors import MotraceError, left_out
from ..escape import encodable
from ..record.spans import END, KIND_CLOCK, NAME_ID_MASK, START, STOPPED, WHAT
from .cpu import CpuLogFile
from .episodes import EpisodeFile, read_episodes
from .recordings import likely_loop, one_recording
from .spans import SpanLogFile

_NO_ROOM = {
    0: "found no room (a full disk, most likely)",  # of a recorder that did not say
    errno.ENOSPC: "found no room (a full disk)",
    errno.EDQUOT: "found no room (the disk quota is used up)",
    errno.EFBIG: "found no room (the limit on file size)",
    errno.ENOMEM: "found no room (no memory was free)",
    errno.ENOENT: "could not be kept (the run's folder was removed)",
}


_Log = TypeVar("_Log")


@dataclass
class RunFiles:
    """What a run folder holds, its times those of CLOCK_MONOTONIC.

    ``warnings`` says what could not be read, and what is missing.
    """

    run_id: str
    path: Path
    manifest: RunManifest
    span_logs: list[SpanLogFile]
    cpu_log: CpuLogFile | None
    names: dict[tuple[int, int], str]
    warnings: list[str] = field(default_factory=list)
    episodes: EpisodeFile | None = None

    @property
    def loop_log(self) -> SpanLogFile | None:
        """The span log of the loop thread: of the thread whose clocks were read, else the likeliest of the process."""
        if self.cpu_log is not None:
            logs = [log for log in self.span_logs if (log.pid, log.tid) == (self.cpu_log.pid, self.cpu_log.tid)]
        else:
            logs = [log for log in self.span_logs if log.pid == self.manifest.process.pid]
        return max(logs or self.span_logs, key=likely_loop, default=None)

    def name_of(self, pid: int, what: int) -> str:
        """The name of a record's span."""
        name_id = int(what) & NAME_ID_MASK
        return self.names.get((pid, name_id), f"name#{name_id}")

    def bounds_ns(self) -> tuple[int, int]:
        """Begin and end of the run on CLOCK_MONOTONIC, ns.

        From the launcher's clock where there was one, else from the first record to the last.
        """
        clocks = self.manifest.clocks
        times = [log.created_ns for log in self.span_logs]
        for log in self.span_logs:
            if len(log.records):
                times += [
                    int(log.records[:, START].min()),
                    int(log.records[:, START].max()),
                    int(log.records[:, END].max()),
                ]
        if self.cpu_log is not None and len(self.cpu_log.boundaries):
            times += [int(self.cpu_log.boundaries[0, 0]), int(self.cpu_log.boundaries[-1, 0])]
        times = [time for time in times if time > 0]
        start, end = clocks.spawn_monotonic_ns, clocks.exit_monotonic_ns
        first, last = min(times), max(times)
        return (start if start and start <= first else first), (end if end and end >= last else last)


def load_run(path: Path) -> RunFiles:
    """Read a run folder. What can't be read becomes a warning; raises MotraceError where nothing can."""
    warnings: list[str] = []
    manifest = RunManifest()
    with left_out(run_folder.RUN_FILE, warnings):
        if (path / run_folder.RUN_FILE).exists():
            raw = run_folder.read_json(path / run_folder.RUN_FILE)
            manifest = convert(RunManifest, raw, run_folder.RUN_FILE, warnings)
        else:
            warnings.append(f"no {run_folder.RUN_FILE}: what the run was asked to do and how it ended is not known")
    span_logs = _read_all(path, "spans-*.bin", SpanLogFile.read, warnings)
    warnings += [
        f"{log.path.name} is damaged from its beginning" for log in span_logs if log.damaged and not len(log.records)
    ]
    span_logs = [log for log in span_logs if len(log.records)]
    cpu_logs = _read_all(path, "cpu-*.bin", CpuLogFile.read, warnings)
    if not span_logs:
        raise MotraceError(f"{path.name}: no span was recorded" + "".join(f"; {text}" for text in warnings))
    kept, cpu_log = one_recording(span_logs, cpu_logs, manifest.process.pid)
    used = {log.path for log in kept} | ({cpu_log.path} if cpu_log is not None else set())
    read = [log.path for log in span_logs] + [log.path for log in cpu_logs]
    left = sorted(path.name for path in read if path not in used)
    if left:
        warnings.append(f"left out, since another recording wrote into the same folder: {', '.join(left)}")
    span_logs = kept
    episodes = None
    with left_out(run_folder.EPISODES_FILE, warnings):
        episodes = read_episodes(path)
    names = {(log.pid, name_id): name for log in span_logs for name_id, name in log.names.items()}
    recording = RunFiles(
        run_id=encodable(manifest.run_id or path.name),
        path=path,
        manifest=manifest,
        span_logs=span_logs,
        cpu_log=cpu_log,
        names=names,
        warnings=warnings,
        episodes=episodes,
    )
    _note(recording)
    return recording


def _read_all(path: Path, pattern: str, read: Callable[[Path], _Log], warnings: list[str]) -> list[_Log]:
    found: list[_Log] = []
    for file in sorted(path.glob(pattern)):
        with left_out(file.name, warnings):
            found.append(read(file))
    return found


def _note(recording: RunFiles) -> None:
    """Warn about what is missing in a recording."""
    warnings, manifest = recording.warnings, recording.manifest
    if recording.cpu_log is None or not len(recording.cpu_log.boundaries):
        warnings.append("no CPU clocks: what the loop thread did is not known, its time is unexplained")
    elif not recording.cpu_log.has_run_delay:
        warnings.append("this kernel has no schedstat: waiting for a core is counted as blocked")
    damaged = [log.path.name for log in recording.span_logs if log.damaged]
    if recording.cpu_log is not None and recording.cpu_log.damaged:
        damaged.append(recording.cpu_log.path.name)
    warnings += [f"{name} is damaged: read up to there" for name in damaged]
    warnings += _losses(recording)
    warnings += manifest.instrument.warnings
    pid = manifest.process.pid
    if manifest.status == run_folder.RUNNING:
        if pid and run_folder.still_records(pid, recording.path):
            warnings.append("still running: analysed up to now")
        elif any(log.ended == STOPPED for log in recording.span_logs):
            recording.manifest = replace(manifest, status=run_folder.COMPLETED)
            warnings.append(f"{run_folder.RUN_FILE} could not be written when it ended")
        else:
            why = manifest.status_reason or "it ended without a message, and so did its launcher"
            recording.manifest = replace(manifest, status=run_folder.CRASHED, status_reason=why)
    elif manifest != RunManifest() and manifest.status not in (
        run_folder.COMPLETED,
        run_folder.INTERRUPTED,
        run_folder.CRASHED,
    ):
        warnings.append(f"{run_folder.RUN_FILE} holds no status: how the run ended is not known")
    _note_cut(recording)
    manifest = recording.manifest
    if manifest.status in (run_folder.CRASHED, run_folder.INTERRUPTED):
        warnings.append(f"{manifest.status}: {manifest.status_reason}; analysed up to there")


def _losses(recording: RunFiles) -> list[str]:
    """What could not be kept, and why."""
    lost: dict[int, int] = {}
    logs = [log.lost for log in recording.span_logs]
    logs += [recording.cpu_log.lost] if recording.cpu_log is not None else []
    for losses in logs:
        for why, count in losses.items():
            lost[why] = lost.get(why, 0) + count
    return [
        f"{count} records {_NO_ROOM[why] if why in _NO_ROOM else f'could not be kept ({os.strerror(why)})'}: "
        "the times after that are unexplained"
        for why, count in sorted(lost.items())
    ]


def _note_cut(recording: RunFiles) -> None:
    """Warn of logs that lost their end after the run: a truncated copy is not a completed run."""
    log, manifest = recording.loop_log, recording.manifest
    if log is None or not len(log.records):
        return
    if manifest.status == run_folder.COMPLETED and not log.dropped and not _was_stopped(recording, log):
        why = f"{log.path.name} is cut off: the run completed, the end of its log is lost"
        recording.manifest = replace(manifest, status=run_folder.CRASHED, status_reason=why)
    cpu_log = recording.cpu_log
    if cpu_log is None or not len(cpu_log.boundaries) or cpu_log.tid != log.tid:
        return
    missing_ns = int(log.records[:, END].max()) - int(cpu_log.boundaries[-1, 0])
    if missing_ns > 0:
        recording.warnings.append(
            f"{cpu_log.path.name} is cut off {missing_ns / 1e9:.3f} s before the last span: "
            "what the loop thread did after that is unexplained"
        )


def _was_stopped(recording: RunFiles, loop_log: SpanLogFile) -> bool:
    """Whether a log of the process ends with the clock pair that ``stop`` writes, on whichever thread it is called."""
    return any(
        int(log.records[-1, WHAT]) & ~NAME_ID_MASK == KIND_CLOCK
        for log in recording.span_logs
        if log.pid == loop_log.pid and len(log.records) > (log is loop_log)  # its first record is a clock pair too
    )
