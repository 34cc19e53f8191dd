"""Exports as columns: a folder with a Parquet or Arrow file per table, or all Arrow streams in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from ...errors import MotraceError
from .enums import RENAMED
from .source import CHUNK_ROWS, NULL, READ_ERRORS, Batch, Query, int_array, make_batch

TABLE_NAME = b"table_name"
_FILE_MAGIC = b"ARROW1"


def _batches(query: Query, rows: pa.RecordBatch) -> Iterator[Callable[[], Batch]]:
    """A record batch in chunks, filtered and, within each chunk, sorted as the query asks."""
    for offset in range(0, rows.num_rows, CHUNK_ROWS):
        yield partial(_batch, query, rows.slice(offset, CHUNK_ROWS))


def _batch(query: Query, rows: pa.RecordBatch) -> Batch:
    wanted = query.wanted()
    rows = rows.select([name for name in rows.schema.names if name in wanted])
    rows.validate(full=True)  # a damaged mapped file has offsets that lead anywhere
    names = set(rows.schema.names)
    for name, values in query.among.items():
        if name in names and pa.types.is_integer(rows.schema.field(name).type):
            column = rows.column(rows.schema.get_field_index(name)).cast(pa.int64(), safe=False)
            rows = rows.filter(pc.is_in(column, pa.array(values, pa.int64())))
    batch = make_batch(query, rows, rows.num_rows)
    for name, several in query.first.items():
        for one in reversed([one for one in several if one in names]):
            found, damaged = int_array(rows.column(rows.schema.get_field_index(one)))
            batch.ints[name] = np.where(found == NULL, batch[name], found)
            batch.damaged += damaged
    order = [name for name in query.order if name in names]
    if order:
        places = np.lexsort([batch[name] for name in reversed(order)])
        taken = pa.array(places)
        batch.ints = {name: column[places] for name, column in batch.ints.items()}
        batch.floats = {name: column[places] for name, column in batch.floats.items()}
        batch.texts = {name: column.take(taken) for name, column in batch.texts.items()}
    return batch


def opened(path: Path) -> pa.NativeFile:
    """A file, mapped; read where its path is not UTF-8, which pyarrow takes none of. Raises OSError."""
    try:
        return pa.memory_map(str(path))
    except UnicodeEncodeError:
        return pa.PythonFile(path.open("rb"), "r")


class ParquetSource:
    """A folder with one ``TABLE.parquet`` each (``nsys export -t parquetdir``)."""

    def __init__(self, path: Path) -> None:
        """Read the files' schemas. Raises MotraceError where none can be read."""
        self.path = path
        self.tables: dict[str, tuple[str, ...]] = {}
        self.damaged: list[str] = []
        self._files: dict[str, Path] = {}
        for file in sorted(path.glob("*.parquet")):
            try:
                with opened(file) as data:
                    columns = tuple(pq.read_schema(data).names)
            except READ_ERRORS:
                self.damaged.append(file.name)
                continue
            self.tables[RENAMED.get(file.stem, file.stem)] = columns
            self._files[RENAMED.get(file.stem, file.stem)] = file
        if not self.tables:
            raise MotraceError(f"{path.name}: no table can be read in it: export the report again (-t parquetdir)")

    def parts(self, query: Query) -> Iterator[Callable[[], Batch]]:
        """Batches of a table's file, in its order."""
        wanted = query.wanted()
        columns = [name for name in self.tables[query.table] if name in wanted]
        with opened(self._files[query.table]) as data, pq.ParquetFile(data) as file:
            for rows in file.iter_batches(CHUNK_ROWS, columns=columns, use_threads=False):
                yield from _batches(query, rows)


class ArrowSource:
    """An ``.arrow`` file, which is one IPC stream after the other, or a folder with a file per table."""

    def __init__(self, path: Path) -> None:
        """Find the tables, without reading their rows. Raises MotraceError where there are none."""
        self.path = path
        self.tables: dict[str, tuple[str, ...]] = {}
        self.damaged: list[str] = []
        self._places: dict[str, list[tuple[Path, int]]] = {}
        for file in sorted(path.glob("*.arrow")) if path.is_dir() else [path]:
            try:
                self._index(file)
            except READ_ERRORS:
                self.damaged.append(file.name)
        if not self.tables:
            raise MotraceError(f"{path.name}: no table can be read in it: export the report again (-t arrow)")

    def _index(self, file: Path) -> None:
        with opened(file) as data:
            if data.read(len(_FILE_MAGIC)) == _FILE_MAGIC:
                self._add(ipc.open_file(data).schema, file, -1)
                return
            data.seek(0)
            while data.tell() < data.size():
                offset = data.tell()
                stream = ipc.open_stream(data)
                self._add(stream.schema, file, offset)
                for _ in stream:  # mapped, not read
                    pass

    def _add(self, schema: pa.Schema, file: Path, offset: int) -> None:
        name = (schema.metadata or {}).get(TABLE_NAME, b"").decode(errors="replace") or file.stem
        name = RENAMED.get(name, name)
        self.tables.setdefault(name, tuple(schema.names))
        self._places.setdefault(name, []).append((file, offset))

    def parts(self, query: Query) -> Iterator[Callable[[], Batch]]:
        """Batches of a table, in its order."""
        for file, offset in self._places[query.table]:
            with opened(file) as data:
                if offset < 0:
                    whole = ipc.open_file(data)
                    for index in range(whole.num_record_batches):
                        yield from _batches(query, whole.get_batch(index))
                    continue
                data.seek(offset)
                for rows in ipc.open_stream(data):
                    yield from _batches(query, rows)
