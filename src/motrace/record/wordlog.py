"""A growing, memory-mapped file of 64-bit words.

What is stored in ``words`` is in the page cache at once, so it survives SIGKILL of the process
(not a power cut). The file is extended by writing zeros, and mapped then: on a full disk ``grow``
returns False, where storing into a sparse file would kill the process with SIGBUS; and a page that
was written costs nothing at its first touch (0.1 us, against 2.3 us after ``posix_fallocate``).

A log never raises because of the disk. While its file can't be made, its header lies in memory and every
record is counted as dropped, with the reason (an errno), in the header of ``home``, the log of the loop thread.

Layout (int64, little-endian): a header of HEADER_WORDS, then whatever the owner appends. Unwritten
words are 0. Not thread-safe: one thread owns a log.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from contextlib import suppress

HEADER_WORDS = 32
VERSION = 1

# Header words.
MAGIC, FORMAT, PID, TID, CREATED_NS, CREATED_UTC_NS, DROPPED, FLAGS, NAME = range(9)
NAME_BYTES = 64
# Of CPU clock logs: the kernel's timer tick, how many cores there are, what one boundary costs.
TICK_NS, CORES, BOUNDARY_COST_NS = 16, 17, 18
# Of CPU clock logs: from where to where the interpreter's lock lies; 0: not known, -1: there is none.
GIL_BEGIN, GIL_END = 22, 23
# The errno of the first record in DROPPED; records of logs that have no file, and the errno of the first of those.
DROPPED_WHY, HOMELESS, HOMELESS_WHY = 19, 20, 21

MAGIC_SPANS = int.from_bytes(b"MOTRSPAN", "little")
MAGIC_CPU = int.from_bytes(b"MOTRACPU", "little")

FIRST_CHUNK_BYTES = 1 << 16
MAX_CHUNK_BYTES = 1 << 20
RETRY_NS = 100_000_000
"""A log that could not grow tries again after this long."""


def unique_path(directory: str, stem: str) -> str:
    """A path in ``directory`` that nothing uses yet: the kernel hands out thread ids again."""
    for attempt in range(10_000):
        path = os.path.join(directory, f"{stem}.bin" if not attempt else f"{stem}-{attempt}.bin")
        if not os.path.exists(path):
            return path
    raise OSError(f"no free log name for {stem} in {directory}")


def encoded(text: str) -> bytes:
    """UTF-8; what is not text (lone surrogates, from names that are not UTF-8) as backslashes and digits."""
    return text.encode("utf-8", "backslashreplace")


class WordLog:
    """An append-only log; ``words[pos]`` is the next free word."""

    __slots__ = ("path", "words", "pos", "dropped", "why", "home", "_magic", "_map", "_size", "_chunk", "_again_ns")

    def __init__(self, path: str, magic: int, pid: int, tid: int, name: str, home: WordLog | None = None) -> None:
        """Create the file; where that fails, it is tried again later. An empty ``path`` keeps nothing."""
        self.path = path
        self.home = home
        self.dropped = self.why = 0
        self._magic = magic
        self._size = self._again_ns = 0
        self._chunk = FIRST_CHUNK_BYTES
        self._map: mmap.mmap | None = None
        self.words = words = memoryview(bytearray(HEADER_WORDS * 8)).cast("q")
        self.pos = HEADER_WORDS
        words[FORMAT] = VERSION
        words[PID] = pid
        words[TID] = tid
        words[CREATED_NS] = time.monotonic_ns()
        words[CREATED_UTC_NS] = time.time_ns()
        self.put_bytes(NAME, encoded(name)[:NAME_BYTES])
        self.grow()

    def require_file(self) -> None:
        """Raise OSError where the file could not be made."""
        if self._map is None:
            raise OSError(self.why, os.strerror(self.why), self.path)

    def grow(self) -> bool:
        """Add a chunk; False where that fails (``why`` is the errno)."""
        if not self.path or (self._again_ns and time.monotonic_ns() < self._again_ns):
            return False
        new_size = self._size + self._chunk
        try:
            fd = os.open(self.path, os.O_RDWR if self._map else os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                _write_zeros(fd, self._size, new_size)
                mapped = mmap.mmap(fd, new_size)
            except (OSError, MemoryError):
                if self._map is None:
                    os.unlink(self.path)
                raise
            finally:
                os.close(fd)
        except (OSError, MemoryError) as error:
            self.why = getattr(error, "errno", None) or errno.ENOMEM
            self._again_ns = time.monotonic_ns() + RETRY_NS
            return False
        words = memoryview(mapped).cast("q")
        if self._map is None:
            words[:HEADER_WORDS] = self.words[:HEADER_WORDS]
            words[MAGIC] = self._magic
        # Another thread may be about to store into the old map (``drop``): it goes when nothing holds it.
        self._map, self.words = mapped, words
        self._size, self._again_ns = new_size, 0
        self._chunk = min(self._chunk * 2, MAX_CHUNK_BYTES)
        return True

    def fits(self, words: int) -> bool:
        """Whether ``words`` more fit, now or after growing."""
        while self.pos + words > len(self.words):
            if not self.grow():
                return False
        return True

    def room(self, words: int) -> bool:
        """As ``fits``; where they don't, a record is counted as dropped."""
        if self.fits(words):
            return True
        self.drop(self.why)
        return False

    def drop(self, why: int) -> None:
        """Count one record that could not be kept, where a reader finds it."""
        self.dropped, self.why = self.dropped + 1, why
        if self._map is not None or self.home is None:
            words, count, reason = self.words, DROPPED, DROPPED_WHY
        else:
            words, count, reason = self.home.words, HOMELESS, HOMELESS_WHY
        words[count] += 1
        words[reason] = words[reason] or why

    def put_bytes(self, index: int, data: bytes) -> None:
        """Store ``data`` from word ``index`` on, zero-padded to whole words."""
        for offset in range(0, len(data), 8):
            self.words[index + offset // 8] = int.from_bytes(
                data[offset : offset + 8].ljust(8, b"\0"), "little", signed=True
            )

    def abandon(self) -> None:
        """Let go of the file without touching it: after a fork it is the parent's."""
        self.words.release()
        if self._map is not None:
            self._map.close()

    def trim(self) -> None:
        """Give back the unused end of the file, if it is still there. Only for the owner: no thread may write later."""
        if self._map is not None:
            with suppress(OSError):
                os.truncate(self.path, min(self._size, self.pos * 8))


def _write_zeros(fd: int, start: int, end: int) -> None:
    """Fill a file from ``start`` to ``end``. Raises OSError; a short write is followed by one that says why."""
    while start < end:
        start += os.pwrite(fd, bytes(end - start), start)
