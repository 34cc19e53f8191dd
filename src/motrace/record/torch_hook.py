"""torch.profiler around a few frames; runs inside the measured process, only with ``--collect torch``.

The torch is the measured program's own, and is not imported before it is asked for.

Kineto's times are UTC. Marks tie them to the spans' clock: the name of each holds CLOCK_MONOTONIC
just before it begins, and the next one's just after it has ended.
"""

from __future__ import annotations

import importlib
import os
import sys
from time import monotonic_ns
from typing import Any

VARIABLE = "MOTRACE_TORCH"
"""Environment variable: the file to write; without it there is no hook."""

MARK = "motrace.sync "
FIRST_FRAME, FRAMES = 2, 8


class TorchHook:
    """Called at the begin of every frame of the loop, and once after the last."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._profile: Any = None
        self._function: Any = None
        self._done = False

    def frame(self, number: int) -> None:
        """Frame ``number`` (from 0, warm-up not counted) is about to begin. Never raises for what torch does."""
        if self._done:
            return
        try:
            if self._profile is None and number >= FIRST_FRAME:
                self._begin()
            elif self._profile is not None and number >= FIRST_FRAME + FRAMES:
                self._end()
            if self._profile is not None:
                self._mark()
        except Exception as error:  # noqa: BLE001  (the program goes on; the collector says that the trace is missing)
            self._give_up(error)

    def end(self) -> None:
        """Stop, and write the trace, if that was not done. Never raises for what torch does."""
        if self._profile is None or self._done:
            return
        try:
            self._end()
        except Exception as error:  # noqa: BLE001  (as above)
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._done, self._profile = True, None
        text = " ".join(str(error).split())[:200]
        print(f"motrace: torch.profiler failed ({type(error).__name__}: {text})", file=sys.stderr)

    def _begin(self) -> None:
        torch, profiler = importlib.import_module("torch"), importlib.import_module("torch.profiler")
        self._function = profiler.record_function
        activities = [profiler.ProfilerActivity.CPU]
        activities += [profiler.ProfilerActivity.CUDA] if torch.cuda.is_available() else []
        self._profile = profiler.profile(activities=activities)
        self._profile.start()

    def _end(self) -> None:
        self._mark()
        self._done, profile = True, self._profile
        self._profile = None
        profile.stop()
        temporary = self._path + ".tmp.json"
        profile.export_chrome_trace(temporary)
        os.replace(temporary, self._path)

    def _mark(self) -> None:
        """Some marks in a row: the clocks differ by what fits all of them."""
        for _ in range(4):
            with self._function(f"{MARK}{monotonic_ns()}"):
                pass


def frame_hook() -> TorchHook | None:
    """The hook if ``--collect torch`` asks for it."""
    path = os.environ.get(VARIABLE)
    return TorchHook(path) if path else None
