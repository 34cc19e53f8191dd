"""Profile files supplied by the user."""

from __future__ import annotations

from collections.abc import Iterator

from ...dataset.profiles import MOST_TID, HotSpot, NamedTime, ProfileClass, SampledThread, UserProfile
from ...findings.model import Report
from ..blocks import Column, Section, Table, Text, numbers, section, table, words
from ..format import count, interval, ms, number, percent
from ..say import say
from .pools import slug
from .traces import LINES

SHORT = 3
"""How many names the short form says."""


def profiles(report: Report) -> list[Section]:
    """A section for each file."""
    return [
        one
        for profile in report.profiles
        for one in section(
            slug("profile", profile.file), f"{profile.tool} file {profile.file}, supplied by you",
            Text(" ".join(_says(profile))), *_tables(profile),
        )
    ]  # fmt: skip


def short(profile: UserProfile) -> Text:
    """A file in one paragraph."""
    whose = f"of {profile.run} ({profile.joined_by})" if profile.joined_by else "of no run here"
    most = ", ".join(_most(profile)[:SHORT]) or "nothing"
    return Text(
        f"({profile.format}), {whose}. Times: {_times(profile)}. Most: {most}.",
        lead=f"{profile.tool} file {profile.file}",
    )


def _most(profile: UserProfile) -> list[str]:
    stacks, lines, events = profile.stacks, profile.lines, profile.events
    most = [f"{one.name} {percent(one.share)}" for one in (stacks.lines if stacks else ())]
    most += [f"{one.file}:{one.line} hint" for one in (lines.lines if lines else ())]
    named = (*events.gpu_work, *events.ranges, *events.operators) if events else ()
    named += profile.functions.own_time if profile.functions else ()
    return most + [f"{one.name} {ms(one.total_ns)} ms" for one in named]


def _times(profile: UserProfile) -> str:
    aligned_by = say(profile.aligned_by) if profile.aligned_by is not None else ""
    return say(profile.times, {"aligned_by": aligned_by, "error_ns": profile.error_ns or 0})


def _says(profile: UserProfile) -> Iterator[str]:
    if profile.run is None:
        yield "Analysed alone: no run here matches it."
    elif profile.joined_by is not None:
        yield f"It belongs to the run {profile.run}: {profile.joined_by}."
    yield f"Format: {profile.format}. Times: {_times(profile)}."
    if (stacks := profile.stacks) is not None:
        seconds = "not known how many seconds" if stacks.seconds is None else f"{number(stacks.seconds)} s in total"
        yield f"{stacks.samples:,} samples, {seconds}."
        if stacks.native:
            yield "Classes count what was sampled: without --idle, py-spy leaves out threads that wait."
        else:
            yield "Recorded without native stacks (--native), so running time can't be split into classes."
    if (functions := profile.functions) is not None:
        forgot = "; its buffer was full, so the first ones are lost (--tracer_entries)" if functions.forgot else ""
        yield f"{functions.calls:,} calls of functions{forgot}. Tracing them costs time, short functions most."
    if (lines := profile.lines) is not None:
        yield f"{lines.lines_seen} lines" + (f" of {number(lines.seconds)} s." if lines.seconds else ".")


def _tables(profile: UserProfile) -> Iterator[Table]:
    if (stacks := profile.stacks) is not None:
        yield table("What its samples show", _CLASSES, stacks.classes)
        yield table("Hot lines: where stacks end; native code counts for the line that called it", _HOT, stacks.lines)
        yield table("Functions, with what they called", _HOT, stacks.functions)
        yield table("Threads", _THREADS, stacks.threads)
    if (functions := profile.functions) is not None:
        title = "Functions by their own time, without the calls inside"
        yield table(title, _NAMED, functions.own_time)
    if (lines := profile.lines) is not None:
        yield table("Lines (hints: Scalene's split is not evidence)", LINES, lines.lines)
    if (events := profile.events) is not None:
        yield table("Annotations", _NAMED, events.ranges)
        yield table("Annotations on the GPU, from the first operation in each to the last", _NAMED, events.gpu_ranges)
        yield table("GPU work", _NAMED, events.gpu_work)
        yield table("CPU operators (each with what it called)", _NAMED, events.operators)
        yield table("CUDA calls", _NAMED, events.calls)


def _seconds(value: float | None) -> str:
    return "–" if value is None else number(value)


def _id(tid: int | None) -> str:
    """A thread's id; a handle as py-spy writes it."""
    return "–" if tid is None else str(tid) if tid <= MOST_TID else f"0x{tid:X}"


_CLASSES: list[Column[ProfileClass]] = [
    words("class", lambda one: one.kind),
    numbers("samples", lambda one: one.samples, count),
    numbers("share", lambda one: one.share, percent),
    numbers("95 %", lambda one: one, lambda one: interval(one.lo, one.hi, percent)),
]
_HOT: list[Column[HotSpot]] = [
    words("where", lambda one: one.name),
    numbers("s", lambda one: one.seconds, _seconds),
    numbers("share", lambda one: one.share, percent),
]
_THREADS: list[Column[SampledThread]] = [
    words("thread", lambda one: one.name),
    words("id", lambda one: _id(one.tid)),
    numbers("samples", lambda one: one.samples, count),
    numbers("share", lambda one: one.share, percent),
]
_NAMED: list[Column[NamedTime]] = [
    words("name", lambda one: one.name),
    numbers("times", lambda one: one.count, count),
    numbers("sum, ms", lambda one: one.total_ns, ms),
]
