"""What is wrong with an export costs one warning, or one line; the rest is read."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from motrace.errors import MotraceError
from motrace.readers.nsys.export import convert, nvtx_table, open_trace

from .exports import KEY, Export, everything, gid
from .test_nsys import same


def read(path: Path, scratch: Path) -> tuple[dict[str, int], list[str]]:
    """Rows by table and warnings, each of which is one line that names the file."""
    trace = open_trace(path, scratch)
    rows = convert(trace, KEY, scratch / "out", same)
    for warning in trace.warnings:
        assert warning.startswith(path.name) and "\n" not in warning
    return rows, trace.warnings


def refused(path: Path, scratch: Path) -> str:
    """The line with which a file is refused."""
    with pytest.raises(MotraceError) as caught:
        open_trace(path, scratch)
    text = str(caught.value)
    assert text.startswith(path.name) and "\n" not in text
    return text


def large(path: Path, rows: int = 20_000) -> Path:
    """An export with many calls, so that it has many pages."""
    export = everything()
    export.sqlite(path)
    with closing(sqlite3.connect(path)) as db, db:
        values = [(10 + i, 11 + i, 27, gid(7, 70), export.id("futex")) for i in range(rows)]
        columns = "start, end, eventClass, globalTid, nameId"
        db.executemany(f"INSERT INTO OSRT_API ({columns}) VALUES (?, ?, ?, ?, ?)", values)
    return path


def test_cut_off(tmp_path: Path) -> None:
    path = large(tmp_path / "a.sqlite")
    whole, _ = read(path, tmp_path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)
    rows, warnings = read(path, tmp_path)
    assert {name: number for name, number in rows.items() if name != "api_calls"} == {
        name: number for name, number in whole.items() if name != "api_calls"
    }
    assert any("OSRT_API is damaged" in text for text in warnings)
    assert "a.sqlite: a.sqlite is damaged" in warnings


def test_cut_off_at_its_start(tmp_path: Path) -> None:
    path = large(tmp_path / "a.sqlite", 10)
    with path.open("r+b") as file:
        file.truncate(100)
    assert "export it again" in refused(path, tmp_path)


def test_header_of_zeros(tmp_path: Path) -> None:
    """An export that was killed: the header is written last."""
    path = large(tmp_path / "a.sqlite", 10)
    with path.open("r+b") as file:
        file.write(b"\0" * 100)
    assert "export it again" in refused(path, tmp_path)


@pytest.mark.parametrize("name", ["a.sqlite", "a.nsys-rep", "a.arrow"])
def test_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "empty" in refused(tmp_path / name, tmp_path)


@pytest.mark.parametrize("name", ["a.sqlite", "a.nsys-rep", "a.arrow"])
def test_a_folder_of_that_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    refused(tmp_path / name, tmp_path)


def test_not_there(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "a.sqlite", tmp_path)


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as db, db:
        db.execute("CREATE TABLE mine (x)")
    assert "none of its tables" in refused(tmp_path / "a.sqlite", tmp_path)


@pytest.mark.parametrize("name", ["a.arrow", "a.sqlite"])
def test_noise(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(1).bytes(10_000))
    refused(tmp_path / name, tmp_path)


def test_a_report_without_an_exporter_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "report1.nsys-rep").write_bytes(b"x")
    text = refused(tmp_path / "report1.nsys-rep", tmp_path)
    assert "`nsys export -t sqlite -o report1.sqlite report1.nsys-rep`" in text
    assert "at least as new" in text


def test_an_exporter_that_fails(tmp_path: Path) -> None:
    (tmp_path / "report1.nsys-rep").write_bytes(b"x")

    def export(report: Path, folder: Path) -> Path:
        raise MotraceError("Version number is invalid: 2025@6@1")

    with pytest.raises(MotraceError, match=r"^report1.nsys-rep: .*Version number is invalid.*nsys export -t sqlite"):
        open_trace(tmp_path / "report1.nsys-rep", tmp_path, export)


def test_an_export_that_an_older_nsys_gave_up(tmp_path: Path) -> None:
    """It leaves the tables that it had come to; the metadata come last."""
    export = everything()
    for table in ("META_DATA_EXPORT", "VULKAN_API", "CUPTI_ACTIVITY_KIND_RUNTIME"):
        del export.tables[table]
    rows, warnings = read(export.sqlite(tmp_path / "a.sqlite"), tmp_path)
    assert rows["nvtx"] == 4 and rows["gpu_ops"] == 5
    assert [text for text in warnings if "cut off" in text] == warnings


def test_no_strings(tmp_path: Path) -> None:
    export = everything()
    del export.tables["StringIds"]
    trace = open_trace(export.sqlite(tmp_path / "a.sqlite"), tmp_path)
    rows = convert(trace, KEY, tmp_path / "out", same)
    assert rows["gpu_ops"] == 5
    assert trace.warnings == ["a.sqlite: no StringIds: names are numbers"]
    names = pq.read_table(tmp_path / "out/gpu_ops.parquet").column("name").to_pylist()
    assert names[0].startswith("string#")


def test_strings_on_a_damaged_page(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    export = everything()
    for number in range(3000):
        export.id(f"string {number} " + "x" * 50)
    export.sqlite(path)
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'StringIds'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    rows, warnings = read(path, tmp_path)
    assert rows["gpu_ops"] == 5 and rows["nvtx"] == 4
    assert any("damaged" in text for text in warnings)


def test_a_damaged_page_costs_its_rows(tmp_path: Path) -> None:
    path = large(tmp_path / "a.sqlite", 400_000)
    whole, _ = read(path, tmp_path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    rows, warnings = read(path, tmp_path)
    assert 100_000 < rows["api_calls"] < whole["api_calls"]
    assert {name: number for name, number in rows.items() if name != "api_calls"} == {
        name: number for name, number in whole.items() if name != "api_calls"
    }
    assert len(warnings) == 1 and "OSRT_API is damaged" in warnings[0]


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = large(tmp_path / "a.sqlite")
    trace = open_trace(path, tmp_path)
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO OSRT_API (start, end, eventClass, globalTid, nameId) VALUES (?, ?, 27, ?, 1)",
            [(i, i + 1, gid(7, 70)) for i in range(1000)],
        )
        db.execute("CREATE TABLE LATE (x)")
    rows = convert(trace, KEY, tmp_path / "out", same)
    assert rows["api_calls"] >= 20_000
    assert trace.warnings == []


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    path = large(tmp_path / "a.sqlite", 10)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        db.execute("DELETE FROM OSRT_API")
        yield path


def test_a_file_that_is_being_written(locked: Path, tmp_path: Path) -> None:
    assert "being written" in refused(locked, tmp_path)


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    trace = open_trace(large(tmp_path / "a.sqlite", 10), tmp_path)
    (tmp_path / "a.sqlite").unlink()
    assert convert(trace, KEY, tmp_path / "out", same) == {}
    assert trace.warnings
    assert nvtx_table(trace).num_rows == 0


def test_times_that_are_none(tmp_path: Path) -> None:
    export = Export()
    export.osrt(-50, -40, "before the beginning")
    export.osrt(100, 90, "backwards")
    export.osrt(2**62, 2**62 + 5, "after the end of time")
    export.osrt(5, 2**62, "for ever")
    export.add("OSRT_API", start=None, end=None, eventClass=27, globalTid=gid(7, 70), nameId=1)
    _, warnings = read(export.sqlite(tmp_path / "a.sqlite"), tmp_path)
    table = pq.read_table(tmp_path / "out/api_calls.parquet").to_pylist()
    assert [(row["start_ns"], row["end_ns"]) for row in table] == [(-50, -40)]
    assert [text.split(": ", 2)[2] for text in warnings] == [
        "1 rows last longer than a day and are left out",
        "1 rows end before they begin and are left out",
        "2 rows have no usable time and are left out",
    ]


def test_text_where_integers_belong(tmp_path: Path) -> None:
    path = everything().sqlite(tmp_path / "a.sqlite")
    with closing(sqlite3.connect(path)) as db, db:
        base = (27, gid(7, 70), 1)
        db.execute("INSERT INTO OSRT_API VALUES ('soon', 'later', ?, ?, ?)", base)
        db.execute("INSERT INTO OSRT_API VALUES (1, 2, ?, 'nobody', ?)", (27, 1))
        db.execute("INSERT INTO OSRT_API VALUES (3, 4, ?, ?, 'name')", base[:2])
        db.execute("INSERT INTO OSRT_API VALUES (5, x'00ff', ?, ?, 1.5)", base[:2])
    _, warnings = read(path, tmp_path)
    assert sorted(warnings) == [
        "a.sqlite: OSRT_API: 1 rows have no usable time and are left out",
        "a.sqlite: OSRT_API: 6 values are not of their column's type and count as missing",
    ]
    table = pq.read_table(tmp_path / "out/api_calls.parquet").to_pylist()
    assert [(row["start_ns"], row["end_ns"], row["pid"], row["name"]) for row in table if row["start_ns"] < 10] == [
        (1, 2, 0, table[-3]["name"]),
        (3, 4, 7, ""),
        (5, 5, 7, ""),
    ]


def test_texts_of_any_size_and_bytes(tmp_path: Path) -> None:
    path = everything().sqlite(tmp_path / "a.sqlite")
    with closing(sqlite3.connect(path)) as db, db:
        for text in ("x" * 1_000_000, "null\0inside", "\N{SNOWMAN}" * 5000, b"\xff\xfe not UTF-8"):
            cast = "CAST(? AS TEXT)"
            db.execute(
                f"INSERT INTO NVTX_EVENTS (start, end, eventType, globalTid, text) VALUES (300, 301, 59, ?, {cast})",
                (gid(7, 70), text),
            )
        db.execute("INSERT INTO StringIds VALUES (5000, ?)", ("y" * 1_000_000,))
        db.execute("INSERT INTO StringIds VALUES (5001, CAST(x'fffe' AS TEXT))")
    trace = open_trace(path, tmp_path)
    names = nvtx_table(trace).filter(pc.field("start_ns") == 300).column("name")
    texts = names.to_pylist()
    assert texts[0] == "x" * 4096
    assert texts[2] == "\N{SNOWMAN}" * 4096
    assert texts[3] == "\ufffd\ufffd not UTF-8"
    assert [len(text or "") for text in trace.strings.texts(np.array([5000, 5001]))] == [4096, 2]


def test_payloads_that_are_no_numbers(tmp_path: Path) -> None:
    export = Export()
    export.range(1, 2, "nan", doubleValue=float("nan"), int64Value=None)
    export.range(3, 4, "infinite", doubleValue=float("inf"))
    export.range(5, 6, "largest", uint64Value=-1)
    path = export.sqlite(tmp_path / "a.sqlite")
    assert nvtx_table(open_trace(path, tmp_path)).column("payload").to_pylist() == [None, None, -1]


def test_ranges_that_overlap_and_pop_before_push(tmp_path: Path) -> None:
    export = Export()
    for start, end in ((0, 10), (5, 15), (5, 5), (12, 3), (0, 10)):
        export.range(start, end, "a")
    table = nvtx_table(open_trace(export.sqlite(tmp_path / "a.sqlite"), tmp_path))
    spans = list(zip(table.column("start_ns").to_pylist(), table.column("end_ns").to_pylist()))
    assert spans == [(0, 10), (5, 15), (5, 5), (0, 10)]


def test_labels_without_their_other_half(tmp_path: Path) -> None:
    export = Export()
    for start, label in ((1, None), (2, "a"), (3, "b"), (4, None)):
        row = {"globalTid": gid(7, 70), "contextId": 1, "nameId": 1, "eventClass": 66}
        export.add("VULKAN_DEBUG_API", start=start, end=start, **row, textId=export.id(label) if label else None)
    rows, warnings = read(export.sqlite(tmp_path / "a.sqlite"), tmp_path)
    assert rows == {"gpu_labels": 1}
    assert [text for text in warnings if "2 begins or ends" in text] == warnings


def test_correlations_of_any_size(tmp_path: Path) -> None:
    export = Export()
    for number in (0, 1, 2**16, 2**32, 2**45, -3, None):
        export.call(10, 20, "cudaLaunchKernel", number)
        export.kernel(30, 40, f"k{number}", number)
    read(export.sqlite(tmp_path / "a.sqlite"), tmp_path)
    table = pq.read_table(tmp_path / "out/gpu_ops.parquet").to_pylist()
    launched = {row["name"]: row["launch_ns"] for row in table}
    assert launched == {
        "k0": 10,
        "k1": 10,
        "k65536": 10,
        f"k{2**32}": 10,
        f"k{2**45}": None,
        "k-3": None,
        "kNone": None,
    }


def test_parquet_files_of_which_one_is_damaged(tmp_path: Path) -> None:
    folder = everything().write(tmp_path / "in", "parquet")
    whole, _ = read(folder, tmp_path)
    (folder / "OSRT_API.parquet").write_bytes(b"PAR1 not really")
    (folder / "NVTX_EVENTS.parquet").unlink()
    rows, warnings = read(folder, tmp_path)
    assert rows["api_calls"] == whole["api_calls"] - 2
    assert warnings == ["in: OSRT_API.parquet is damaged"]


def test_an_arrow_file_that_is_cut_off(tmp_path: Path) -> None:
    path = everything().write(tmp_path / "in", "arrow")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 3 // 4)
    rows, warnings = read(path, tmp_path)
    assert rows["nvtx"] == 4
    assert "report1.arrow: report1.arrow is damaged" in warnings


def test_a_failed_conversion_leaves_nothing(tmp_path: Path, small_disk: Path) -> None:
    path = large(tmp_path / "a.sqlite", 800_000)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE OSRT_API SET start = abs(random() % 1000000000000), end = 2000000000000")
    with pytest.raises(OSError):
        convert(open_trace(path, tmp_path), KEY, small_disk / "out", same)
    assert [file.name for file in (small_disk / "out").iterdir() if file.name.startswith("api_calls")] == []


def test_names_of_files_are_not_addresses(tmp_path: Path) -> None:
    """A path is not part of a URI as it stands."""
    name = "50% of?mode=rw#a b&c.sqlite"
    shutil.copyfile(everything().sqlite(tmp_path / "a.sqlite"), tmp_path / name)
    rows, _ = read(tmp_path / name, tmp_path)
    assert rows["nvtx"] == 4


def patched(folder: Path, file: str, old: bytes, new: bytes) -> None:
    raw = (folder / file).read_bytes()
    assert old in raw and len(old) == len(new)
    (folder / file).write_bytes(raw.replace(old, new))


def test_arrow_offsets_that_lead_astray(tmp_path: Path) -> None:
    """Found by fuzzing: the lengths of texts in a mapped file are believed by whoever reads them."""
    folder = everything().write(tmp_path / "in", "arrowdir")
    names = [len("/opt/bin/train"), len("/opt/bin/train/opt/bin/other")]
    right = np.array([0, *names], "<i4").tobytes()
    patched(folder, "PROCESSES.arrow", right, np.array([0, names[1] + 9, names[0]], "<i4").tobytes())
    trace = open_trace(folder, tmp_path)
    assert trace.processes == {}
    assert [text for text in trace.warnings if "damaged" in text] == trace.warnings != []
    assert convert(trace, KEY, tmp_path / "out", same)["gpu_ops"] == 5


def test_arrow_columns_whose_names_are_no_text(tmp_path: Path) -> None:
    """Found by fuzzing."""
    folder = everything().write(tmp_path / "in", "arrowdir")
    patched(folder, "GPU_METRICS.arrow", b"metricId", b"metric\x80d")
    rows, warnings = read(folder, tmp_path)
    assert warnings == ["in: GPU_METRICS.arrow is damaged"]
    assert "gpu_metrics" not in rows and rows["gpu_ops"] == 5
