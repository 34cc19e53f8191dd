"""The run folder and its manifest. Standard library only: the measured process writes it too.

    <experiment>/experiment.json        what was asked, and the runs
    <experiment>/<run>/run.json         manifest of a run
    <experiment>/<run>/spans-*.bin      span logs;  cpu-*.bin  CPU clock logs
    <experiment>/<run>/play_video.mp4   the video;  log.txt    what the process printed
    <experiment>/<run>/episodes.json    episodes of its environments (record/episodes.py); of a killed run episodes.bin
    <experiment>/<run>/instrument.json  what is measured in a program from outside (record/table.py)

A manifest has one writer at a time: the launcher before the process starts and after it ended, the
process in between. Every write goes to a temporary name first, so a reader never sees half a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypedDict, cast

from . import output, redaction
from .errors import MotraceError
from .output import JsonObject as JsonObject
from .output import JsonValue as JsonValue

SCHEMA_VERSION = "1.0"
EXPERIMENT_FILE = "experiment.json"
ID_BYTES = 6
"""Of an experiment's id, which is their hex digits."""
RUN_FILE = "run.json"
ANALYSIS_DIR = "analysis"
VIDEO_FILE = "play_video.mp4"
LOG_FILE = "log.txt"
INSTRUMENT_FILE = "instrument.json"
EPISODES_FILE = "episodes.json"
CHECKPOINT_FILE = "policy.pt"

RUNNING, COMPLETED, INTERRUPTED, CRASHED = "running", "completed", "interrupted", "crashed"


class Manifest(TypedDict, total=False):
    """Fields of run.json that those who write it read again."""

    run_id: str
    mode: str
    status: str
    status_reason: str | None
    process: dict[str, int]
    nvtx: dict[str, bool]
    options: JsonObject
    workload: JsonObject | None
    resources: dict[str, int]
    instrument: dict[str, list[str]]


def new_id() -> str:
    """The id of a new experiment."""
    return os.urandom(ID_BYTES).hex()


def write_json(path: Path, data: Mapping[str, JsonValue]) -> None:
    """Write ``data`` atomically. Raises OSError."""
    output.write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_manifest(path: Path, data: Mapping[str, JsonValue]) -> None:
    """Write experiment.json, run.json or sweep.json: ``data`` without the values of credentials. Raises OSError."""
    write_json(path, redaction.redacted(data))


def read_json(path: Path) -> JsonObject:
    """Read a JSON object. Raises MotraceError where there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MotraceError(f"{path} can't be read ({error}): restore it or remove its folder") from error
    if not isinstance(data, dict):
        raise MotraceError(f"{path} does not hold a JSON object: restore it or remove its folder")
    return data


def read_manifest(run_dir: Path) -> Manifest:
    """Read a run's manifest. Raises MotraceError."""
    return cast(Manifest, read_json(run_dir / RUN_FILE))


def update_run(run_dir: Path, **fields: JsonValue) -> JsonObject:
    """Set fields of a run's manifest; a dict is merged into a dict that is there already."""
    path = run_dir / RUN_FILE
    new: JsonObject = {"schema_version": SCHEMA_VERSION, "run_id": run_dir.name}
    manifest = read_json(path) if path.exists() else new
    for key, value in fields.items():
        before = manifest.get(key)
        manifest[key] = {**before, **value} if isinstance(value, Mapping) and isinstance(before, Mapping) else value
    write_manifest(path, manifest)
    return manifest


def new_run_dir(parent: Path) -> Path:
    """Make the next numbered folder of a run below ``parent``, made too if it is missing. Raises OSError.

    Of several processes that ask at once each gets one of its own.
    """
    parent.mkdir(parents=True, exist_ok=True)
    number = max((int(entry.name) for entry in parent.iterdir() if is_numbered(entry)), default=0)
    while True:
        number += 1
        made = parent / f"{number:02d}"
        with suppress(FileExistsError):
            made.mkdir()
            return made


def is_numbered(run_dir: Path) -> bool:
    """Whether a folder is named as ``new_run_dir`` names runs."""
    return run_dir.name.isascii() and run_dir.name.isdigit()


def remove_run_dir(run_dir: Path) -> None:
    """Remove a run's folder in which nothing could be recorded, as far as it can be removed."""
    with suppress(OSError):
        for file in run_dir.iterdir():
            file.unlink()
        run_dir.rmdir()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    import hashlib  # takes 10 ms to load, and the measured process does not need it

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def artifacts(run_dir: Path) -> list[JsonObject]:
    """Every file of a run but its manifest: path, bytes, sha256, sorted by path."""
    files = sorted(path for path in run_dir.rglob("*") if path.is_file() and path.name != RUN_FILE)
    return [
        {"path": str(path.relative_to(run_dir)), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in files
        if ".tmp" not in path.suffixes
    ]


def is_run(names: Collection[str]) -> bool:
    """Whether a folder with files of these names is a run's: it has a manifest or span logs."""
    return RUN_FILE in names or any(name.startswith("spans-") and name.endswith(".bin") for name in names)


def still_records(pid: int, run_dir: Path) -> bool:
    """Whether a process with this id runs and has a log of the run mapped.

    Another process may have its id by now; the same one may have replaced itself (exec) or begun another run.
    """
    try:
        mapped = Path(f"/proc/{pid}/maps").read_bytes()
    except PermissionError:
        return process_alive(pid)
    except OSError:
        return False
    return os.fsencode(run_dir.resolve() / "spans-") in mapped


def process_alive(pid: int) -> bool:
    """Whether a process with this id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
