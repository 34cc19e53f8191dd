"""What is needed to look into a recording made with the real nsys; skips where there is none."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from motrace.collect.nsys import Nsys, find_nsys
from motrace.collect.nsys_pass import PROCESSORS
from motrace.readers.run import load_run
from motrace.record.spans import KIND_SEGMENT, NAME_ID_MASK, WHAT


def installed() -> Nsys:
    """The nsys of this machine."""
    nsys = find_nsys()
    if nsys is None:
        pytest.skip("no Nsight Systems here: make nsys")
    if not Path(PROCESSORS).is_dir():
        pytest.skip(f"no {PROCESSORS} here, without which nsys records nothing that can be imported")
    return nsys


def rows(export: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query on an exported SQLite file gives."""
    with contextlib.closing(sqlite3.connect(f"{export.as_uri()}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def tables(export: Path) -> set[str]:
    """The names of the tables of an export."""
    return {name for (name,) in rows(export, "SELECT name FROM sqlite_master WHERE type = 'table'")}


NAMED = """
    SELECT eventType, coalesce(text, (SELECT value FROM StringIds WHERE id = textId)), int64Value, domainId,
           (globalTid >> 24) & 0xFFFFFF AS pid
    FROM NVTX_EVENTS
"""


def ours(export: Path, pid: int, event_type: int) -> list[tuple[str, int | None]]:
    """Name and payload of the NVTX events of one type in the domain ``motrace`` of a process."""
    found = rows(export, NAMED)
    domains = {domain for kind, name, _, domain, of in found if kind == 75 and name == "motrace" and of == pid}
    return [
        (name, payload)
        for kind, name, payload, domain, of in found
        if kind == event_type and of == pid and domain in domains
    ]


def emitted(run_dir: Path) -> int:
    """Spans and frames in the logs of a run: each is one NVTX range."""
    logs = load_run(run_dir).span_logs
    return sum(int(((log.records[:, WHAT] & ~NAME_ID_MASK) < KIND_SEGMENT).sum()) for log in logs)


def processes(word: str, scratch: Path) -> dict[int, str]:
    """Processes that keep their files in ``scratch`` and whose command line holds a word.

    Those that have ended but were not waited for have none.
    """
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                ours = b"TMPDIR=" + os.fsencode(scratch) in Path(f"/proc/{name}/environ").read_bytes()
            except OSError:
                continue
            if word in line and ours:
                found[int(name)] = line
    return found
