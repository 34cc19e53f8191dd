"""Results appear whole or not at all, and only in the folder that they are meant for. Standard library only.

A recording may come from someone else: a link in it must not lead what we write to other files. So the last part of
a path is replaced and never followed, temporary names can't be guessed, and a folder inside a recording is not a link.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject = dict[str, JsonValue]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file beside ``path``, to be written by its name; it takes the place of ``path`` at the end.

    It goes if the block raises. Raises OSError.
    """
    temporary = path.with_name(f"{path.name[:200]}.{os.urandom(8).hex()}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file; bytes of a path or a name that are not text become ``?``. Raises OSError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def folder(root: Path, *below: str) -> Path:
    """The folder ``below`` ``root``, made if it is missing. Raises OSError.

    ``root`` is what the user named, and may be a link; nothing below it may be one, or lead upwards.
    """
    root.mkdir(parents=True, exist_ok=True)
    path = root
    for name in below:
        path = path / name
        if name in ("", ".", "..") or "/" in name:
            raise OSError(errno.EINVAL, "its name leads out of its folder", str(path))
        if path.is_symlink():
            raise OSError(errno.ELOOP, f"{name} is a symbolic link, which could lead anywhere: remove it", str(path))
        path.mkdir(exist_ok=True)
    return path
