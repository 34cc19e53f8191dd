"""NVTX ranges of the same names as the spans, while a profiler is attached.

``nvtx`` is imported only then: it imports NumPy, and a program that is not being profiled should
not pay for it. A profiler announces itself in the environment (Nsight Systems sets
``NVTX_INJECTION64_PATH`` in what it starts); ``MOTRACE_NVTX=1`` turns the ranges on regardless.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns
from typing import TYPE_CHECKING, Protocol, cast

from ..vocabulary import NVTX_DOMAIN, SYNC_MARK
from .opaque import NvtxAttributes
from .spans import OnSpan, logs

if TYPE_CHECKING:
    from types import TracebackType

DOMAIN = NVTX_DOMAIN
SYNC_EVERY_NS = 1_000_000_000
INJECTED = ("NVTX_INJECTION64_PATH", "NVTX_INJECTION32_PATH")
ATTACHED = (*INJECTED, "MOTRACE_NVTX")


def profiler_attached() -> bool:
    """Whether this process was started by something that listens to NVTX."""
    return any(os.environ.get(name) for name in ATTACHED)


def facts() -> dict[str, bool]:
    """Whether this process's ranges reach a profiler, for the manifest.

    ``attached``: one listens; ``dummy``: it records nothing all the same; ``shimmed``: it records
    because ``nvtx``'s question whether the domain is wanted was passed over.
    """
    if domain is None:
        return {"attached": True, "dummy": True, "missing": True} if profiler_attached() else {"attached": False}
    return {"attached": True, "dummy": domain.is_dummy, "shimmed": domain.shimmed}


class NvtxLibraryDomain(Protocol):
    """A domain of the package ``nvtx``."""

    def get_event_attributes(self, message: str, payload: int | None = None) -> NvtxAttributes | None:
        """What a range or a mark bears; ``message`` is registered."""

    def push_range(self, attributes: NvtxAttributes | None) -> None:
        """Begin a range of this thread."""

    def pop_range(self) -> None:
        """End the innermost one."""

    def mark(self, attributes: NvtxAttributes | None) -> None:
        """An event without duration."""


def _is_dummy(made: NvtxLibraryDomain) -> bool:
    return type(made).__name__ == "DummyDomain"


def _open_domain() -> tuple[NvtxLibraryDomain, bool]:
    """The domain, and whether it took the shim to get it.

    nvtx 0.2.12 and newer ask ``nvtxDomainIsEnabled`` first, to which Nsight Systems before 2023.3
    answers no, although it records the domain (NVIDIA/NVTX#126). Where a profiler was injected the
    domain is therefore made without asking. ``get_domain`` keeps what it gave before, so it is made directly.
    """
    import nvtx

    made = cast(NvtxLibraryDomain, nvtx.get_domain(DOMAIN))
    if not _is_dummy(made) or not any(os.environ.get(name) for name in INJECTED):
        return made, False
    try:
        forced = _make_unasked()
    except Exception as error:  # noqa: BLE001  (the inside of another version of nvtx: anything may be missing)
        print(f"motrace: nvtx has no way round its DummyDomain ({type(error).__name__}: {error})", file=sys.stderr)
        return made, False
    return forced, not _is_dummy(forced)


def _make_unasked() -> NvtxLibraryDomain:
    import nvtx._lib.lib as lib

    def make(cls: type[lib.Domain], name: str | None = None) -> lib.Domain:
        made = object.__new__(cls)
        made.handle = lib.DomainHandle(name)
        return made

    asking = lib.Domain.__dict__["__new__"]
    lib.Domain.__new__ = staticmethod(make)
    try:
        return cast(NvtxLibraryDomain, lib.Domain(DOMAIN))
    finally:
        lib.Domain.__new__ = asking


class NvtxDomain:
    """The domain ``motrace``: registered names, ranges, marks."""

    def __init__(self) -> None:
        self._domain, self.shimmed = _open_domain()
        self.is_dummy = _is_dummy(self._domain)
        self.push = self._domain.push_range
        self.pop = self._domain.pop_range
        self._next_sync = 0

    def attributes(self, name: str) -> NvtxAttributes | None:
        """Event attributes whose message is the registered string ``name``."""
        return self._domain.get_event_attributes(message=name)

    def mark(self, name: str, payload: int | None = None) -> None:
        """A mark; ``payload`` is a 64-bit integer."""
        self._domain.mark(self._domain.get_event_attributes(message=name, payload=payload))

    def sync(self) -> None:
        """A mark that carries the monotonic clock, from which an analyzer aligns the profiler's clock."""
        now = monotonic_ns()
        self._next_sync = now + SYNC_EVERY_NS
        self.mark(SYNC_MARK, now)

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


def open_if_attached() -> NvtxDomain | None:
    """The domain if a profiler is attached; says loudly if it will see nothing."""
    if not profiler_attached():
        return None
    try:
        made = NvtxDomain()
    except ImportError as error:  # a program measured from outside, in an environment of its own
        print(
            f"motrace: WARNING: a profiler is attached, but nvtx can't be imported ({error}): it will record NO "
            "ranges. `pip install nvtx` into the program's environment.",
            file=sys.stderr,
            flush=True,
        )
        return None
    made.warn_if_dummy()
    return made


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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        OnSpan.__exit__(self, kind, error, trace)
        if domain is not None:
            domain.pop()


class NvtxFrame(NvtxSpan):
    """A frame while recording is on and a profiler is attached."""

    __slots__ = ()

    def __enter__(self) -> None:
        NvtxSpan.__enter__(self)
        logs.log.number_frame()
