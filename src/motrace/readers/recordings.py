"""Which logs of a folder are one recording.

Before ``motrace.start`` made a numbered folder for each run, several could lie in one. Threads and forks of the
process belong to its recording; what another process, or a later ``start`` of the same, wrote does not.
"""

from __future__ import annotations

from ..record.spans import KIND_CLOCK, KIND_SEGMENT, NAME_ID_MASK, START, WHAT
from .cpu import CpuLogFile
from .spans import SpanLogFile


def likely_loop(log: SpanLogFile) -> tuple[int, int]:
    """The greater, the likelier a log is the loop thread's: it has the segments, else the most records."""
    return len(log.of_kind(KIND_SEGMENT)), len(log.records)


def one_recording(
    span_logs: list[SpanLogFile], cpu_logs: list[CpuLogFile], pid: int | None
) -> tuple[list[SpanLogFile], CpuLogFile | None]:
    """The logs of the first recording of the process ``pid``; of the likeliest one where that has no log."""
    with_clocks = {(log.pid, log.tid) for log in cpu_logs}
    candidates = [log for log in span_logs if log.pid == pid] or [
        max([log for log in span_logs if (log.pid, log.tid) in with_clocks] or span_logs, key=likely_loop)
    ]
    owner = candidates[0].pid
    mine = [log for log in span_logs if log.pid == owner]
    begins = sorted(log.created_ns for log in mine if _is_clock(log, 0) and len(log.records) > 1)
    until = begins[1] if len(begins) > 1 else None
    cpus = sorted((log for log in cpu_logs if log.pid == owner), key=lambda log: log.created_ns)
    kept = [log for log in mine if until is None or log.created_ns < until]
    first = min(kept, key=lambda log: log.created_ns)
    ends = [log for log in kept if _is_clock(log, -1) and (log is not first or len(log.records) > 1)]
    stopped = max((int(log.records[-1, START]) for log in ends), default=None)
    others = {log.pid for log in cpu_logs} - {owner}
    forks = [
        log for log in span_logs
        if log.pid != owner and log.pid not in others and (stopped is None or log.created_ns <= stopped)
    ]  # fmt: skip
    ours = {id(log) for log in (*kept, *forks)}
    return [log for log in span_logs if id(log) in ours], cpus[0] if cpus else None


def _is_clock(log: SpanLogFile, index: int) -> bool:
    """Whether a record is a clock pair: ``start`` writes the first of its thread's log, ``stop`` the last."""
    return int(log.records[index, WHAT]) & ~NAME_ID_MASK == KIND_CLOCK
