"""The layout of ``threads.bin``, for the process that writes it and for the reader. Standard library only.

MAGIC, then blocks of three uint32 (bytes of JSON, number of rows, number of ticks), JSON, rows and ticks. A
row is one stay of a thread in one state: first_ns and last_ns of the samples that saw it (CLOCK_MONOTONIC),
thread, samples, state; the JSON of the same or an earlier block names threads and states. A tick is when the
sampler began a round, int64. Whatever kills the writer, whole blocks stay readable. Blocks of the first version
(OLD_MAGIC) have no ticks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..record.gil_lock import NOT_KNOWN

MAGIC, OLD_MAGIC = b"MOTRTHR2", b"MOTRTHR1"
BLOCK, OLD_BLOCK = struct.Struct("<III"), struct.Struct("<II")
ROW = struct.Struct("<qqIIH6x")
ROW_FIELDS = ("first_ns", "last_ns", "thread", "samples", "state")


@dataclass(frozen=True)
class SamplerFacts:
    """What the sampler says of itself and of its work so far: what it was asked, what it reached, what it cost."""

    machine: str = ""
    pid: int = 0
    asked_hz: float = 0.0
    budget: float = 0.0
    scheduling: str = ""
    begin_ns: int = 0
    startup_cpu_ns: int = 0
    wall_ns: int = 0
    cpu_ns: int = 0
    rounds: int = 0
    late: int = 0
    reads: int = 0
    hz: float = 0.0
    threads: int = 0
    passes: float = 1.0
    gil: tuple[int, int] = NOT_KNOWN
    damaged: bool = False
