"""The processes of one ``nsys profile``, found by its session's unique name; waits for them, ends those that hang.

nsys runs as a command line tool, which starts the program, and an agent (a process of its own, no
child of anything), which collects. At the end the agent can hang for ever: seen with perf events on,
where a thread of its spins in epoll_wait on the perf events of processes that have ended (EPOLLHUP),
and the tool waits for it. Nothing but killing ends it, and the report is lost then.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

POLL_S = 0.1
LINGER_S = 5.0
"""What the agent may take to end after the tool, and the tool after an agent that was killed."""
SPIN_S = 4.0
"""The agent hangs if a thread of it has wanted a core all this while, and nothing came of it."""
BUSY_CPU_S = 0.5
"""The tool works (it imports the report) if it used so much CPU time since the last look."""


class Session:
    """The session called ``name``, whose stream of events grows below ``folders``."""

    def __init__(self, name: str, folders: tuple[Path, ...]) -> None:
        self._name = name
        self._folders = folders
        self._tools: dict[int, int] = {}  # pid -> pidfd
        self._agents: dict[int, int] = {}
        self._helpers: dict[int, int] = {}
        self.spun = False

    def look(self) -> None:
        """Take note of the processes that are there now."""
        name = os.fsencode(self._name)
        for pid in _pids():
            words = words_of(pid)
            if b"--session-new=" + name in words:
                _hold(pid, self._tools)
            elif b"--session-name=" + name in words:
                _hold(pid, self._agents)
        for pid in _descendants(set(self._tools)):
            words = words_of(pid)
            if words and os.path.basename(words[0]).startswith(b"nsys-"):  # nsys-launcher, nsys-tee
                _hold(pid, self._helpers)

    def end(self, patience_s: float) -> bool:
        """Wait for the session's end; returns False if it showed no progress for ``patience_s`` and was killed.

        An agent that spins gets ``SPIN_S`` only: ``spun`` is True then.
        """
        self.look()
        ended = self._wait(self._tools, patience_s)
        if ended:
            self._wait(self._agents, LINGER_S)
        else:
            _kill(self._agents)  # the tool then gives up by itself
            self._wait(self._tools, LINGER_S)
        self.kill()
        return ended

    def kill(self) -> None:
        """Kill what is left of it, and forget it."""
        self.look()
        for held in (self._agents, self._tools, self._helpers):
            _kill(held)
            for descriptor in held.values():
                os.close(descriptor)
            held.clear()

    def _wait(self, held: dict[int, int], patience_s: float) -> bool:
        """Wait until these processes have ended; False if nothing moved for ``patience_s``, or the agent spins."""
        written, cpu_s, moved, wanted = self._written(), self._cpu_s(), time.monotonic(), self._wanted_ns()
        while _alive(held):
            time.sleep(POLL_S)
            now = self._written(), self._cpu_s()
            if now[0] != written or now[1] > cpu_s + BUSY_CPU_S:
                (written, cpu_s), moved, wanted = now, time.monotonic(), self._wanted_ns()
            still_s = time.monotonic() - moved
            if still_s > SPIN_S:
                self.spun |= any(ns - wanted.get(key, ns) > 0.9e9 * still_s for key, ns in self._wanted_ns().items())
            if self.spun or still_s > patience_s:
                return False
        return True

    def _wanted_ns(self) -> dict[tuple[int, str], int]:
        """By thread of the agent: for how long it ran, or waited for a core."""
        found: dict[tuple[int, str], int] = {}
        for pid in self._agents:
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with suppress(OSError):  # it has ended
                    running, waiting, _ = path.read_text().split()
                    found[pid, path.parent.name] = int(running) + int(waiting)
        return found

    def _written(self) -> int:
        """Bytes of the stream and the report so far."""
        total = 0
        for folder in self._folders:
            for pattern in ("*.qdstrm", "*.nsys-rep*"):
                total += sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())
        return total

    def _cpu_s(self) -> float:
        """CPU seconds of the tool and what it started (the importer); not of the agent, which may spin."""
        tools = set(self._tools)
        return sum(_cpu_s_of(pid) for pid in tools | _descendants(tools))


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def words_of(pid: int) -> list[bytes]:
    """A process's command line; empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def parent_of(pid: int) -> int:
    """The process that started this one, 0 if there is none."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat after the name; empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def _cpu_s_of(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _descendants(roots: set[int]) -> set[int]:
    """The processes that these started, and those that they started."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        fields = _stat(pid)
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        new = [pid for pid in children.get(waiting.pop(), []) if pid not in found]
        found.update(new)
        waiting += new
    return found


def _hold(pid: int, held: dict[int, int]) -> None:
    """Keep a descriptor of a process, so that no other is ever taken for it; its command line was read before."""
    if pid in held:
        return
    before = words_of(pid)
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    if before and words_of(pid) == before:
        held[pid] = descriptor
    else:  # it ended meanwhile
        os.close(descriptor)


def _alive(held: dict[int, int]) -> bool:
    poller = select.poll()
    for descriptor in held.values():
        poller.register(descriptor, select.POLLIN)
    return len(poller.poll(0)) < len(held)


def _kill(held: dict[int, int]) -> None:
    poller = select.poll()
    for descriptor in held.values():
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            continue
        poller.register(descriptor, select.POLLIN)
        poller.poll(LINGER_S * 1000)
        poller.unregister(descriptor)
