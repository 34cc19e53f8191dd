"""A copy of a SQLite export that can be shown to others: no environment, command line, user, host or path.

Tables are kept by name; what is not known is emptied. The copy is written afresh (VACUUM INTO), so
that it has no freed pages in which the old text stands.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from ...errors import MotraceError

REMOVED = "[removed]"
_SHORTEST_VALUE = 8
_EVENTS = (
    "NVTX_EVENTS|NVTX_PAYLOAD_\\w+|CUPTI_ACTIVITY_KIND_\\w+|CUDA_\\w+|OSRT_API|OSRT_CALLCHAINS|VULKAN_\\w+|"
    "SCHED_EVENTS|COMPOSITE_EVENTS|SAMPLING_CALLCHAINS|GPU_METRICS|TARGET_INFO_GPU_METRICS|PROFILER_OVERHEAD|"
    "FECS_EVENTS|GPU_CONTEXT_SWITCH_EVENTS|ENUM_\\w+|UnwindMethodType|StringIds|ThreadNames|PROCESSES|"
    "ANALYSIS_DETAILS|TARGET_INFO_SESSION_START_TIME|TARGET_INFO_GPU|TARGET_INFO_CUDA_\\w+|DIAGNOSTIC_EVENT|"
    "TARGET_INFO_SYSTEM_ENV|EXPORT_META_DATA|META_DATA_EXPORT|META_DATA_CAPTURE"
)
_KEPT_TABLE = re.compile(f"(?:{_EVENTS})$")
_KEPT_NAMES = {
    "EXPORT_META_DATA": "EXPORT_PRODUCT_%,EXPORT_SCHEMA_%,EXPORT_PLATFORM,EXPORT_ARCH",
    "META_DATA_EXPORT": "EXPORT_PRODUCT_%,EXPORT_SCHEMA_%,EXPORT_PLATFORM,EXPORT_ARCH",
    "META_DATA_CAPTURE": "CAPTURE_EVENT_TYPE,RATE_HZ,CUDA_GRAPH_TRACE_OPTIONS:%",
    "TARGET_INFO_SYSTEM_ENV": "CpuCores,CpuSpeedMhz,CpuArchitecture,CpuDescription,NvDriverVersion,HasDiscreteGpu",
}
"""Of tables that hold the recorder's environment, the rows that stay, as LIKE patterns."""
_IDENTIFYING = {"TARGET_INFO_GPU": ("uuid", "busLocation", "luid", "ctxswDevPath", "ctrlDevPath")}
_REFERENCES = re.compile(
    r"(nameId|textId|jsonTextId|symbol|module|demangledName|shortName|mangledName|\w*(StringId|NameId|TextId))$"
)
_PATH = re.compile(r"(?<![\w.~])~?(?:[A-Za-z]:(?=\\))?(?:[\\/][^\s\\/:*?\"'<>|,;()\[\]{}=&]+)+[\\/]?")


def scrub(source: Path, target: Path, roots: Collection[Path]) -> None:
    """Write to ``target`` a copy of the export ``source`` that can be shared.

    A path under one of ``roots`` (the project) becomes relative to it, any other its last part. Of
    processes and threads only those stay that have events. Raises MotraceError where ``source``
    can't be read, or ``target`` not be written; then nothing is left behind.
    """
    _check(source, target)
    try:
        with tempfile.TemporaryDirectory(prefix="motrace-", dir=target.parent) as scratch:
            copy, fresh = Path(scratch, "copy"), Path(scratch, "fresh")
            _duplicate(source, copy)
            with closing(sqlite3.connect(copy, isolation_level=None)) as db:
                db.text_factory = lambda raw: raw.decode(errors="replace")
                db.execute("PRAGMA journal_mode = OFF")
                _clean(db, [str(root.resolve()) for root in roots])
                db.execute("VACUUM INTO ?", (str(fresh),))
            os.replace(fresh, target)
    except (sqlite3.Error, OSError) as error:
        raise MotraceError(f"{source.name}: can't be copied without its environment: {error}") from None


def _check(source: Path, target: Path) -> None:
    """Raise MotraceError for what is wrong beforehand: in one line what is wrong and what to do."""
    if source.suffix in (".nsys-rep", ".qdstrm") or source.is_dir():
        raise MotraceError(
            f"{source.name}: not a SQLite export: make one with `nsys export -t sqlite -o OUT.sqlite REPORT.nsys-rep`"
        )
    if not source.exists():
        raise MotraceError(f"{source}: no such file")
    if not target.parent.is_dir():
        raise MotraceError(f"{target.parent}: no such folder: make it first")
    if target.is_dir():
        raise MotraceError(f"{target}: a folder: give the name of a file")
    if target.exists() and target.samefile(source):
        raise MotraceError(f"{target}: the export itself: give another name, so that the copy does not replace it")


def _duplicate(source: Path, copy: Path) -> None:
    uri = f"file:{quote(str(source.resolve()))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as db, closing(sqlite3.connect(copy)) as new:
        db.backup(new)


