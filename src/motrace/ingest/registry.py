"""The file formats that motrace reads. A new one is a class and an entry here."""

from __future__ import annotations

from pathlib import Path

from .nsys import NsysSource
from .pyspy import PySpySource
from .samplers import GpuMetrics, ThreadStates
from .scalene import ScaleneSource
from .source import Head, Source
from .torch import TorchSource
from .viztracer import VizTracerSource

NSYS = NsysSource()
PROFILERS: tuple[Source, ...] = (PySpySource(), VizTracerSource(), TorchSource(), ScaleneSource())
"""Others that users run themselves."""
SOURCES: tuple[Source, ...] = (NSYS, ThreadStates(), *PROFILERS, GpuMetrics())


def source_of(path: Path) -> Source | None:
    """The format of a file, or of a folder of files; None for what no profiler wrote. Never raises."""
    head = Head(path)
    return next((source for source in SOURCES if source.recognise(head)), None)
