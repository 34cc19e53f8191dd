"""Which library started a thread: the one fact that tells nameless threads apart.

Most native threads bear the name of the program. But the C library keeps, at the very top of each
thread's stack mapping, the address of the function that the thread began with (``start_routine``
in glibc's ``struct pthread``, which lies there on x86-64). The highest word there that points into
executable code of something other than the C library is that function; the mapping it points into
names the library: ``libvulkan_lvp.so`` for Mesa's software Vulkan, ``motrixsim...so``, ``libgomp``,
``libpython``. Under Nsight Systems that function is a wrapper of the profiler's; then the frames
below it tell. Reads go through ``/proc/self/mem``, so a thread that ends meanwhile is an error
return, not a crash.
"""

from __future__ import annotations

import os
import sys
from array import array
from bisect import bisect_right

TOP_BYTES = 2048
DEEPER_BYTES = 1 << 15
"""Below a profiler's wrapper: past the thread's own data, into the frames of the function it wraps."""
_C_LIBRARY = ("libc.so", "libc-", "libpthread", "ld-linux", "ld-", "[vdso]", "[vsyscall]")
_PROFILERS = ("libToolsInjection", "libcupti")  # Nsight Systems starts every thread through a function of its own


class Mappings:
    """The memory map of this process at one moment."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._rest: list[tuple[int, bool, str]] = []  # end, executable, path
        with open("/proc/self/maps", "rb") as file:
            for line in file:
                fields = line.split(None, 5)
                start, end = fields[0].split(b"-")
                self._starts.append(int(start, 16))
                path = os.fsdecode(fields[5].strip()) if len(fields) > 5 else ""
                self._rest.append((int(end, 16), b"x" in fields[1], path))

    def at(self, address: int) -> tuple[int, bool, str] | None:
        """End, executable flag and path of the mapping around an address."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._rest[index][0]:
            return None
        return self._rest[index]


def start_libraries(tids: list[int]) -> dict[int, str]:
    """File names of the libraries that started these threads; a thread whose library is not known is left out."""
    if sys.byteorder != "little" or not tids:
        return {}
    found: dict[int, str] = {}
    try:
        mappings = Mappings()
        memory = os.open("/proc/self/mem", os.O_RDONLY)
    except OSError:
        return {}
    try:
        for tid in tids:
            library = _start_library(tid, mappings, memory)
            if library:
                found[tid] = library
    finally:
        os.close(memory)
    return found


def _start_library(tid: int, mappings: Mappings, memory: int) -> str | None:
    try:
        with open(f"/proc/self/task/{tid}/syscall", "rb") as file:
            fields = file.read().split()
        if len(fields) < 3:
            return None  # "running": the next look will show it
        stack = mappings.at(int(fields[-2], 16))
        if stack is None:
            return None
        return _highest_code(mappings, memory, stack[0])
    except (OSError, ValueError):
        return None  # it ended, or may not be looked at


def _highest_code(mappings: Mappings, memory: int, stack_end: int) -> str | None:
    """The library of the highest word of a stack that points into code, but for the C library's.

    Under a profiler's wrapper: of the highest such word below the wrapper's own frame, since what
    lies between is the thread's data.
    """
    for size, done in ((TOP_BYTES, 0), (DEEPER_BYTES, TOP_BYTES)):
        wrapped, in_frames = False, not done
        top = array("Q", os.pread(memory, size - done, stack_end - size))
        for word in reversed(top):
            code = mappings.at(word)
            if code is None or not code[1]:
                continue
            name = os.path.basename(code[2])
            if name.startswith(_PROFILERS):
                wrapped = in_frames = True
                if not done:
                    break
            elif in_frames and name and not name.startswith(_C_LIBRARY):
                return name
        if not wrapped:
            return None
    return None
