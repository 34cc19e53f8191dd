"""What an experiment is called, and its id: two of one name are never mixed, wherever they were analysed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .. import run_folder
from ..dataset.facts import ExperimentManifest
from ..dataset.tables import ExperimentKey
from ..escape import encodable
from .discover import homes
from .registry import NSYS
from .source import Head

BLOCK, BLOCKS = 1 << 16, 16
"""A file is known by its size and so many blocks spread over it; a small one by all that it holds."""


def name_of(home: Path) -> str:
    """What a folder or file is called: a trace of Nsight Systems without its suffix."""
    resolved = home.resolve()
    return encodable(resolved.stem if resolved.is_file() and NSYS.recognise(Head(resolved)) else resolved.name)


def experiment_key(home: Path, manifest: ExperimentManifest) -> ExperimentKey:
    """The name and the id in experiment.json; else its folder's name, and a digest of what was recorded first.

    Only a copy has the same. Raises OSError.
    """
    name = encodable(manifest.experiment or "") or name_of(home)
    if manifest.experiment_id:
        return ExperimentKey(name, manifest.experiment_id)
    digest = hashlib.blake2b(digest_size=run_folder.ID_BYTES)
    for block in _of_file(home) if _is_file(home) else _of_first_run(home):
        digest.update(block)
    return ExperimentKey(name, digest.hexdigest())


def _is_file(home: Path) -> bool:
    """Whether it is what a profiler wrote, which may be a folder of tables."""
    return home.is_file() or NSYS.recognise(Head(home))


def _of_first_run(home: Path) -> Iterator[bytes]:
    logs = sorted(home.rglob("spans-*.bin"))
    runs = homes(home, [log.parent for log in logs]).get(home, [])
    for log in (log for log in logs if log.parent in runs):
        with suppress(OSError), log.open("rb") as file:
            yield file.read(BLOCK)
            return


def _of_file(path: Path) -> Iterator[bytes]:
    for part in sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]:
        size = part.stat().st_size
        yield str(size).encode()
        with part.open("rb") as file:
            for number in range(BLOCKS):
                file.seek(max(number * BLOCK, number * (size - BLOCK) // (BLOCKS - 1)))
                yield file.read(BLOCK)
