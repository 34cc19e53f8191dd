"""torch.profiler around a few frames; runs inside the measured process, only with ``--collect torch``.

Kineto's times are UTC. Marks tie them to the spans' clock: the name of each bears CLOCK_MONOTONIC
just before it begins, and the next one's just after it has ended.
"""

from __future__ import annotations

import os
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
        self._done = False

    def frame(self, number: int) -> None:
        """Frame ``number`` (from 0) is about to begin."""
        if self._done:
            return
        if self._profile is None and number >= FIRST_FRAME:
            self._begin()
        elif self._profile is not None and number >= FIRST_FRAME + FRAMES:
            self.end()
        if self._profile is not None:
            self._mark()

    def end(self) -> None:
        """Stop, and write the trace."""
        if self._profile is None:
            return
        self._mark()
        self._done, profile = True, self._profile
        self._profile = None
        profile.stop()
        temporary = self._path + ".tmp.json"
        profile.export_chrome_trace(temporary)
        os.replace(temporary, self._path)

    def _begin(self) -> None:
        import torch
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])
        self._profile = profile(activities=activities)
        self._profile.start()
        self._mark()

    def _mark(self) -> None:
        """Some marks in a row: the clocks differ by what fits all of them."""
        from torch.profiler import record_function

        for _ in range(4):
            with record_function(f"{MARK}{monotonic_ns()}"):
                pass


def frame_hook() -> TorchHook | None:
    """The hook if ``--collect torch`` asks for it."""
    path = os.environ.get(VARIABLE)
    return TorchHook(path) if path else None
