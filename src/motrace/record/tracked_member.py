"""A thread of the process, or a child of it, as the recorder follows it."""

from __future__ import annotations

import os
from itertools import pairwise

FIRST_LOOK_NS = 100_000_000
_RUN_OTHERS = frozenset(("python", "pypy", "sh", "bash", "dash", "env", "exec"))
"""Programs whose first argument says what runs."""


def thread_clock(tid: int) -> int:
    """Clock id of the CPU time of a thread of this process (posix-timers.h: SCHED | PERTHREAD)."""
    return (~tid << 3) | 6


def process_clock(pid: int) -> int:
    """Clock id of the CPU time of any process (posix-timers.h: SCHED)."""
    return (~pid << 3) | 2


class TrackedMember:
    """A thread or a child that is being followed: CPU time used up to the last reading, name, library."""

    __slots__ = (
        "slot",
        "id",
        "clock",
        "cpu_ns",
        "name",
        "library",
        "is_child",
        "worked_ns",
        "look_again_ns",
        "_age_ns",
    )

    def __init__(self, slot: int, id: int, is_child: bool) -> None:
        self.slot = slot
        self.id = id
        self.is_child = is_child
        self.clock = process_clock(id) if is_child else thread_clock(id)
        self.cpu_ns = 0
        self.worked_ns = 0  # when it had last moved
        self.name = b""
        self.library = ""
        self.look_again_ns = 0
        self._age_ns = FIRST_LOOK_NS

    def looked(self, now: int) -> None:
        """Set the next look: after 0.1 s, then ten times later each time."""
        self.look_again_ns = now + self._age_ns
        self._age_ns *= 10

    def read_name(self) -> bytes:
        """The kernel's name of it as it is now; empty where it has ended."""
        try:
            with open(f"/proc/{self.id}/comm" if self.is_child else f"/proc/self/task/{self.id}/comm", "rb") as file:
                return file.read(16).rstrip(b"\n")
        except OSError:  # it ended between being listed and being read
            return b""

    def read_command(self) -> str:
        """What runs in a child (``command_of``); empty where that can't be read."""
        try:
            with open(f"/proc/{self.id}/cmdline", "rb") as file:
                return command_of(file.read(4096).decode(errors="replace").split("\0"))
        except OSError:
            return ""


def command_of(words: list[str]) -> str:
    """The program of a command, without paths and arguments; of an interpreter or a shell, also what that runs."""
    program = os.path.basename(words[0]) if words else ""
    if program.rstrip("0123456789.") not in _RUN_OTHERS:
        return program
    code = next((after for word, after in pairwise(words) if word in ("-c", "-m")), None)
    if code is None:
        code = next((word for word in words[1:] if not word.startswith("-")), "")
    if program.startswith("python"):
        first = (
            "multiprocessing" if "multiprocessing" in code else code if code.isprintable() and " " not in code else ""
        )
    else:
        first = code.split()[0] if code.split() else ""
    return f"{program} {os.path.basename(first)}".rstrip()
