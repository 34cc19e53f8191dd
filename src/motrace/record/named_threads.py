"""The ``[threads]`` of an instrumentation file: roles of threads by their names."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from fnmatch import fnmatchcase

from .annotate import state_role

_STARTED = "_bootstrap_inner"  # what each thread of ``threading`` runs first, whatever its class overrides


class NamedThreads:
    """While installed, states the role of each thread whose name fits; the first rule that fits counts.

    A thread of Python has the name that ``threading`` knows when it begins; others, the kernel's, looked at in the end.
    """

    def __init__(self, rules: Sequence[tuple[str, str]]) -> None:
        self._rules = rules
        self._undo = getattr(threading.Thread, _STARTED, None)

    def install(self) -> None:
        """Watch the threads that begin from now on, and look at those that there are."""
        if not self._rules:
            return
        for thread in threading.enumerate():
            self._look(thread.native_id, thread.name)
        original, look = self._undo, self._look
        if original is None:
            return  # a Python that begins threads otherwise: the kernel's names alone

        def begun(thread: threading.Thread) -> None:
            look(threading.get_native_id(), thread.name)
            original(thread)

        setattr(threading.Thread, _STARTED, begun)

    def uninstall(self) -> None:
        """Watch no more; look at the kernel's names."""
        if not self._rules:
            return
        if self._undo is not None:
            setattr(threading.Thread, _STARTED, self._undo)
        for word in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{word}/comm") as file:
                    self._look(int(word), file.read().rstrip("\n"))
            except OSError:  # it ended just now
                continue

    def _look(self, tid: int | None, name: str) -> None:
        for pattern, role in self._rules:
            if tid is not None and fnmatchcase(name, pattern):
                state_role(tid, role)
                return
