"""Tables of the declared schemas (``schemas.py``): made, checked, written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .. import output
from ..escape import encodable
from .dictionary_columns import constant
from .schemas import EVENT_TABLES, SCHEMAS, SPARSE_TABLES

__all__ = [
    "EVENT_TABLES", "ExperimentKey", "NO_EXPERIMENT", "RunKey", "SCHEMAS", "SPARSE_TABLES",
    "check", "concatenate", "make", "without_key", "write",
]  # fmt: skip


Cell = str | int | float | bool | list[str] | None
ColumnValues: TypeAlias = pa.Array | np.ndarray[Any, Any] | Sequence[Cell]


class RunKey(NamedTuple):
    """A run's experiment (name and id) and its id, the first columns of every table.

    ``experiment_id`` and ``run`` tell it from all others; a name is for people, and two experiments may share it.
    """

    experiment: str
    run: str
    experiment_id: str = ""

    def columns(self, rows: int) -> dict[str, pa.DictionaryArray]:
        """The key as columns that say the same in every row."""
        return {name: constant(word, rows) for name, word in self._asdict().items()}


class ExperimentKey(NamedTuple):
    """An experiment: its name, for people, and its id, which no other has."""

    name: str
    id: str

    def run(self, run_id: str) -> RunKey:
        """The key of one of its runs."""
        return RunKey(self.name, run_id, self.id)


NO_EXPERIMENT = ExperimentKey("", "")


def without_key(name: str) -> pa.Schema:
    """The schema of a table of one run whose key is not known yet."""
    return pa.schema([column for column in SCHEMAS[name] if column.name not in RunKey._fields])


def make(schema: pa.Schema, columns: Mapping[str, ColumnValues]) -> pa.Table:
    """A table of ``schema`` from columns. Raises ValueError where a column is missing, extra or null."""
    if set(columns) != set(schema.names):
        raise ValueError(f"columns {sorted(columns)} do not fit the schema's {sorted(schema.names)}")
    arrays = [_array(columns[name], schema.field(name).type) for name in schema.names]
    table = pa.Table.from_arrays(arrays, schema=schema)
    check(table, schema)
    return table


def _array(values: ColumnValues, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values.cast(kind)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # a file's name in it is not text
        return pa.array([encodable(one) if isinstance(one, str) else one for one in values], kind)


def check(table: pa.Table, schema: pa.Schema) -> None:
    """Raise ValueError unless ``table`` has exactly this schema and no null where none may be."""
    if not table.schema.equals(schema):
        raise ValueError(f"table schema {table.schema} is not {schema}")
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"column {field.name} holds nulls")


def write(table: pa.Table, path: Path) -> None:
    """Write a table to Parquet, atomically. Raises OSError."""
    with output.replacing(path) as temporary, temporary.open("wb") as file:  # pyarrow takes no path that is not UTF-8
        pq.write_table(table, file, compression="zstd")


def concatenate(files: Sequence[Path], path: Path) -> None:
    """Write the rows of several Parquet files of one schema to one, streamed, atomically. Raises OSError."""
    with output.replacing(path) as temporary:
        if len(files) == 1:
            shutil.copyfile(files[0], temporary)
            return
        schema = pq.read_schema(files[0])
        with temporary.open("wb") as out, pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for file in files:
                for batch in pq.ParquetFile(file).iter_batches(1 << 17):
                    writer.write_batch(batch)
