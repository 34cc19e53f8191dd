"""All tables of one or many experiments: what readers and attribution hand to findings, reports, notebooks and SQL."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import MotraceError, command
from . import tables
from .tables import EVENT_TABLES, SCHEMAS, SPARSE_TABLES, RunKey


@dataclass(frozen=True)
class Dataset:
    """Tables by name; ``events`` are the files of each event table, which may be larger than memory."""

    tables: Mapping[str, pa.Table] = field(repr=False)
    events: Mapping[str, tuple[Path, ...]] = field(default_factory=dict, repr=False)

    @property
    def runs(self) -> list[RunKey]:
        """The runs that it holds."""
        return [RunKey(**row) for row in self.table("runs").select(list(RunKey._fields)).to_pylist()]

    def table(self, name: str) -> pa.Table:
        """A whole table, also an event table; empty where there is none. Raises MotraceError for any other name."""
        if name not in SCHEMAS:
            raise MotraceError(f"there is no table {name!r}; choose from {', '.join(sorted(SCHEMAS))}")
        return self.tables[name] if name in self.tables else _read(name, self.events.get(name, ()))

    @classmethod
    def joined(cls, parts: Iterable[Dataset]) -> Dataset:
        """Several, one below the other. Raises ValueError as ``check``."""
        parts = list(parts)
        made = {
            name: _stacked(name, [part.tables[name] for part in parts if name in part.tables])
            for name in SCHEMAS
            if name not in EVENT_TABLES
        }
        files = {name: tuple(file for part in parts for file in part.events.get(name, ())) for name in EVENT_TABLES}
        return cls(made, {name: found for name, found in files.items() if found})

    @classmethod
    def read(cls, path: str | Path) -> Dataset:
        """The results of analyses at or below a folder, or where a glob matches.

        Raises MotraceError where there are none, or two of one recording.
        """
        roots = [Path(found) for found in glob.glob(str(path), recursive=True)]
        files = [file for root in roots for file in ([root] if root.is_file() else root.rglob("*.parquet"))]
        folders = sorted({file.parent for file in files if file.stem in SCHEMAS})
        if not folders:
            raise MotraceError(f"{path}: holds no analysis; make one with `{command('analyze')}`")
        parts = {folder: _of_folder(folder) for folder in folders}
        places: dict[tuple[str, str], Path] = {}
        for folder, key in ((folder, key) for folder, part in parts.items() for key in _keys(part)):
            other = places.setdefault((key.experiment_id, key.run), folder)
            if other != folder:
                raise MotraceError(
                    f"{other} and {folder} both hold run {key.run} of the experiment {key.experiment} "
                    f"({key.experiment_id}): remove one of them, or read one folder alone"
                )
        return cls.joined(parts.values())

    def write(self, folder: Path) -> None:
        """Write every table that has rows, or that a run must have; older results go. Raises OSError."""
        for name in SCHEMAS:
            (folder / f"{name}.parquet").unlink(missing_ok=True)
        for name, table in sorted(self.tables.items()):
            if table.num_rows or (self.runs and name not in SPARSE_TABLES):
                tables.write(table, folder / f"{name}.parquet")
        for name, files in sorted(self.events.items()):
            tables.concatenate(files, folder / f"{name}.parquet")


def _of_folder(folder: Path) -> Dataset:
    there = {name: path for name in SCHEMAS if (path := folder / f"{name}.parquet").exists()}
    return Dataset(
        {name: _read(name, [path]) for name, path in there.items() if name not in EVENT_TABLES},
        {name: (path,) for name, path in there.items() if name in EVENT_TABLES and _checked(name, path)},
    )


def _keys(part: Dataset) -> Iterator[RunKey]:
    """The keys of its runs; without one, of the profile that belongs to none."""
    yield from part.runs
    for file in () if part.runs else (file for files in part.events.values() for file in files):
        rows = pq.read_table(file, columns=list(RunKey._fields)).slice(0, 1)
        yield from (RunKey(**row) for row in rows.to_pylist())


def _checked(name: str, path: Path) -> pq.ParquetFile:
    file = pq.ParquetFile(path)
    if not file.schema_arrow.equals(SCHEMAS[name]):
        raise MotraceError(f"{path}: written by another version of motrace; analyse its recording again")
    return file


def _read(name: str, files: Iterable[Path]) -> pa.Table:
    return _stacked(name, [_checked(name, path).read() for path in files])


def _stacked(name: str, parts: Sequence[pa.Table]) -> pa.Table:
    whole = pa.concat_tables([SCHEMAS[name].empty_table(), *parts]).unify_dictionaries()
    tables.check(whole, SCHEMAS[name])
    return whole


def told_apart(names: Iterable[str]) -> list[str]:
    """Names of which each is different: of equal ones the second is ``NAME-2``, and so on."""
    out: list[str] = []
    for name in names:
        number, free = 1, name
        while free in out:
            number += 1
            free = f"{name}-{number}"
        out.append(free)
    return out
