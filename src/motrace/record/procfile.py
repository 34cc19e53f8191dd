"""Small files of /proc that stay open and are read again and again, without giving up the GIL.

``os.pread`` gives it up, and in a threaded program getting it back can take a switch interval
(5 ms) for a read of a microsecond; ``pread`` called through ``ctypes.PyDLL`` keeps it.
"""

from __future__ import annotations

import ctypes
import os

SIZE = 512  # bytes; what lies beyond is not read


class ProcFile:
    """A file that stays open. Calling it returns its first SIZE bytes as they are now, b"" on an error."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises OSError."""
        self._fd = os.open(path, os.O_RDONLY)
        self._buffer = ctypes.create_string_buffer(SIZE + 1)
        self._pread = ctypes.PyDLL(None).pread
        self._pread.restype = ctypes.c_ssize_t
        # Made once: converting plain integers at each call would cost a third more.
        address = ctypes.c_void_p(ctypes.addressof(self._buffer))
        self._arguments = (ctypes.c_int(self._fd), address, ctypes.c_size_t(SIZE), ctypes.c_int64(0))

    @classmethod
    def open(cls, path: str) -> ProcFile | None:
        """The file, or None where this kernel has it not."""
        try:
            return cls(path)
        except OSError:
            return None

    def __call__(self) -> bytes:
        length = self._pread(*self._arguments)
        if length <= 0:
            return b""
        self._buffer[length] = b"\0"
        return self._buffer.value

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
