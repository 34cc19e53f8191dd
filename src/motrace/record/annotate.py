"""What a measured program calls: ``span``, ``frame``, ``segment``, ``thread_role``, ``start``, ``stop``.

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

from .. import run_folder
from ..vocabulary import RUN_MARK
from . import nvtx_ranges
from .cpuclock import CpuClock
from .recording import Recording
from .spans import (
    CRASHED,
    KIND_CLOCK,
    KIND_FRAME,
    KIND_ROLE,
    KIND_SEGMENT,
    STOPPED,
    Logs,
    OffFrame,
    OffSpan,
    OnFrame,
    OnSpan,
    Span,
    ThreadLog,
    logs,
)
from .stated_roles import StatedRoles
from .wordlog import encoded

FRAME = "frame"


_recording: Recording | None = None
_lock = threading.RLock()  # a signal handler, too, may ask for a new span
_ids = itertools.count(1)
_names: dict[int, str] = {}
_over: list[ThreadLog] = []
"""Logs of a recording that has ended, which threads may still hold."""


def _new_span(name: str) -> Span:
    with _lock:
        if name not in _spans:
            name_id = _new_name(name)
            made: Span = OffSpan(_names[name_id], name_id)
            made.__class__ = _span_class()
            _spans[name] = made
    return _spans[name]


def _new_name(name: str) -> int:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a span needs a name, not {name!r}")
    name_id = next(_ids)
    _names[name_id] = name = encoded(name).decode()
    if _recording is not None:
        logs.own().define(name_id, name)
    return name_id


def _span_class() -> type[Span]:
    if _recording is None:
        return OffSpan
    return OnSpan if nvtx_ranges.domain is None else nvtx_ranges.NvtxSpan


_spans: dict[str, Span] = {}
_frame: Span = OffFrame(FRAME, KIND_FRAME | _new_name(FRAME))
_marks: dict[str, int] = {}
_stated = StatedRoles()


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
    """One iteration of the loop: ``with motrace.frame():``. Frames are numbered from 0."""
    return _frame


def segment(name: str, presumed: bool = False) -> None:
    """Begin a segment (``vocabulary.SEGMENTS``), until the next one. A program's own outrank ``presumed`` ones."""
    if _recording is None:
        return
    log = logs.own()
    log.point(KIND_SEGMENT | _mark(name), log.begin_ns(), int(presumed))


def _mark(name: str) -> int:
    """The name id of a segment or a role."""
    if name not in _marks:
        _marks[name] = _new_name(name)
    return _marks[name]


def thread_role(role: str) -> None:
    """Say what the calling thread is, where neither its spans nor its name does: ``motrace.thread_role("encoder")``.

    Raises ValueError for a word that is not a role.
    """
    state_role(threading.get_native_id(), role)


def state_role(tid: int, role: str) -> None:
    """Say what a thread of this process is; before recording starts too. Raises ValueError for a wrong word."""
    _stated.state(tid, role)
    if _recording is not None:
        _write_role(tid, role)


def _write_role(tid: int, role: str) -> None:
    logs.own().point(KIND_ROLE | _mark(role), monotonic_ns(), tid)


def start(directory: str | os.PathLike[str], run_id: str | None = None, cpu_clocks: bool = True) -> Path:
    """Begin to record this process into a new folder below ``directory`` (01, 02 and so on); returns that folder.

    The calling thread is the loop thread: its CPU clocks are read with its spans, if ``cpu_clocks``. The run is called
    as its folder, unless ``run_id`` says otherwise. Under ``run_record`` the recording is on already, and stays where
    it is. Raises RuntimeError if the program itself has begun one, OSError if no folder can be made.
    """
    if _recording is not None:
        if _recording.launched:
            return Path(_recording.directory)
        raise RuntimeError(f"motrace is already recording into {_recording.directory}: call motrace.stop() first")
    run_dir = run_folder.new_run_dir(Path(os.path.abspath(directory)))
    run_id = run_dir.name if run_id is None else run_id
    try:
        run_folder.update_run(
            run_dir, run_id=run_id, mode="custom", status=run_folder.RUNNING, process={"pid": os.getpid()}
        )
        _begin(Recording(str(run_dir), run_id, cpu_clocks, launched=False))
    except BaseException:
        _give_up()
        run_folder.remove_run_dir(run_dir)
        raise
    if nvtx_ranges.profiler_attached() and _recording is not None:
        _recording.tell(nvtx=nvtx_ranges.facts())
    atexit.register(_at_exit)
    return run_dir


