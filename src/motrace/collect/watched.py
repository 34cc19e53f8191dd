"""A thread of another process, as /proc shows it."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from ..readers.syscalls import GIL, NAMES_ITS_FILE
from ..record.wordlog import GIL_BEGIN, GIL_END, HEADER_WORDS
from ..vocabulary import FUTEX_CALLS

RUNNING = b"running\n"
MAX_STATES = 60_000  # a program that opens ever new files: beyond this they are not distinguished


class WatchedThread:
    """One thread: its files, and the state that it is in since ``first_ns``."""

    __slots__ = (
        *("index", "pid", "tid", "folder", "syscall", "wchan"),
        *("raw", "state", "first_ns", "last_ns", "samples", "moved"),
    )

    def __init__(self, index: int, pid: int, tid: int) -> None:
        """Raises OSError where it has ended or can't be looked at."""
        self.index, self.pid, self.tid = index, pid, tid
        self.folder = f"/proc/{pid}/task/{tid}/"
        self.wchan = os.open(self.folder + "wchan", os.O_RDONLY)
        try:
            self.syscall = self._open_syscall()
        except OSError:
            os.close(self.wchan)
            raise
        self.raw = b""
        self.state = -1
        self.first_ns = self.last_ns = self.samples = 0
        self.moved = True

    def _open_syscall(self) -> int:
        try:
            return os.open(self.folder + "syscall", os.O_RDONLY)
        except PermissionError:  # another user's: the state letter is open to everyone
            return os.open(self.folder + "stat", os.O_RDONLY)

    def fall_back(self) -> None:
        """The system call may not be read (Yama): read the state letter from now on. Raises OSError if it has ended."""
        fd = os.open(self.folder + "stat", os.O_RDONLY)
        os.dup2(fd, self.syscall)
        os.close(fd)

    def close(self) -> None:
        """It has ended: close its files."""
        os.close(self.syscall)
        os.close(self.wchan)
        self.syscall = -1

    def waits_in(self) -> str:
        """The kernel function that it sleeps in, "" where that is not known."""
        try:
            name = os.pread(self.wchan, 64, 0).decode(errors="replace")
        except OSError:  # it ended just now
            return ""
        return "" if name == "0" else name

    def read(self, name: str) -> bytes:
        """What another of its files says, b"" where it doesn't."""
        try:
            fd = os.open(self.folder + name, os.O_RDONLY)
            try:
                return os.read(fd, 512)
            finally:
                os.close(fd)
        except OSError:
            return b""


class SeenStates:
    """Numbers for the states that were seen: (letter, kernel function, system call, file that the call is about)."""

    def __init__(self) -> None:
        self.files: dict[tuple[int, str], str] = {}
        self.gil: dict[int, tuple[int, int]] = {}  # where the interpreter's lock lies, by process
        self._futex = FUTEX_CALLS.get(os.uname().machine, ())
        self._numbers: dict[tuple[str, ...], int] = {}
        self._new: list[tuple[int | str, ...]] = []

    def take_new(self) -> list[tuple[int | str, ...]]:
        """The states that were not taken yet, each with its number in front."""
        new, self._new = self._new, []
        return new

    def of(self, thread: WatchedThread, raw: bytes) -> int:
        """The number of a state: (letter, wchan, system call, file that the call is about)."""
        if raw == RUNNING:
            return self._number(("R", "", "", ""))
        wchan = thread.waits_in()
        words = raw.decode(errors="replace").split()
        letter, call, file = "S", "", ""
        if raw.count(b")"):  # stat, because the system call can't be read
            letter = state_letter(raw)
        else:
            call = words[0] if words else ""
            if call in self._futex:
                begin, end = self.gil.get(thread.pid, (0, 0))
                file = GIL if begin <= int(words[1], 16) < end else ""
            elif call in NAMES_ITS_FILE and len(words) > 1:
                file = self._file(thread.pid, words[1])
            if not wchan:  # not known: stopped, a zombie, just woken, or not permitted
                letter = state_letter(thread.read("stat"))
        return self._number((letter, "" if letter == "R" else wchan, call, file))

    def _number(self, state: tuple[str, ...]) -> int:
        if len(self._numbers) >= MAX_STATES and state not in self._numbers:
            state = (*state[:3], "")
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._numbers)
            self._new.append((number, *state))
        return number

    def _file(self, pid: int, argument: str) -> str:
        """The file behind a descriptor, without the number of a pipe or socket."""
        file = self.files.get((pid, argument))
        if file is None:
            try:
                file = os.readlink(f"/proc/{pid}/fd/{int(argument, 16)}").split(":[")[0]
            except (OSError, ValueError):
                file = ""
            self.files[pid, argument] = file
        return file


def gil_of(pid: int, folder: Path) -> tuple[int, int] | None:
    """Where the interpreter's lock of a process lies, as its recorder wrote it into a run's folder; None if not yet."""
    for path in sorted(folder.glob(f"cpu-{pid}*.bin"), reverse=True):
        try:
            with path.open("rb") as file:
                words = struct.unpack(f"<{HEADER_WORDS}q", file.read(8 * HEADER_WORDS))
        except (OSError, struct.error):  # it is being made
            return None
        if words[GIL_BEGIN]:
            return words[GIL_BEGIN], words[GIL_END]
    return None


def state_letter(stat: bytes) -> str:
    """The state letter in a stat line; X where there is none."""
    return stat.rpartition(b")")[2].strip()[:1].decode() or "X"


def words_of(path: str) -> list[str]:
    """The words of a file, none where it can't be read."""
    try:
        with open(path) as file:
            return file.read().split()
    except OSError:  # the thread has ended, or this kernel lists no children
        return []
