"""Which call launched a GPU operation: a table on disk, addressed by process and correlation id."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .source import NULL, Ints

_BITS = 16
_ENTRY = 16  # bytes: two int64
_BLOCK = _ENTRY << _BITS
_MOST_BLOCKS = 4096
_KEPT_BLOCKS = 32


class Pairs:
    """Two int64 for each (owner, id), on disk.

    Ids count up from 1 in each process, so their number is the place: no sorting, no hashing, and
    memory stays the same however many there are. Blocks of 65,536 ids are mapped one by one; once
    there are many, the pages of each are handed back after use. More than 268 million different
    ids, or ids strewn over more than 4096 blocks, are not kept: ``lost`` counts them.
    """

    def __init__(self, folder: Path) -> None:
        """An empty table in a file without a name in ``folder``. Raises OSError."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._blocks: dict[tuple[int, int], tuple[mmap.mmap, Ints]] = {}
        self.lost = 0

    def put(self, owner: Ints, id: Ints, first: Ints, second: Ints) -> None:
        """Set the values (``second`` may not be -1) of many ids; of equal ids the last one stays."""
        for block, chosen in self._by_block(owner, id, make=True):
            places = id[chosen] & ((1 << _BITS) - 1)
            block[places, 0] = first[chosen]
            block[places, 1] = second[chosen] + 1  # so that zeros, which a new file is full of, mean none

    def get(self, owner: Ints, id: Ints) -> tuple[Ints, Ints]:
        """The values of many ids; NULL where there are none."""
        first, second = np.full(len(id), NULL), np.full(len(id), NULL)
        for block, chosen in self._by_block(owner, id, make=False):
            found = block[id[chosen] & ((1 << _BITS) - 1)]
            there = found[:, 1] != 0
            first[chosen] = np.where(there, found[:, 0], NULL)
            second[chosen] = np.where(there, found[:, 1] - 1, NULL)
        return first, second

    def _by_block(self, owner: Ints, id: Ints, make: bool) -> Iterator[tuple[Ints, Ints]]:
        """The blocks that ids are in, and which of the ids are in each."""
        usable = np.flatnonzero((id >= 0) & (id < 1 << 40) & (owner >= 0) & (owner < 1 << 24))
        if not len(usable):
            return
        keys = (owner[usable] << 24) | (id[usable] >> _BITS)
        if (keys == keys[0]).all():
            groups = [(int(keys[0]), usable)]
        else:
            order = np.argsort(keys, kind="stable")
            distinct, begins = np.unique(keys[order], return_index=True)
            groups = list(zip(distinct.tolist(), np.split(usable[order], begins[1:]), strict=True))
        for key, chosen in groups:
            block = self._block((key >> 24, key & 0xFFFFFF), make)
            if block is not None:
                yield block[1], chosen
                if len(self._blocks) > _KEPT_BLOCKS:
                    block[0].madvise(mmap.MADV_DONTNEED)
            elif make:
                self.lost += len(chosen)

    def _block(self, key: tuple[int, int], make: bool) -> tuple[mmap.mmap, Ints] | None:
        block = self._blocks.get(key)
        if block is None and make and len(self._blocks) < _MOST_BLOCKS:
            offset = len(self._blocks) * _BLOCK
            self._file.truncate(offset + _BLOCK)
            mapped = mmap.mmap(self._file.fileno(), _BLOCK, offset=offset)
            block = (mapped, np.frombuffer(mapped, np.int64).reshape(-1, 2))
            self._blocks[key] = block
        return block

    def close(self) -> None:
        """Give the file back."""
        self._blocks.clear()
        self._file.close()
