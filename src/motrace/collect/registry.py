"""The collectors by the names that ``--collect`` knows. A new one is a name in ``COLLECTORS`` and a case of ``make``.

Nothing is imported before it is asked for: a collector may need packages of its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..errors import UsageError, close_to
from .base import Collector


@dataclass(frozen=True)
class Settings:
    """What the command line says to collectors."""

    timeout_s: float = 60.0
    """What a tool may take, without any progress, to finish after the run."""
    nsys_args: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    """The interpreter of the measured process, and its options; empty: our own."""
    pyspy_rate: int | None = None
    """Samples per second; None: by the number of threads."""
    pyspy_light: bool = False


COLLECTORS = ("threads", "scalene", "torch", "pyspy", "gpu", "nsys")
CHEAP_CORES = 4
"""With so many cores a sampler at 3 % of one takes under 1 % of what the machine can do."""


def defaults() -> tuple[str, ...]:
    """The collectors of a run that asks for none: thread states, where they cost next to nothing."""
    return ("threads",) if (os.cpu_count() or 1) >= CHEAP_CORES else ()


def names(text: str) -> tuple[str, ...]:
    """The collectors that ``--collect LIST`` asks for, each once; ``none`` for none, ``all``. Raises UsageError."""
    if text in ("none", "all"):
        return () if text == "none" else COLLECTORS
    asked = tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))
    unknown = [name for name in asked if name not in COLLECTORS]
    if unknown or not asked:
        wrong = ", ".join(unknown) or "nothing is named"
        near = close_to(unknown[0], (*COLLECTORS, "all", "none")) if unknown else ""
        raise UsageError(f"--collect {text}: {wrong}{near}; choose from {', '.join(COLLECTORS)}, separated by commas")
    return asked


def make(name: str, settings: Settings) -> Collector:
    """A fresh collector, for one run."""
    if name == "threads":
        from .threads import ThreadsCollector

        return ThreadsCollector()
    if name == "scalene":
        from .scalene import ScaleneCollector

        return ScaleneCollector(settings.python)
    if name == "torch":
        from .torchprof import TorchCollector

        return TorchCollector(settings.python)
    if name == "pyspy":
        from .pyspy import PySpyCollector

        return PySpyCollector(settings.pyspy_rate, light=settings.pyspy_light)
    if name == "gpu":
        from .gpu import GpuCollector

        return GpuCollector()
    from .nsys_pass import NsysCollector

    return NsysCollector(settings.nsys_args, settings.timeout_s)