def start_in(run_dir: str | os.PathLike[str], run_id: str, cpu_clocks: bool = True) -> None:
    """Begin to record into a folder that the launcher made, whose manifest it writes. Raises OSError."""
    _begin(Recording(os.path.abspath(run_dir), run_id, cpu_clocks, launched=True))
    atexit.register(_at_exit)


def _begin(recording: Recording) -> None:
    """Switch recording on, in this process, with the calling thread as the loop thread."""
    global _recording
    clock = CpuClock(recording.directory) if recording.cpu_clocks else None
    nvtx_ranges.domain = nvtx_ranges.open_if_attached()
    Logs.make = staticmethod(_make_log)
    for made in _over:  # no thread goes on writing into a log of the recording before
        made.retire()
    _over.clear()
    _recording = recording
    logs.__dict__.pop("log", None)
    log = logs.own()
    if recording.home is None:
        log.require_file()
        recording.home = log
    recording.clock = clock
    if clock is not None:
        log.begin_ns, log.end_ns = clock.begin, clock.end
    log.point(KIND_CLOCK, monotonic_ns(), time_ns())
    for tid, role in _stated.alive():
        _write_role(tid, role)
    if nvtx_ranges.domain is not None:
        nvtx_ranges.domain.mark(f"{RUN_MARK}{encoded(recording.run_id).decode()}")
        nvtx_ranges.domain.sync()
    _switch()


def _make_log(over: ThreadLog | None = None) -> ThreadLog:
    """A log for the calling thread; one that keeps nothing where recording has just ended."""
    recording = _recording
    directory, home = (recording.directory, recording.home) if recording is not None else (None, None)
    log = over if over is not None else ThreadLog.__new__(ThreadLog)
    ThreadLog.__init__(log, directory, dict(_names), home)
    (recording.made if recording is not None else _over).append(log)
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
    """End the recording that ``start`` began; returns how many records could not be kept, 0 if all were.

    What ``run_record`` began goes on.
    """
    recording = _recording
    if recording is None:
        return 0
    return recording.dropped() if recording.launched else end()


def end() -> int:
    """End the recording, whoever began it; returns what ``stop`` does."""
    global _recording
    recording = _recording
    if recording is None:
        return 0
    log = logs.own()
    for other in recording.made:
        for name_id, name in tuple(other.undefined.items()):  # other threads may have kept spans of these names
            log.define(name_id, name)
    log.point(KIND_CLOCK, monotonic_ns(), time_ns())
    if nvtx_ranges.domain is not None:
        nvtx_ranges.domain.sync()
    if recording.clock is not None:
        recording.clock.close()
    dropped = recording.dropped()
    log.begin_ns = log.end_ns = perf_counter_ns
    _give_up()
    _over.extend(recording.made)
    nvtx_ranges.domain = None
    log.trim()
    atexit.unregister(_at_exit)
    recording.tell(STOPPED, status=run_folder.COMPLETED, dropped_records=dropped)
    if dropped and recording.owns_manifest:
        why = next(made.why for made in recording.logs() if made.dropped)
        print(f"motrace: {dropped} records could not be kept: {os.strerror(why)}", file=sys.stderr)
    return dropped


def _at_exit() -> None:
    """The program ended without ``stop``; an uncaught exception makes it a crash."""
    recording = _recording
    end()
    error = getattr(sys, "last_value", None)
    if recording is not None and error is not None:
        recording.tell(CRASHED, status=run_folder.CRASHED, status_reason=f"{type(error).__name__}: {error}")


def recording_directory() -> str | None:
    """The folder that this process records into, None while it does not."""
    return _recording.directory if _recording is not None else None


def is_recording() -> bool:
    """Whether spans are being recorded."""
    return _recording is not None


def _in_forked_child() -> None:
    """A child made by fork records into logs of its own; the parent's are left alone."""
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it
    recording = _recording
    if recording is not None:
        for made in recording.made:
            if made is not recording.home:  # which counts what the child can't keep
                made.abandon()
        recording.made = []
        recording.cpu_clocks = False  # the loop thread is the parent's
        recording.owns_manifest = False
        _begin(recording)


def _give_up() -> None:
    global _recording
    _recording = None
    _switch()


os.register_at_fork(after_in_child=_in_forked_child)
