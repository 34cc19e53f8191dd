"""The span recorder: one memory-mapped log per thread.

A record is four words: kind and name id, start_ns, end_ns (0 while the span is open), value. It
is written when the span begins and completed when it ends, so a span that is open when the process
dies is known as open. A start_ns of 0 ends the log. Names are defined by records of their own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import perf_counter_ns  # the same clock as monotonic_ns on Linux: CLOCK_MONOTONIC
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .opaque import NvtxAttributes
from .wordlog import HEADER_WORDS, MAGIC_SPANS, WordLog, encoded, unique_path
from .wrap import wrapped

if TYPE_CHECKING:
    from types import TracebackType

P = ParamSpec("P")
Result = TypeVar("Result")

RECORD_WORDS = 4
WHAT, START, END, VALUE = range(RECORD_WORDS)

# Kinds, in the upper half of a record's first word; the lower half is the name id.
KIND_SPAN, KIND_FRAME, KIND_SEGMENT, KIND_CLOCK, KIND_ROLE = (kind << 32 for kind in range(5))
NAME_ID_MASK = (1 << 32) - 1
DEFINITION = -1  # start_ns of a record that defines a name: end_ns is its length, its bytes follow

STOPPED, CRASHED = 1, 2  # in the header's FLAGS: how the recording ended, where run.json can't be written any more

_NOT_KEPT = HEADER_WORDS - RECORD_WORDS  # in the header: where a record goes that found no room


class ThreadLog(WordLog):
    """The span log of one thread.

    ``begin_ns`` and ``end_ns`` tell the time at which a span begins and ends. They are the plain
    clock, except on the loop thread, where they read CPU clocks too.
    """

    __slots__ = ("stack", "begin_ns", "end_ns", "frames", "undefined", "over")

    def __init__(self, directory: str | None, names: dict[int, str], home: WordLog | None = None) -> None:
        """``directory`` None keeps nothing; ``home`` counts what is dropped while there is no file."""
        pid, tid = os.getpid(), threading.get_native_id()
        self.stack: list[int] = []
        self.begin_ns: Callable[[], int] = perf_counter_ns
        self.end_ns: Callable[[], int] = perf_counter_ns
        self.frames = 0
        self.over = False
        self.undefined = dict(names)
        path = unique_path(directory, f"spans-{pid}-{tid}") if directory is not None else ""
        super().__init__(path, MAGIC_SPANS, pid, tid, threading.current_thread().name, home)

    def grow(self) -> bool:
        """Add a chunk, and write the names that found no room before."""
        if not super().grow():
            return False
        waiting, self.undefined = self.undefined, {}
        for name_id, name in waiting.items():
            self.define(name_id, name)
        return True

    def define(self, name_id: int, name: str) -> None:
        """Write the definition of a name; later, where it finds no room."""
        data = encoded(name)
        body = -(-len(data) // (8 * RECORD_WORDS)) * RECORD_WORDS
        if not self.fits(RECORD_WORDS + body):
            self.undefined[name_id] = name
            return
        index = self.pos
        self.put_bytes(index + RECORD_WORDS, data)
        self.words[index + WHAT] = name_id
        self.words[index + END] = len(data)
        self.words[index + START] = DEFINITION
        self.pos = index + RECORD_WORDS + body

    def begin_slow(self, what: int) -> int:
        """Begin a span where the fast path found the chunk full; returns the record's index."""
        if self.over:
            Logs.make(self)
        index = _NOT_KEPT
        if self.room(RECORD_WORDS):
            index = self.pos
            self.pos = index + RECORD_WORDS
        self.stack.append(index)
        self.words[index + WHAT] = what
        return index

    def retire(self) -> None:
        """Its recording is over: at its next span the thread that owns it begins a new one in its place."""
        self.over, self.stack = True, []
        self.words, self.pos = memoryview(bytearray(HEADER_WORDS * 8)).cast("q"), HEADER_WORDS

    def point(self, what: int, start_ns: int, value: int) -> None:
        """Write a record without duration."""
        if self.room(RECORD_WORDS):
            index = self.pos
            self.words[index + WHAT] = what
            self.words[index + VALUE] = value
            self.words[index + END] = start_ns
            self.words[index + START] = start_ns
            self.pos = index + RECORD_WORDS

    def number_frame(self) -> None:
        """Give the span that has just begun the next frame number, counted from 0 on each thread."""
        self.words[self.stack[-1] + VALUE] = self.frames
        self.frames += 1

    def close_out_of_order(self, what: int, top: int) -> int:
        """End a span that is not the innermost one (generators and tasks interleave).

        Puts ``top`` back and returns the index of the innermost open record of ``what``; of the
        throw-away record where there is none.
        """
        if top == _NOT_KEPT:
            return top
        stack = self.stack
        stack.append(top)
        for position in range(len(stack) - 1, -1, -1):
            if self.words[stack[position] + WHAT] == what:
                return stack.pop(position)
        return _NOT_KEPT


class Logs(threading.local):
    """``log``: the calling thread's log. A thread has none until ``own`` is called in it.

    No ``__getattr__`` here: it would slow down every access.
    """

    make: Callable[[ThreadLog | None], ThreadLog]
    """Makes the calling thread's log, in place of one whose recording is over."""
    log: ThreadLog

    def own(self) -> ThreadLog:
        """The calling thread's log, made if there is none."""
        log = getattr(self, "log", None)
        if log is None or log.over:
            self.log = log = type(self).make(log)
        return log


logs = Logs()


class Span:
    """A named span: context manager and decorator. One object per name, for every thread.

    The object never changes; recording is switched on and off by its class (see ``switch``), so a
    span made before recording starts records from then on.
    """

    __slots__ = ("name", "what", "range")

    def __init__(self, name: str, what: int) -> None:
        self.name = name
        self.what = what
        self.range: NvtxAttributes | None = None  # NVTX attributes, while a profiler is attached

    if TYPE_CHECKING:  # each class below has its own

        def __enter__(self) -> None: ...

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None: ...

    def __call__(self, function: Callable[P, Result]) -> Callable[P, Result]:
        """Decorate what can be called. A generator or coroutine is in the span only while its own body runs."""
        return wrapped(function, self)

    def __repr__(self) -> str:
        return f"<motrace.span {self.name!r}>"


class OffSpan(Span):
    """Recording is off. Both methods are C functions: nothing in Python is called."""

    __slots__ = ()
    __enter__ = bool  # type: ignore[assignment]
    __exit__ = "".format  # type: ignore[assignment]


class OnSpan(Span):
    """Recording is on, no profiler is attached."""

    __slots__ = ()

    def __enter__(self) -> None:
        try:
            log = logs.log
        except AttributeError:
            log = logs.own()
        index = log.pos
        words = log.words
        try:
            words[index] = self.what
        except IndexError:
            index = log.begin_slow(self.what)
            words = log.words
        else:
            log.pos = index + 4
            log.stack.append(index)
        words[index + 1] = log.begin_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            log = logs.log
        except AttributeError:
            return  # begun before recording was switched on
        now = log.end_ns()
        try:
            index = log.stack.pop()
        except IndexError:
            return  # begun before recording was switched on
        words = log.words
        if words[index] != self.what:
            index = log.close_out_of_order(self.what, index)
        words[index + 2] = now


class OffFrame(OffSpan):
    """A frame while recording is off."""

    __slots__ = ()


class OnFrame(OnSpan):
    """A frame while recording is on: a span that carries its number."""

    __slots__ = ()

    def __enter__(self) -> None:
        OnSpan.__enter__(self)
        logs.log.number_frame()
