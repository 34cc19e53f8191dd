"""NVTX ranges of the same names as the spans, while a profiler is attached.

``nvtx`` is imported only then: it imports NumPy, and a program that is not being profiled should
not pay for it. A profiler announces itself in the environment (Nsight Systems sets
``NVTX_INJECTION64_PATH`` in what it starts); ``MOTRACE_NVTX=1`` turns the ranges on regardless.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns
from typing import Any

from .spans import OnSpan, logs

DOMAIN = "motrace"
SYNC_EVERY_NS = 1_000_000_000
ATTACHED = ("NVTX_INJECTION64_PATH", "NVTX_INJECTION32_PATH", "MOTRACE_NVTX")


def profiler_attached() -> bool:
    """Whether this process was started by something that listens to NVTX."""
    return any(os.environ.get(name) for name in ATTACHED)


class NvtxDomain:
    """The domain ``motrace``: registered names, ranges, marks."""

    def __init__(self) -> None:
        import nvtx

        self._domain: Any = nvtx.get_domain(DOMAIN)
        self.is_dummy = type(self._domain).__name__ == "DummyDomain"
        self.push = self._domain.push_range
        self.pop = self._domain.pop_range
        self._next_sync = 0

    def attributes(self, name: str) -> Any:
        """Event attributes whose message is the registered string ``name``."""
        return self._domain.get_event_attributes(message=name)

    def mark(self, name: str, payload: int | None = None) -> None:
        """A mark; ``payload`` is a 64-bit integer."""
        self._domain.mark(self._domain.get_event_attributes(message=name, payload=payload))

    def sync(self) -> None:
        """A mark that carries the monotonic clock, from which an analyzer aligns the profiler's clock."""
        now = monotonic_ns()
        self._next_sync = now + SYNC_EVERY_NS
        self.mark("motrace.sync", now)

    def sync_when_due(self) -> None:
        """A sync mark if the last one is a second old."""
        if monotonic_ns() >= self._next_sync:
            self.sync()

    def warn_if_dummy(self) -> None:
        """Say loudly that a profiler is attached and will see nothing."""
        if self.is_dummy and profiler_attached():
            print(
                "motrace: WARNING: a profiler is attached, but nvtx gives a DummyDomain: it will record NO ranges. "
                "This nvtx is too new for this profiler (Nsight Systems before 2023.3: `pip install nvtx==0.2.11`).",
                file=sys.stderr,
                flush=True,
            )


domain: NvtxDomain | None = None


class NvtxSpan(OnSpan):
    """Recording is on and a profiler is attached."""

    __slots__ = ()

    def __enter__(self) -> None:
        nvtx = domain
        if nvtx is not None:
            if self.range is None:
                self.range = nvtx.attributes(self.name)
            nvtx.sync_when_due()
            nvtx.push(self.range)
        OnSpan.__enter__(self)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        OnSpan.__exit__(self, kind, error, trace)
        if domain is not None:
            domain.pop()


class NvtxFrame(NvtxSpan):
    """A frame while recording is on and a profiler is attached."""

    __slots__ = ()

    def __enter__(self) -> None:
        NvtxSpan.__enter__(self)
        logs.log.number_frame()
