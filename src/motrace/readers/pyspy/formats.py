"""The four formats that py-spy writes, whoever ran it: raw, speedscope, chrometrace, flamegraph.

Only chrometrace has times, and only of samples whose stack differs from the one before. A
speedscope file has the samples of each thread in order, each with the same nominal weight. Raw and
flamegraph only count.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...errors import MotraceError
from .json_forms import ChromeEvent, ChromePlace, Speedscope

Array = np.ndarray[Any, Any]
Stack = tuple[str, ...]

COUNTED, ORDERED, TIMED = "counted", "ordered", "timed"
_PROCESS = re.compile(r'process (\d+):"')
_THREAD = re.compile(r"thread \((0x[0-9a-fA-F]+|\d+)\)(?:: (.*))?$", re.DOTALL)
_PROFILE_NAME = re.compile(r'(?:Process (\d+) )?Thread (0x[0-9a-fA-F]+|\d+) "(.*)"$', re.DOTALL)
_TITLE = re.compile(r"<title>(.*?) \(([\d,]+) samples?, [\d.]+%\)</title><rect ([^>]*)>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w:]+)="([^"]*)"')
_ADDRESS = re.compile(r"^0x[0-9a-f]+(?= |$)")
_PYTHON = re.compile(r"(\.pyx?|<[^>]*>)(:\d+)?\)$")
_LIBRARY = re.compile(r"\.so(\.|$)|^\[")


@dataclass
class ThreadProfile:
    """Samples of one thread: ``stack`` indexes the profile's stacks; ``tid`` is 0 where it is not known.

    ``weight_s`` is the time that each stands for, in seconds; 0 in formats that only count, where
    ``count`` says how many samples a row stands for. ``t_s`` are seconds since py-spy began, NaN
    where not known.
    """

    pid: int
    tid: int
    name: str
    stack: Array
    count: Array
    weight_s: Array
    t_s: Array


@dataclass
class Profile:
    """What a file holds. ``kind``: COUNTED, ORDERED (samples in order) or TIMED."""

    kind: str
    threads: list[ThreadProfile] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)

    def has_python(self) -> Array:
        """For each stack, whether Python frames are in it.

        Those without are not the thread's own: a thread that is just being made bears, for a
        moment, the id of the thread that makes it, and py-spy counts it as a second sample of that one.
        """
        return np.array([any(not is_native(frame) for frame in stack) for stack in self.stacks], bool)

    @property
    def native(self) -> bool:
        """Whether native frames were recorded."""
        return any(is_native(frame) for stack in self.stacks for frame in stack)


def is_native(frame: str) -> bool:
    """Whether a frame, ``function (module)``, is compiled code."""
    function, _, module = frame.rpartition(" (")
    return bool(function) and not _PYTHON.search(module)


class _Builder:
    """Collects the samples of threads; stacks become numbers."""

    def __init__(self) -> None:
        self.numbers: dict[Stack, int] = {}
        self.rows: dict[tuple[int, int, str], list[tuple[int, float, float, float]]] = {}

    def add(self, who: tuple[int, int, str], stack: Stack, count: float, weight_s: float, t_s: float) -> None:
        """Append ``count`` equal samples of a thread."""
        number = self.numbers.setdefault(stack, len(self.numbers))
        self.rows.setdefault(who, []).append((number, count, weight_s, t_s))

    def profile(self, kind: str) -> Profile:
        """All of it."""
        threads = []
        for (pid, tid, name), rows in self.rows.items():
            columns = np.array(rows, float).reshape(-1, 4)
            stack, count = columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64)
            threads.append(ThreadProfile(pid, tid, name, stack, count, columns[:, 2], columns[:, 3]))
        return Profile(kind, threads, list(self.numbers))


def read_any(path: Path) -> Profile:
    """Read a file of any of the four formats. Raises MotraceError, with one line, for anything else."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror}") from error
    begin = text[:4096].lstrip()
    try:
        if begin.startswith("{"):
            return _speedscope(msgspec.json.decode(text, type=Speedscope))
        if begin.startswith("["):
            return _chrometrace(_events(text))
        if begin.startswith(("<?xml", "<!DOCTYPE svg", "<svg")):
            return _flamegraph(text)
        return _raw(text)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, msgspec.DecodeError) as error:
        what = " ".join(str(error).split())[:150]
        raise MotraceError(
            f"{path.name} is not a file of py-spy, or is cut off: {type(error).__name__}: {what}"
        ) from error


def _events(text: str) -> list[ChromeEvent]:
    """Events of a chrometrace, also of one that was cut off."""
    try:
        return msgspec.json.decode(text, type=list[ChromeEvent])
    except msgspec.DecodeError:
        end = text.rfind("},")
        if end < 0:
            raise
        return msgspec.json.decode(text[: end + 1] + "]", type=list[ChromeEvent])


