"""Tables of the declared schemas (``schemas.py``): made, checked, written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .. import output
from .schemas import EVENT_TABLES, SCHEMAS, SPARSE_TABLES

__all__ = [
    "EVENT_TABLES", "SCHEMAS", "SPARSE_TABLES",
    "check", "concatenate", "make", "no_rows", "one_below_the_other", "write",
]  # fmt: skip


def make(schema: pa.Schema, columns: Mapping[str, Any]) -> pa.Table:
    """A table of ``schema`` from columns. Raises ValueError where a column is missing, extra or null."""
    if set(columns) != set(schema.names):
        raise ValueError(f"columns {sorted(columns)} do not fit the schema's {sorted(schema.names)}")
    arrays = [_array(columns[name], schema.field(name).type) for name in schema.names]
    table = pa.Table.from_arrays(arrays, schema=schema)
    check(table, schema)
    return table


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def check(table: pa.Table, schema: pa.Schema) -> None:
    """Raise ValueError unless ``table`` has exactly this schema and no null where none may be."""
    if not table.schema.equals(schema):
        raise ValueError(f"table schema {table.schema} is not {schema}")
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"column {field.name} holds nulls")


def write(table: pa.Table, path: Path) -> None:
    """Write a table to Parquet, atomically. Raises OSError."""
    with output.replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def concatenate(files: list[Path], path: Path) -> None:
    """Write the rows of several Parquet files of one schema to one, streamed, atomically. Raises OSError."""
    with output.replacing(path) as temporary:
        if len(files) == 1:
            shutil.copyfile(files[0], temporary)
            return
        with pq.ParquetWriter(temporary, pq.read_schema(files[0]), compression="zstd") as writer:
            for file in files:
                for batch in pq.ParquetFile(file).iter_batches(1 << 17):
                    writer.write_batch(batch)


def no_rows() -> dict[str, pa.Table]:
    """Every table that a run has, empty: for profiles that belong to no run."""
    return {name: SCHEMAS[name].empty_table() for name in SCHEMAS if name not in EVENT_TABLES}


def one_below_the_other(parts: list[dict[str, pa.Table]]) -> dict[str, pa.Table]:
    """The tables of several runs joined. Raises ValueError as ``check``."""
    joined = {name: pa.concat_tables([part[name] for part in parts]).unify_dictionaries() for name in parts[0]}
    for name, table in joined.items():
        check(table, SCHEMAS[name])
    return joined
