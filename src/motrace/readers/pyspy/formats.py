"""The four formats that py-spy writes, whoever ran it: raw, speedscope, chrometrace, flamegraph.

Only chrometrace has times, and only of samples whose stack differs from the one before. A
speedscope file has the samples of each thread in order, each with the same nominal weight. Raw and
flamegraph only count.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from ...arrays import Array
from ...cautions import Caution, CautionCode, caution
from ...dataset.stack_frames import is_native
from ...errors import MotraceError
from ...escape import encodable
from ..times import DAY_NS, LATEST_NS, TimeFault, check, set_aside
from .frames import ADDRESS, StackNames, frame_text, split, tid_of
from .json_forms import ChromeEvent, ChromePlace, Speedscope

COUNTED, ORDERED, TIMED = "counted", "ordered", "timed"
_PROFILE_NAME = re.compile(r'(?:Process (\d+) )?Thread (0x[0-9a-fA-F]+|\d+) "(.*)"$', re.DOTALL)
_TITLE = re.compile(r"<title>(.*?) \(([\d,]+) samples?, [\d.]+%\)</title><rect ([^>]*)>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w:]+)="([^"]*)"')
_EXPORTER = re.compile(r"py-spy@(\d+)\.(\d+)\.(\d+)")
_WEIGHTS_IN_SECONDS = (0, 3, 9)
"""The first version that wrote them."""
DEFAULT_RATE = 100
"""py-spy's own, of samples per second."""
_UNITS = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9, "none": 1.0}


@dataclass
class ThreadProfile:
    """Samples of one thread: ``stack`` indexes the profile's stacks.

    ``tid`` is 0 where it is not known, negative where all that is known is that it is a thread of its own, and above
    MOST_TID where it is a handle: what macOS has, and pthread.

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
    stacks: list[StackNames] = field(default_factory=list)
    warnings: list[Caution] = field(default_factory=list)

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


class _Builder:
    """Collects the samples of threads; stacks become numbers."""

    def __init__(self) -> None:
        self.numbers: dict[StackNames, int] = {}
        self.rows: dict[tuple[int, int, str], list[tuple[int, float, float, float]]] = {}
        self.faults: Counter[TimeFault] = Counter()
        self.warnings: list[CautionCode] = []

    def usable(self, weight_s: float) -> bool:
        """Whether a sample can stand for so many seconds; counted where it can't."""
        if 0 <= weight_s < DAY_NS / 1e9:
            return True
        self.faults[TimeFault.NEGATIVE if weight_s < 0 else TimeFault.FAR] += 1
        return False

    def add(self, who: tuple[int, int, str], stack: StackNames, count: float, weight_s: float, t_s: float) -> None:
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
        warnings = [caution(code) for code in self.warnings] + set_aside("", self.faults)
        return Profile(kind, threads, list(self.numbers), warnings)


