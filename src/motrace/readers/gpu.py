"""Sensors of GPUs (``gpu.arrow``), as ``collect/gpu.py`` writes them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

from ..dataset.tables import without_key
from ..errors import MotraceError

METRICS_SCHEMA = without_key("gpu_metrics")
"""What the file holds: ``gpu_metrics`` without its key; t_ns is CLOCK_MONOTONIC."""


def read_gpu_metrics(path: Path) -> pa.Table:
    """The readings, up to where the file was cut off. Raises MotraceError."""
    batches: list[pa.RecordBatch] = []
    try:
        with path.open("rb") as file, ipc.open_stream(file) as stream:
            if not stream.schema.equals(METRICS_SCHEMA):
                raise MotraceError(f"{path.name} is not a file of GPU sensors of motrace")
            for batch in _until_cut(stream):
                batches.append(batch)
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise MotraceError(f"{path.name} is not a file of GPU sensors of motrace: {error}") from error
    return pa.Table.from_batches(batches, METRICS_SCHEMA)


def _until_cut(stream: ipc.RecordBatchStreamReader) -> list[pa.RecordBatch]:
    found: list[pa.RecordBatch] = []
    while True:
        try:
            found.append(stream.read_next_batch())
        except (StopIteration, pa.ArrowInvalid, OSError):  # the end, or where it was cut off
            return found
