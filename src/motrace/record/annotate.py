"""What a measured program calls: ``span``, ``frame``, ``segment``, ``start``, ``stop``.

One call is one span in the log and, while a profiler is attached, one NVTX range of the same name.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
from pathlib import Path
from time import monotonic_ns, perf_counter_ns, time_ns

from .. import runs
from ..vocabulary import RUN_MARK
from . import nvtx_ranges
from .cpuclock import CpuClock
from .spans import (
    KIND_CLOCK,
    KIND_FRAME,
    KIND_SEGMENT,
    Logs,
    OffFrame,
    OffSpan,
    OnFrame,
    OnSpan,
    Span,
    ThreadLog,
    logs,
)

FRAME = "frame"


class _Recording:
    """What one recording process is doing: a session between ``start`` and ``stop``."""

    def __init__(self, directory: str, run_id: str, cpu_clocks: bool) -> None:
        self.directory = directory
        self.run_id = run_id
        self.cpu_clocks = cpu_clocks
        self.made: list[ThreadLog] = []
        self.owns_manifest = False
        self.clock: CpuClock | None = None


_recording: _Recording | None = None
_lock = threading.Lock()
_ids = itertools.count(1)
_names: dict[int, str] = {}


def _new_span(name: str) -> Span:
    with _lock:
        if name not in _spans:
            made: Span = OffSpan(name, _new_name(name))
            made.__class__ = _span_class()
            _spans[name] = made
    return _spans[name]


def _new_name(name: str) -> int:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a span needs a name, not {name!r}")
    name_id = next(_ids)
    _names[name_id] = name
    if _recording is not None:
        logs.own().define(name_id, name)
    return name_id


def _span_class() -> type[Span]:
    if _recording is None:
        return OffSpan
    return OnSpan if nvtx_ranges.domain is None else nvtx_ranges.NvtxSpan


_spans: dict[str, Span] = {}
_frame: Span = OffFrame(FRAME, KIND_FRAME | _new_name(FRAME))
_segments: dict[str, int] = {}


def span(name: str) -> Span:
    """A span called ``name``: ``with motrace.span("capture"):`` or ``@motrace.span("capture")``.

    Spans nest, on any thread, and close when an exception passes. The ``with`` statement binds
    nothing useful. Costs about 0.4 us while recording, under 0.1 us while not.
    """
    try:
        return _spans[name]
    except KeyError:
        return _new_span(name)


def frame() -> Span:
    """One turn of the loop: ``with motrace.frame():``. Frames are numbered from 0."""
    return _frame


def segment(name: str) -> None:
    """Begin a segment of the run (``vocabulary.SEGMENTS``); it lasts until the next one begins."""
    if _recording is None:
        return
    if name not in _segments:
        _segments[name] = _new_name(name)
    log = logs.own()
    log.point(KIND_SEGMENT | _segments[name], log.begin_ns(), 0)


def start(directory: str | os.PathLike[str], run_id: str = "run", cpu_clocks: bool = True) -> None:
    """Begin to record this process into ``directory`` (made if it is missing).

    The calling thread is the loop thread: its CPU clocks are read with its spans, if
    ``cpu_clocks``. Raises RuntimeError if recording is on, OSError if the folder can't be used.
    """
    global _recording
    if _recording is not None:
        raise RuntimeError(f"motrace is already recording into {_recording.directory}")
    directory = os.path.abspath(directory)
    os.makedirs(directory, exist_ok=True)
    recording = _Recording(directory, run_id, cpu_clocks)
    if not os.path.exists(os.path.join(directory, runs.RUN_FILE)):  # else the launcher wrote it
        recording.owns_manifest = True
        process = {"pid": os.getpid()}
        runs.update_run(Path(directory), run_id=run_id, mode="custom", status=runs.RUNNING, process=process)
    _begin(recording)
    if recording.owns_manifest and nvtx_ranges.profiler_attached():
        runs.update_run(Path(directory), nvtx=nvtx_ranges.facts())
    atexit.register(_at_exit)


def _begin(recording: _Recording) -> None:
    """Switch recording on, in this process, with the calling thread as the loop thread."""
    global _recording
    clock = CpuClock(recording.directory) if recording.cpu_clocks else None
    nvtx_ranges.domain = nvtx_ranges.open_if_attached()
    Logs.make = staticmethod(_make_log)
    _recording = recording
    logs.__dict__.pop("log", None)
    log = logs.own()
    recording.clock = clock
    if clock is not None:
        log.begin_ns, log.end_ns = clock.begin, clock.end
    log.point(KIND_CLOCK, monotonic_ns(), time_ns())
    if nvtx_ranges.domain is not None:
        nvtx_ranges.domain.mark(f"{RUN_MARK}{recording.run_id}")
        nvtx_ranges.domain.sync()
    _switch()


def _make_log() -> ThreadLog:
    """A log for the calling thread, which has none yet."""
    recording = _recording
    assert recording is not None, "a span was recorded while recording was off"
    log = ThreadLog(recording.directory, dict(_names))
    recording.made.append(log)
    return log


def _switch() -> None:
    """Give every span the class that fits what is on now."""
    span_class = _span_class()
    with _lock:
        for made in _spans.values():
            made.range = None
            made.__class__ = span_class
    if _recording is None:
        _frame.__class__ = OffFrame
    else:
        _frame.__class__ = OnFrame if nvtx_ranges.domain is None else nvtx_ranges.NvtxFrame


def stop() -> int:
    """End the recording; returns how many records found no room (a full disk), 0 if all were kept."""
    global _recording
    recording = _recording
    if recording is None:
        return 0
    log = logs.own()
    log.point(KIND_CLOCK, monotonic_ns(), time_ns())
    if nvtx_ranges.domain is not None:
        nvtx_ranges.domain.sync()
    dropped = sum(made.dropped for made in recording.made)
    if recording.clock is not None:
        recording.clock.close()
        dropped += recording.clock.log.dropped
    log.begin_ns = log.end_ns = perf_counter_ns
    _recording = None
    _switch()
    nvtx_ranges.domain = None
    log.trim()
    atexit.unregister(_at_exit)
    if recording.owns_manifest:
        runs.update_run(Path(recording.directory), status=runs.COMPLETED, dropped_records=dropped)
    return dropped


def _at_exit() -> None:
    """The program ended without ``stop``; an exception that nobody caught makes it a crash."""
    recording = _recording
    stop()
    error = getattr(sys, "last_value", None)
    if recording is not None and recording.owns_manifest and error is not None:
        reason = f"{type(error).__name__}: {error}"
        runs.update_run(Path(recording.directory), status=runs.CRASHED, status_reason=reason)


def recording_directory() -> str | None:
    """The folder that this process records into, None while it does not."""
    return _recording.directory if _recording is not None else None


def is_recording() -> bool:
    """Whether spans are being recorded."""
    return _recording is not None


def _in_forked_child() -> None:
    """A child made by fork records into logs of its own; the parent's are left alone."""
    recording = _recording
    if recording is not None:
        for made in recording.made:
            made.abandon()
        recording.made = []
        recording.cpu_clocks = False  # the loop thread is the parent's
        recording.owns_manifest = False
        try:
            _begin(recording)
        except OSError:
            _give_up()


def _give_up() -> None:
    global _recording
    _recording = None
    _switch()


os.register_at_fork(after_in_child=_in_forked_child)
