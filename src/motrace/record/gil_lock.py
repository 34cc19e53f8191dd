"""Where the interpreter's lock (GIL) lies, so that a thread that waits for it can be told by its futex's address.

A helper thread asks for the lock again and again while the calling thread holds it and looks at the call
that the helper is in: the only futex that it can wait on is the lock's. CPython keeps the lock's two conditions
and two mutexes side by side (``struct _gil_runtime_state``), 176 bytes from the first condition on; the address of a
waiter lies inside that condition.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from ..vocabulary import FUTEX_CALLS
from .procfile import ProcFile

NOT_KNOWN, NO_LOCK = (0, 0), (-1, -1)
PATIENCE_NS = 100_000_000
_BEFORE, _AFTER = 44, 132  # bytes of the lock that lie around the address that a waiter shows


def find() -> tuple[int, int]:
    """From where to where the lock lies; NO_LOCK in a free-threaded Python, NOT_KNOWN where it is not found."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return NO_LOCK
    begun, done = threading.Event(), False

    def ask() -> None:
        begun.set()
        while not done:
            time.sleep(0)  # gives the lock away, and asks for it

    helper = threading.Thread(target=ask, daemon=True, name="motrace")
    try:
        helper.start()
    except RuntimeError:  # no more threads
        return NOT_KNOWN
    begun.wait()
    file = ProcFile.open(f"/proc/self/task/{helper.native_id}/syscall")
    found = _waits_at(file) if file is not None else 0
    done = True
    helper.join()
    if file is not None:
        file.close()
    return (found - _BEFORE, found + _AFTER) if found else NOT_KNOWN


def _waits_at(syscall: ProcFile) -> int:
    """The address of a timed wait on a futex that a thread is seen in, 0 if it never is. Keeps the lock meanwhile."""
    calls = FUTEX_CALLS.get(os.uname().machine, ())
    end = time.perf_counter_ns() + PATIENCE_NS
    while time.perf_counter_ns() < end:
        words = syscall().split()
        if len(words) > 4 and words[0].decode() in calls and int(words[4], 16):
            return int(words[1], 16)
    return 0
