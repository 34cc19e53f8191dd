"""The layout of ``threads.bin``, for the process that writes it and for the reader. Standard library only.

MAGIC, then blocks of two uint32 (bytes of JSON, number of rows), JSON and rows. A row is one stay
of a thread in one state: first_ns and last_ns of the samples that saw it (CLOCK_MONOTONIC), thread,
samples, state; the JSON of the same or an earlier block names threads and states. Whatever kills
the writer, whole blocks stay readable.
"""

from __future__ import annotations

import struct

MAGIC = b"MOTRTHR1"
BLOCK = struct.Struct("<II")
ROW = struct.Struct("<qqIIH6x")
ROW_FIELDS = ("first_ns", "last_ns", "thread", "samples", "state")