def frame_text(name: str, file: str, line: int) -> str:
    """``function (module)`` as py-spy's own raw format writes it; addresses without a name become ``?``."""
    name = _ADDRESS.sub("?", name)
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


def _split(stack: list[str], pid: int = 0, tid: int = 0, name: str = "") -> tuple[tuple[int, int, str], Stack]:
    """Take the frames that name processes and the thread off a stack."""
    rest = 0
    for frame in stack:
        process, thread = _PROCESS.match(frame), _THREAD.match(frame)
        if process:
            pid = int(process[1])
        elif thread:
            tid = int(thread[1], 0) if not thread[1].startswith("0x") else 0
            name = thread[2] or name
        else:
            break
        rest += 1
    return (pid, tid, name), tuple(stack[rest:])


def _raw(text: str) -> Profile:
    builder = _Builder()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        frames, _, count = line.rpartition(" ")
        if not count.isdecimal():
            raise ValueError(f"line {number} is not `frame;frame count`")
        # Without a frame: samples from before the interpreter had one.
        who, stack = _split([_ADDRESS.sub("?", frame) for frame in frames.split(";")] if frames else [])
        builder.add(who, stack, int(count), 0.0, np.nan)
    if not builder.rows:
        raise ValueError("it is empty")
    return builder.profile(COUNTED)


def _speedscope(data: Speedscope) -> Profile:
    frames = [frame_text(frame.name, frame.file or "", frame.line or 0) for frame in data.shared.frames]
    builder = _Builder()
    for profile in data.profiles:
        if profile.type != "sampled":
            raise ValueError(f"a profile of type {profile.type}, py-spy writes sampled ones")
        factor = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}[profile.unit]
        named = _PROFILE_NAME.match(profile.name)
        pid, tid, name = (named[1] or 0, named[2], named[3]) if named else (0, "0", profile.name)
        tid_number = 0 if str(tid).startswith("0x") else int(tid)
        if len(profile.samples) != len(profile.weights):
            raise ValueError("samples and weights differ in number")
        for sample, weight in zip(profile.samples, profile.weights):
            who, stack = _split([frames[index] for index in sample], int(pid), tid_number, name)
            builder.add((who[0], who[1], name or who[2]), stack, 1, weight * factor, np.nan)
    return builder.profile(ORDERED)


def _chrometrace(events: list[ChromeEvent]) -> Profile:
    """A sample at each moment at which a thread's stack changed: samples like the one before are not written."""
    builder = _Builder()
    open_stacks: dict[tuple[int, int], list[str]] = {}
    changed: dict[tuple[int, int], float] = {}

    def put(key: tuple[int, int]) -> None:
        if open_stacks[key]:
            who, stack = _split(open_stacks[key], key[0])
            builder.add(who, stack, 1, 0.0, changed[key] / 1e6)

    for event in events:
        key, t_us = (event.pid, event.tid), event.ts
        stack = open_stacks.setdefault(key, [])
        if t_us != changed.get(key, t_us):
            put(key)
        changed[key] = t_us
        if event.ph == "E":
            if stack:
                stack.pop()
            continue
        place = event.args or ChromePlace()
        stack.append(frame_text(event.name, place.filename or "", place.line or 0))
    for key in open_stacks:
        put(key)
    if not builder.rows:
        raise ValueError("it has no samples")
    return builder.profile(TIMED)


def _flamegraph(text: str) -> Profile:
    """Rebuild the stacks from where the boxes lie; what was too narrow to draw is missing."""
    boxes = []
    for title, _, attributes in _TITLE.findall(text):
        place = dict(_ATTRIBUTE.findall(attributes))
        row = (float(place["y"]), int(place["fg:x"]), int(place["fg:w"]), html.unescape(title))
        boxes.append(row)
    if not boxes:
        raise ValueError("an SVG without the boxes of a flame graph")
    boxes.sort(key=lambda box: (box[1], box[0], -box[2]))
    downwards = max(boxes, key=lambda box: box[2])[0] == min(box[0] for box in boxes)
    if not downwards:  # drawn as flames: the root is at the bottom
        boxes.sort(key=lambda box: (box[1], -box[0], -box[2]))
    builder = _Builder()
    path: list[tuple[int, str]] = []  # end, frame
    used: list[int] = []

    def close(until: int) -> None:
        while path and path[-1][0] <= until:
            frames = [_ADDRESS.sub("?", frame) for _, frame in path if frame != "all"]
            own = used.pop()
            if own > 0 and frames:
                who, stack = _split(frames)
                builder.add(who, stack, own, 0.0, np.nan)
            path.pop()

    for _, begin, width, frame in boxes:
        close(begin)
        if used:
            used[-1] -= width
        path.append((begin + width, frame))
        used.append(width)
    close(1 << 62)
    return builder.profile(COUNTED)
