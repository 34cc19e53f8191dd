"""What the schemas of tables are built of: columns with their meaning and unit."""

from __future__ import annotations

import pyarrow as pa

WORD = pa.dictionary(pa.int32(), pa.string())
WORDS = pa.list_(pa.string())


def column(name: str, kind: pa.DataType, about: str, unit: str = "", nullable: bool = False) -> pa.Field:
    """A column."""
    return pa.field(name, kind, nullable, {"about": about, "unit": unit})


def known(name: str, kind: pa.DataType, about: str, unit: str = "") -> pa.Field:
    """A column that is null where its value is not known."""
    return column(name, kind, f"{about}; null where not known", unit, nullable=True)


KEY = (
    column("experiment", WORD, "the experiment's name; others may have the same"),
    column("run", WORD, "run id, unique in its experiment"),
    column("experiment_id", WORD, "id of the experiment, its own; with `run` it is the key of every table"),
)
PID = column("pid", pa.int64(), "process id")
TID = column("tid", pa.int64(), "thread id of the kernel")
START = column("start_ns", pa.int64(), "begin", "ns")
END = column("end_ns", pa.int64(), "end", "ns")
FRAME = column("frame", pa.int64(), "frame number from 0, warm-up included; null outside frames", nullable=True)


def keyed(*columns: pa.Field) -> pa.Schema:
    """The schema of a table: its run's key, then the columns."""
    return pa.schema([*KEY, *columns])
