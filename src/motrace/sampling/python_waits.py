"""Which calls of Python wait, and for what. The rules are data: one table for calls in source, VizTracer and torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

IDLE = "idle"
CALLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("pacing", ("sleep", "*.sleep", "*.usleep", "*.nanosleep", "*.clock_nanosleep", "*.tick_busy_loop")),
    ("other_processes", ("subprocess.run", "subprocess.call", "subprocess.check_*", "*.communicate", "waitpid",
                         "*.waitpid", "*.waitid", "*.wait4", "os.wait*", "os.system", "posix.system")),
    ("pipe", ("read", "write", "os.read*", "os.write*", "posix.read*", "posix.write*", "os.sendfile", "*.recv",
              "*.recv_into", "*.recv_bytes", "*.recvfrom*", "*.recvmsg*", "*.sendall", "*.send_bytes", "*.accept",
              "*.stdin.write*", "*.stdin.flush", "*.stdout.read*", "*.stderr.read*", "*.stdout.readline",
              "select", "select.*", "*.epoll.poll", "*.poll.poll", "urlopen", "*.urlopen", "input",
              "builtins.input")),
    ("io", ("*.fsync", "*.fdatasync", "fsync", "_io.FileIO.*", "FileIO.*", "_io.Buffered*.flush")),
    (IDLE, ("*.acquire", "*.wait", "*.join()", "join()", "*.thread.join", "*.get()", "*.result()", "*.result",
            "_queue.SimpleQueue.get", "*.SimpleQueue.get", "*.Barrier.wait", "wait", "*.lock.__enter__",
            "*.RLock.__enter__")),
)  # fmt: skip
"""By cause the calls; ``()`` behind a name: without arguments (with some it joins text or looks into a dictionary)."""
PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("pipe", ("*select (selectors.py:*", "*select (*/selectors.py:*", "*_recv (multiprocessing/connection.py:*",
              "*_send (multiprocessing/connection.py:*", "*_read (multiprocessing/connection.py:*",
              "*readinto (socket.py:*", "*accept (socket.py:*", "*_communicate (subprocess.py:*")),
    ("other_processes", ("*_try_wait (subprocess.py:*", "*wait (subprocess.py:*", "*poll (multiprocessing/popen_*")),
    (IDLE, ("*wait (threading.py:*", "*join (threading.py:*", "*_wait_for_tstate_lock (threading.py:*",
            "*acquire (threading.py:*", "*get (queue.py:*", "*wait (asyncio/*", "*get (multiprocessing/queues.py:*",
            "*__enter__ (multiprocessing/synchronize.py:*", "*_worker (concurrent/futures/thread.py:*")),
)  # fmt: skip
"""By cause the functions of Python's own library in which a thread that is there waits."""
_BUILT_IN = re.compile(
    r"<built-in (?:function|method) (\w+)(?: of (?:type object|builtin_function|([\w.]+) object).*)?>"
)


def waits_for(call: str) -> str | None:
    """The cause that a call of this name gives to time; None where it is not known to wait."""
    found = _BUILT_IN.match(call)
    if found is not None:
        call = f"{found[2]}.{found[1]}" if found[2] else found[1]
    elif " (" in call:  # a function of Python's own: what it calls counts
        return None
    return next((cause for cause, names in CALLS if any(fnmatchcase(call, name) for name in names)), None)


def any_waits(calls: Iterable[str]) -> str | None:
    """The cause that one of some calls gives, the first by the order of the table."""
    found = {waits_for(call) for call in calls}
    return next((cause for cause, _ in CALLS if cause in found), None)


def place_waits(frame: str) -> str | None:
    """The cause that a frame of Python's own library gives; None of others."""
    return next((cause for cause, names in PLACES if any(fnmatchcase(frame, name) for name in names)), None)
