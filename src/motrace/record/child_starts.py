"""Children from their beginning: one that starts and ends inside a span is known only so."""

from __future__ import annotations

import functools
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

from .tracked_member import command_of

_INIT = "__init__"


class ChildStarts:
    """Notes the children that ``subprocess`` starts, ``found``: their pids and what runs in them, until they are taken.

    Where the loop thread ``tid`` starts one it is looked at, ``look(now)``, at once. The kernel may not have its
    name yet.
    """

    def __init__(self, tid: int, look: Callable[[int], None]) -> None:
        self.found: list[tuple[int, str]] = []
        self._original: Any = getattr(subprocess.Popen, _INIT)
        original = self._original
        pid = os.getpid()

        @functools.wraps(original)
        def _started(popen: subprocess.Popen[bytes], *args: object, **kwargs: object) -> None:
            original(popen, *args, **kwargs)
            if os.getpid() != pid or self._closed:
                return
            with suppress(Exception):  # a measurement must not break what it measures
                self.found.append((popen.pid, command_of(_words(popen))))
                if threading.get_native_id() == tid:
                    look(perf_counter_ns())

        self._closed = False
        self._started: Any = _started
        setattr(subprocess.Popen, _INIT, self._started)

    def take(self) -> dict[int, str]:
        """Those that started since this was last asked."""
        taken: dict[int, str] = {}
        while self.found:
            taken.update((self.found.pop(),))
        return taken

    def close(self) -> None:
        """Watch no more."""
        self._closed = True
        if getattr(subprocess.Popen, _INIT) is self._started:
            setattr(subprocess.Popen, _INIT, self._original)


def _words(popen: subprocess.Popen[bytes]) -> list[str]:
    """Its command as words; a text is a program's path, or a shell's command, which begins with one."""
    words = popen.args
    if isinstance(words, (str, bytes, os.PathLike)):
        return os.fsdecode(words).split()
    return [os.fsdecode(word) for word in words]
