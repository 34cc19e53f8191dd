"""Facts of /proc that are asked for again and again, without giving up the GIL.

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


class ThreadCount:
    """Calling it returns how many threads a process has: the links of its ``task`` folder in /proc, less two."""

    _LINKS = (("x86_64", 16, ctypes.c_uint64), ("aarch64", 20, ctypes.c_uint32))  # st_nlink in struct stat

    def __init__(self, folder: str) -> None:
        """Raises OSError where this can't be asked: no process, an unknown machine, or a C library without fstat."""
        machine = os.uname().machine
        library = ctypes.PyDLL(None)
        links = [(offset, kind) for name, offset, kind in self._LINKS if name == machine]
        if not links or not hasattr(library, "fstat"):
            raise OSError(f"the number of threads can't be asked for on {machine}")
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._fstat = library.fstat
        self._buffer = ctypes.create_string_buffer(512)
        self._arguments = (ctypes.c_int(self._fd), ctypes.c_void_p(ctypes.addressof(self._buffer)))
        ((offset, kind),) = links
        self._links = kind.from_buffer(self._buffer, offset)

    @classmethod
    def open(cls, folder: str = "/proc/self/task") -> ThreadCount | None:
        """The count, or None where it can't be had."""
        try:
            return cls(folder)
        except OSError:
            return None

    def __call__(self) -> int:
        """The count; 0 where the process is gone."""
        return self._links.value - 2 if self._fstat(*self._arguments) == 0 else 0

    def close(self) -> None:
        """Close the folder."""
        os.close(self._fd)
