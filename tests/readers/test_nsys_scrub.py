"""A scrubbed export holds nothing of the machine, not even in freed pages, and reads as before."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from motrace.errors import MotraceError
from motrace.readers.nsys.anonymize import REMOVED, cleaner, scrub
from motrace.readers.nsys.export import convert, open_trace

from . import recorded
from .exports import KEY, Export, everything, gid
from .test_nsys import fixture, same

SECRET = "hunter2-TOKEN-9f8e7d"
PROJECT = Path("/home/ada/project")


def with_secrets() -> Export:
    export = everything()
    environment = f"USER=ada\nHOME=/home/ada\nHOSTNAME=enigma\nAPI_KEY={SECRET}\nTERM=xterm"
    export.add("META_DATA_EXPORT", name="EXPORT_HOST", value="enigma")
    export.add("META_DATA_EXPORT", name="EXPORT_USER", value="ada")
    export.add("META_DATA_EXPORT", name="EXPORT_INPUT_PATH_ABS", value="/home/ada/report1.nsys-rep")
    export.add("META_DATA_CAPTURE", name="PROCESS_0:ARGUMENT_1", value="--password=letmein")
    export.add("META_DATA_CAPTURE", name="PROCESS_0:ENVIRONMENT_VARIABLE_1", value=f"API_KEY={SECRET}")
    export.add("TARGET_INFO_SYSTEM_ENV", name="DeviceEnvironment", value=environment)
    export.add("TARGET_INFO_SYSTEM_ENV", name="CpuCores", value="8")
    export.add(
        "ProcessStreams", globalPid=gid(7), filenameId=export.id("/tmp/s/stdout.log"), contentId=export.id(environment)
    )
    export.add("OSRT_FILE_ACCESS_DESCRIPTORS", path="/home/ada/secret.txt")
    export.add("PROCESSES", globalPid=gid(99), pid=99, name="keylogger")
    export.add("DIAGNOSTIC_EVENT", timestamp=1, severity=2, text=f"see /home/ada/x/log.txt on enigma with {SECRET}")
    export.add("ThreadNames", nameId=export.id("lurker"), priority=1, globalTid=gid(99, 99))
    export.range(1, 2, f"load {PROJECT}/data/a.bin and /home/ada/b.bin at 3 GB/s")
    export.range(3, 4, f"ask enigma with {SECRET}")
    return export


def forbidden(path: Path, words: list[str]) -> list[str]:
    """Which of the words are in the file's bytes; short ones may be parts of others."""
    raw = path.read_bytes()
    found = []
    for word in words:
        pattern = re.escape(word.encode())
        if re.search(rb"\b%s\b" % pattern if len(word) < 4 and word.isalnum() else pattern, raw):
            found.append(word)
    return found


def test_nothing_of_the_machine_stays(tmp_path: Path) -> None:
    source = with_secrets().sqlite(tmp_path / "report1.sqlite")
    scrub(source, tmp_path / "shared.sqlite", [PROJECT])
    words = [
        SECRET,
        "enigma",
        "ada",
        "/home",
        "letmein",
        "/tmp",
        "/usr",
        "/opt",
        "keylogger",
        "lurker",
        "xterm",
        "HOME=",
    ]
    assert forbidden(source, words) == words
    assert forbidden(tmp_path / "shared.sqlite", words) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report1.sqlite", "shared.sqlite"]


def test_the_events_stay(tmp_path: Path) -> None:
    source = with_secrets().sqlite(tmp_path / "report1.sqlite")
    scrub(source, tmp_path / "shared.sqlite", [PROJECT])
    for name in ("report1", "shared"):
        convert(open_trace(tmp_path / f"{name}.sqlite", tmp_path), KEY, tmp_path / name, same)
    for path in (tmp_path / "report1").iterdir():
        before, after = pq.read_table(path), pq.read_table(tmp_path / "shared" / path.name)
        if path.stem == "nvtx":
            texts = after.column("name").to_pylist()
            assert "load data/a.bin and b.bin at 3 GB/s" in texts
            assert f"ask {REMOVED} with {REMOVED}" in texts
            before, after = before.drop_columns(["name"]), after.drop_columns(["name"])
        assert before == after, path.name
    trace = open_trace(tmp_path / "shared.sqlite", tmp_path)
    assert trace.processes == {7: "train", 8: "other"}
    assert trace.warnings == [f"shared.sqlite: nsys warning: see log.txt on {REMOVED} with {REMOVED}"]


@pytest.mark.parametrize("name", ["h100_2gpu_1s.sqlite", "a100_saxpy.sqlite"])
def test_real_exports(tmp_path: Path, name: str) -> None:
    source = fixture(name)
    scrub(source, tmp_path / name, [])
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as db:
        query = "SELECT value FROM {} WHERE name IN ('EXPORT_HOST', 'EXPORT_USER')"
        table = "META_DATA_EXPORT" if "h100" in name else "EXPORT_META_DATA"
        people = [value for (value,) in db.execute(query.format(table))]
    assert len(people) == 2
    assert forbidden(tmp_path / name, [*people, "/home", "/root", "/opt", "/usr", "/global", "/tmp"]) == []
    rows = [convert(open_trace(path, tmp_path), KEY, tmp_path / "out", same) for path in (source, tmp_path / name)]
    assert rows[0] == rows[1]


@pytest.mark.nsys
def test_a_recording_made_here(tmp_path: Path) -> None:
    """Neither this machine's environment nor its paths; ``nsys stats`` still reads it."""
    source = recorded.export(recorded.record(tmp_path), tmp_path)
    target = tmp_path / "shared.sqlite"
    scrub(source, target, [])
    values = [value for value in recorded.ENVIRONMENT.values() if len(value) > 1]
    assert forbidden(source, values) != []
    words = [*values, "/root", "/home", "/tmp", "/usr", "PATH=", "HOME=", str(tmp_path)]
    words += [host for host in [os.uname().nodename] if len(host) > 3]  # a shorter one is in other words by chance
    assert forbidden(target, words) == []
    before, after = (recorded.run("nsys", "stats", "-q", "-r", "nvtxsum,osrtsum", "--format", "csv", "-o", "-", path)
                     for path in (source, target))  # fmt: skip
    assert before == after
    assert "step 0" in after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/usr/lib/libc.so.6", "libc.so.6"),
        ("lambda at /src/a b/foo.cu:33", "lambda at a b/foo.cu:33"),
        (r"C:\Users\ada\x.dll", "x.dll"),
        ("~/notes", "notes"),
        ("/root", "root"),
        ("3 GB/s and/or a / b", "3 GB/s and/or a / b"),
        ("aten::view, op_id = 3", "aten::view, op_id = 3"),
        ("/home/ada/project/src/x.py", "src/x.py"),
        ("secretive but not secret", f"secretive but not {REMOVED}"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert cleaner(["secret"], [str(PROJECT)])(text) == expected


def test_what_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"\0" * 4096)
    for name in ("a.sqlite", "absent.sqlite"):
        with pytest.raises(MotraceError, match=name):
            scrub(tmp_path / name, tmp_path / "b.sqlite", [])
    assert [path.name for path in tmp_path.iterdir()] == ["a.sqlite"]