def read_any(path: Path) -> Profile:
    """Read a file of any of the four formats. Raises MotraceError, with one line, for anything else."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror}") from error
    try:
        profile = _read(text)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, msgspec.DecodeError) as error:
        what = " ".join(str(error).split())[:150]
        raise MotraceError(
            f"{path.name} is not a file of py-spy, or is cut off: {type(error).__name__}: {what}"
        ) from error
    named = [replace(one, values={**one.values, "file": encodable(path.name)}) for one in profile.warnings]
    return replace(profile, warnings=named)


def _read(text: str) -> Profile:
    begin = text[:4096].lstrip()
    if begin.startswith("{"):
        return _speedscope(msgspec.json.decode(text, type=Speedscope))
    if begin.startswith("["):
        return _chrometrace(_events(text))
    if begin.startswith(("<?xml", "<!DOCTYPE svg", "<svg")):
        return _flamegraph(text)
    return _raw(text)


def _events(text: str) -> list[ChromeEvent]:
    """Events of a chrometrace, also of one that was cut off."""
    try:
        return msgspec.json.decode(text, type=list[ChromeEvent])
    except msgspec.DecodeError:
        end = text.rfind("},")
        if end < 0:
            raise
        return msgspec.json.decode(text[: end + 1] + "]", type=list[ChromeEvent])


def _raw(text: str) -> Profile:
    builder = _Builder()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        frames, _, count = line.rpartition(" ")
        if not count.isdecimal():
            raise ValueError(f"line {number} is not `frame;frame count`")
        # Without a frame: samples from before the interpreter had one.
        who, stack = split([ADDRESS.sub("?", frame) for frame in frames.split(";")] if frames else [])
        builder.add(who, stack, int(count), 0.0, np.nan)
    if not builder.rows:
        raise ValueError("it is empty")
    return builder.profile(COUNTED)


def _speedscope(data: Speedscope) -> Profile:
    frames = [frame_text(frame.name, frame.file or "", frame.line or 0) for frame in data.shared.frames]
    builder = _Builder()
    weights = _weights(data, builder)
    for number, (profile, weighs) in enumerate(zip(data.profiles, weights), 1):
        named = _PROFILE_NAME.match(profile.name)
        pid, tid, name = (int(named[1] or 0), tid_of(named[2]), named[3]) if named else (0, -number, profile.name)
        if len(profile.samples) != len(profile.weights):
            raise ValueError("samples and weights differ in number")
        for sample, weight in zip(profile.samples, weighs):
            who, stack = split([frames[index] for index in sample], pid, tid, name)
            if builder.usable(weight):
                builder.add((who[0], who[1], name or who[2]), stack, 1, weight, np.nan)
    return builder.profile(ORDERED)


def _weights(data: Speedscope, builder: _Builder) -> list[list[float]]:
    """The seconds that each sample of each profile stands for.

    Up to 0.3.8 py-spy wrote that each weighs 1: a count, and not at which rate. Then its default is assumed. Where its
    version is not known either, so are the seconds not.
    """
    if any(profile.type != "sampled" for profile in data.profiles):
        raise ValueError("a profile that is not of samples: py-spy writes sampled ones")
    weights = [[weight * _UNITS[profile.unit] for weight in profile.weights] for profile in data.profiles]
    found = _EXPORTER.match(data.exporter or "")
    version = tuple(int(part) for part in found.groups()) if found else None
    alike = {weight for some in weights for weight in some} == {1.0}
    if alike and (version is None or version < _WEIGHTS_IN_SECONDS):
        known = version is not None or any(profile.unit == "none" for profile in data.profiles)
        builder.warnings.append(CautionCode.RATE_ASSUMED if known else CautionCode.NO_SECONDS)
        return [[1 / DEFAULT_RATE if known else 0.0] * len(some) for some in weights]
    return weights


def _chrometrace(events: list[ChromeEvent]) -> Profile:
    """A sample at each moment at which a thread's stack changed: samples like the one before are not written."""
    builder = _Builder()
    open_stacks: dict[tuple[int, int], list[str]] = {}
    changed: dict[tuple[int, int], float] = {}
    moments = np.array([event.ts for event in events])
    times = np.where(np.abs(moments) < LATEST_NS / 1e3, moments * 1e3, LATEST_NS).astype(np.int64)
    good, builder.faults = check(times, times)

    def put(key: tuple[int, int]) -> None:
        if open_stacks[key] and key in changed:
            who, stack = split(open_stacks[key], key[0], key[1] & ((1 << 63) - 1))
            builder.add(who, stack, 1, 0.0, changed[key] / 1e6)

    for event, timed in zip(events, good.tolist()):
        key, t_us = (event.pid, event.tid), event.ts
        stack = open_stacks.setdefault(key, [])
        if timed and t_us != changed.get(key, t_us):
            put(key)
        if timed:
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
        raise ValueError("a picture without the boxes of a flame graph")
    boxes.sort(key=lambda box: (box[1], box[0], -box[2]))
    downwards = max(boxes, key=lambda box: box[2])[0] == min(box[0] for box in boxes)
    if not downwards:  # drawn as flames: the root is at the bottom
        boxes.sort(key=lambda box: (box[1], -box[0], -box[2]))
    builder = _Builder()
    path: list[tuple[int, str]] = []  # end, frame
    used: list[int] = []

    def close(until: int) -> None:
        while path and path[-1][0] <= until:
            frames = [ADDRESS.sub("?", frame) for _, frame in path if frame != "all"]
            own = used.pop()
            if own > 0 and frames:
                who, stack = split(frames)
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
