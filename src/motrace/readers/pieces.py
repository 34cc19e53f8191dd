"""A file's bytes in pieces, unzipped where it is zipped, also of a file that was cut off."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

PIECE_BYTES = 1 << 20
GZIP = b"\x1f\x8b"


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file, unzipped as far as it goes. Raises OSError."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
        file.seek(0)
        unzip = zlib.decompressobj(wbits=31)
        while raw := file.read(PIECE_BYTES):
            if not zipped:
                yield raw
                continue
            try:
                while raw:
                    yield unzip.decompress(raw, PIECE_BYTES)
                    raw = unzip.unconsumed_tail
                    if unzip.eof and unzip.unused_data.startswith(GZIP):
                        raw, unzip = unzip.unused_data, zlib.decompressobj(wbits=31)
            except zlib.error:
                return
