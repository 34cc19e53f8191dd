"""``python -m tests.fuzz_nsys --minutes 10``: damage small exports at random and read them.

Not collected by pytest. Whatever happens to an export, it is either refused with one line or read
with one-line warnings, and what comes out has the declared schemas. What this found is kept in
tests/readers/test_nsys_bad.py.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from motrace.dataset.tables import SCHEMAS, check
from motrace.errors import MotraceError
from motrace.readers.nsys.anonymize import scrub
from motrace.readers.nsys.export import convert, is_nsys_file, nvtx_table, open_trace
from tests.readers.exports import KEY, Export, everything

ODD = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, -1, 1, 59, 60, 75, 33, 2**31, 2**53, 2**60, 2**62, 2**63 - 1, -(2**63), 10**18]),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
)
BYTES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=8)
WORDS = ("NULL", "start", "end", "globalTid", "text", "rowid", "eventType")

EXAMPLES = 100


def same(times: Any) -> Any:
    return times


def one_line(error: MotraceError) -> None:
    assert "\n" not in str(error), str(error)


def read(path: Path, folder: Path) -> None:
    """Read an export in every way; raises if a promise is broken."""
    is_nsys_file(path)
    try:
        trace = open_trace(path, folder)
    except MotraceError as error:
        one_line(error)
        return
    out = folder / "out"
    for options in ({}, {"pids": [7], "window_ns": (100, 2000)}):
        rows = convert(trace, KEY, out, same, **options)  # type: ignore[arg-type]
        for name, count in rows.items():
            table = pq.read_table(out / f"{name}.parquet")
            check(table, SCHEMAS[name])
            table.validate(full=True)
            assert table.num_rows == count
            if "start_ns" in table.schema.names:
                start, end = (table.column(name).to_numpy() for name in ("start_ns", "end_ns"))
                assert (end >= start).all(), name
    nvtx_table(trace).validate(full=True)
    nvtx_table(trace, "train domain").validate(full=True)
    for warning in trace.warnings:
        assert "\n" not in warning and len(warning) < 1000, warning
    if path.suffix == ".sqlite":
        try:
            scrub(path, folder / "shared.sqlite", [])
        except MotraceError as error:
            one_line(error)


def damaged_bytes(form: str, cut: float, changes: list[tuple[float, bytes]]) -> None:
    """Overwrite bytes of an export's files, and cut one of them off."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = everything().write(folder / "in", form)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for place, data in changes:
            file = files[int(place * len(files))]
            size = file.stat().st_size
            with file.open("r+b") as stream:
                stream.seek(int(place * 9973 % 1 * size))
                stream.write(data)
        if cut < 0.5:
            file = files[int(cut * 2 * len(files))]
            with file.open("r+b") as stream:
                stream.truncate(int(cut * 9973 % 1 * file.stat().st_size))
        read(path, folder)


def damaged_rows(form: str, changes: list[tuple[int, int, int, Any]], dropped: list[int]) -> None:
    """Put odd values into cells; drop tables and columns."""
    export = everything()
    tables = sorted(export.tables)
    for table, row, column, value in changes:
        rows = export.tables[tables[table % len(tables)]]
        cells = rows[row % len(rows)]
        cells[sorted(cells)[column % len(cells)]] = value
    for number in dropped:
        name = tables[number % len(tables)]
        columns = sorted({column for row in export.tables.get(name, []) for column in row})
        if number % 3 == 0 or len(columns) < 2:
            export.tables.pop(name, None)
        else:
            for row in export.tables[name]:
                row.pop(columns[number % len(columns)], None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read(_written(export, folder / "in", form), folder)


def _written(export: Export, folder: Path, form: str) -> Path:
    """In formats with typed columns only values of that type fit: others are left out."""
    if form != "sqlite":
        before = everything().tables
        for table, rows in export.tables.items():
            kinds = {name: type(value) for cells in before[table] for name, value in cells.items() if value is not None}
            for cells in rows:
                for name, value in cells.items():
                    if not isinstance(value, kinds.get(name, int)):
                        cells[name] = None
    return export.write(folder, form)


def damaged_sql(statements: list[str]) -> None:
    """Views instead of tables, generated columns, tables without row ids: whatever SQLite allows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = everything().sqlite(folder / "report1.sqlite")
        with closing(sqlite3.connect(path)) as db, db:
            for statement in statements:
                try:
                    db.execute(statement)
                except sqlite3.Error:
                    continue
        read(path, folder)


TABLES = sorted(everything().tables)
TABLE, WORD = st.sampled_from(TABLES), st.sampled_from(WORDS)
STATEMENTS = st.one_of(
    st.builds("DELETE FROM {}".format, TABLE),
    st.builds("DROP TABLE {}".format, TABLE),
    st.builds("CREATE VIEW {} AS SELECT * FROM {}".format, TABLE, TABLE),
    st.builds("ALTER TABLE {} RENAME TO {}".format, TABLE, TABLE),
    st.builds("ALTER TABLE {} ADD COLUMN {} {}".format, TABLE, WORD, st.sampled_from(["TEXT", "BLOB"])),
    st.builds("UPDATE {} SET {} = {}".format, TABLE, WORD, WORD),
    st.builds("UPDATE {} SET rowid = rowid * {}".format, TABLE, st.integers(-(2**40), 2**40)),
    st.builds("INSERT INTO {0} SELECT * FROM {0}".format, TABLE),
    st.builds("CREATE TABLE {} (start INTEGER PRIMARY KEY, x) WITHOUT ROWID".format, TABLE),
)
FORMS = st.sampled_from(["sqlite", "sqlite", "parquet", "arrow", "arrowdir"])
NUMBER = st.integers(0, 10_000)
CELLS = st.lists(st.tuples(NUMBER, NUMBER, NUMBER, ODD), max_size=12)
CASES = {
    "bytes": (damaged_bytes, (FORMS, st.floats(0, 1), BYTES)),
    "rows": (damaged_rows, (FORMS, CELLS, st.lists(NUMBER, max_size=3))),
    "sql": (damaged_sql, (st.lists(STATEMENTS, min_size=1, max_size=6),)),
}


def case(function: Any, strategies: tuple[Any, ...]) -> Any:
    """A test of a hundred exports."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.tuples(*strategies))
    def test(values: Any) -> None:
        function(*values)

    return test


def main() -> int:
    """Run until the time is over; 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    done = dict.fromkeys(CASES, 0)
    number = args.seed
    print(f"seed {args.seed}", flush=True)
    while time.monotonic() < end:
        for name, (function, strategies) in CASES.items():
            number += 1
            done[name] += EXAMPLES
            seed(number)(case(function, strategies))()
    print(f"{done} exports damaged, nothing broke", flush=True)
    return 0


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    sys.exit(main())