def _clean(db: sqlite3.Connection, roots: list[str]) -> None:
    tables = {name: _columns(db, name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    tables = {name: columns for name, columns in tables.items() if not name.startswith("sqlite_")}
    secrets = sorted(set(_secrets(db, tables)), key=lambda secret: (-len(secret), secret))
    clean = cleaner(secrets, roots)
    db.create_function("clean", 1, lambda raw: None if raw is None else clean(raw.decode(errors="replace")))
    for view, kind in db.execute("SELECT name, type FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchall():
        db.execute(f"DROP {kind} {_quoted(view)}")
    for name in tables:
        if not _KEPT_TABLE.match(name):
            db.execute(f"DELETE FROM {_quoted(name)}")
        elif name in _KEPT_NAMES:
            patterns = _KEPT_NAMES[name].split(",")
            db.execute(
                f"DELETE FROM {_quoted(name)} WHERE NOT ({' OR '.join(['name LIKE ?'] * len(patterns))})", patterns
            )
    _only_traced(db, tables)
    _only_used_strings(db, tables)
    for name, columns in tables.items():
        for column in columns:
            quoted = _quoted(column)
            if column in _IDENTIFYING.get(name, ()):
                db.execute(f"UPDATE {_quoted(name)} SET {quoted} = ''")
            db.execute(f"UPDATE {_quoted(name)} SET {quoted} = '' WHERE typeof({quoted}) = 'blob'")
            db.execute(
                f"UPDATE {_quoted(name)} SET {quoted} = clean(CAST({quoted} AS BLOB)) WHERE typeof({quoted}) = 'text'"
            )
    if "localTime" in tables.get("TARGET_INFO_SESSION_START_TIME", ()):
        db.execute("UPDATE TARGET_INFO_SESSION_START_TIME SET localTime = utcTime")  # the place in the world


def cleaner(secrets: Collection[str], roots: Collection[str]) -> Callable[[str], str]:
    """A function that takes paths and secrets out of a text. Longer secrets must come first."""
    words = [re.escape(secret) for secret in secrets]
    pattern = re.compile("|".join(rf"(?<!\w){word}(?!\w)" for word in words)) if words else None

    def shorten(match: re.Match[str]) -> str:
        path = match.group()
        for root in roots:
            if path == root or path.startswith(root + "/"):
                return path[len(root) + 1 :] or "."
        return PurePosixPath(path.replace("\\", "/")).name or path[:0]

    def clean(text: str) -> str:
        text = _PATH.sub(shorten, text)
        return pattern.sub(REMOVED, text) if pattern is not None else text

    return clean


def _secrets(db: sqlite3.Connection, tables: dict[str, list[str]]) -> Iterator[str]:
    """User and host names, and values of the environment that are long enough to mean something."""
    for table in ("EXPORT_META_DATA", "META_DATA_EXPORT", "META_DATA_CAPTURE", "TARGET_INFO_SYSTEM_ENV"):
        if not {"name", "value"} <= set(tables.get(table, ())):
            continue
        for name, value in db.execute(f"SELECT name, value FROM {table} WHERE typeof(value) = 'text'"):
            if re.search(r"HOST|USER|DISPLAY_NAME", str(name), re.IGNORECASE) and len(value) > 1:
                yield value
            if "ENV" in str(name).upper():
                yield from _values(value)
    if "StringIds" in tables:
        blocks = db.execute("SELECT value FROM StringIds WHERE instr(value, 'PATH=') OR instr(value, 'HOME=')")
        for (value,) in blocks.fetchall():
            yield from _values(str(value))


def _values(environment: str) -> Iterator[str]:
    for line in re.split(r"[\n\0]", environment):
        key, _, value = line.partition("=")
        if key.strip() in ("USER", "LOGNAME", "HOSTNAME", "USERNAME") and len(value) > 1:
            yield value.strip()
        for part in {value.strip(), *re.split(r"[:;,]", value)}:
            if len(part) >= _SHORTEST_VALUE and not part.isdigit() and "/" not in part:
                yield part


def _only_traced(db: sqlite3.Connection, tables: dict[str, list[str]]) -> None:
    """Of processes and threads, which are the whole machine's, leave those of processes with events."""
    listed = {"ThreadNames": "globalTid", "PROCESSES": "globalPid"}
    traced: set[int] = set()
    for name, columns in tables.items():
        for column in ("globalTid", "globalPid"):
            if name not in listed and column in columns:
                pids = db.execute(
                    f"SELECT DISTINCT ({column} >> 24) & 0xFFFFFF FROM {_quoted(name)} WHERE {column} <> 0"
                )
                traced.update(pid for (pid,) in pids)
    among = ",".join(map(str, sorted(traced)))
    for name, column in listed.items():
        if column in tables.get(name, ()):
            db.execute(f"DELETE FROM {name} WHERE ({column} >> 24) & 0xFFFFFF NOT IN ({among})")


def _only_used_strings(db: sqlite3.Connection, tables: dict[str, list[str]]) -> None:
    """Delete the strings that nothing refers to any more: among them are copies of the environment."""
    if not {"id", "value"} <= set(tables.get("StringIds", ())):
        return
    db.execute("CREATE TEMP TABLE used (id INTEGER PRIMARY KEY)")
    for name, columns in tables.items():
        for column in columns:
            if _REFERENCES.match(column):
                db.execute(
                    f"INSERT OR IGNORE INTO used SELECT DISTINCT {_quoted(column)} FROM {_quoted(name)} "
                    f"WHERE typeof({_quoted(column)}) = 'integer'"
                )
    db.execute("DELETE FROM StringIds WHERE id NOT IN (SELECT id FROM used)")


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({_quoted(table)})")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
