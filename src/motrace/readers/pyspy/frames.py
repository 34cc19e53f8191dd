"""Frames as py-spy writes them: without what is particular to a machine, and without process and thread."""

from __future__ import annotations

import re

StackNames = tuple[str, ...]
_PROCESS = re.compile(r'process (\d+):"')
_THREAD = re.compile(r"thread \((0x[0-9a-fA-F]+|\d+)\)(?:: (.*))?$", re.DOTALL)
ADDRESS = re.compile(r"^0x[0-9a-f]+(?= |$)")
_LIBRARY = re.compile(r"\.so(\.|$)|^\[")


def frame_text(name: str, file: str, line: int) -> str:
    """``function (module)`` as py-spy's own raw format writes it; addresses without a name become ``?``."""
    name = ADDRESS.sub("?", name)
    short = short_file(file)
    if not short:
        return name
    return f"{name} ({short}:{line})" if line else f"{name} ({short})"


def short_file(file: str) -> str:
    """A path without what is particular to a machine: from the package on, or the last part."""
    for mark in ("/site-packages/", "/dist-packages/", "/src/"):
        if mark in file and not _LIBRARY.search(file):
            return file.rpartition(mark)[2]
    found = re.search(r"/lib/python3\.\d+t?/(.+\.py)$", file)
    return found[1] if found else file.rpartition("/")[2]


def split(stack: list[str], pid: int = 0, tid: int = 0, name: str = "") -> tuple[tuple[int, int, str], StackNames]:
    """Take the frames that name processes and the thread off a stack."""
    rest = 0
    for frame in stack:
        process, thread = _PROCESS.match(frame), _THREAD.match(frame)
        if process:
            pid = int(process[1])
        elif thread:
            tid = tid_of(thread[1])
            name = thread[2] or name
        else:
            break
        rest += 1
    return (pid, tid, name), tuple(stack[rest:])


def tid_of(text: str) -> int:
    """A thread's id, or its handle in hexadecimals, as a number that an int64 holds."""
    return int(text, 16 if text.startswith("0x") else 10) & ((1 << 63) - 1)
