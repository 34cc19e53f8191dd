"""The ``nsys profile`` around this very process: a user's own, with flags of the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .nsys import REPORT
from .nsys_pass import option_of
from .nsys_session import parent_of, words_of

QUIET = {"--sample": "none", "--cpuctxsw": "none"}
"""Perf events are on unless both are said."""


@dataclass(frozen=True)
class Outside:
    """``report``: where it will be, None if its name is made up at the end; ``perf_events``: whether it may hang."""

    report: Path | None
    perf_events: bool


def nsys_around(pid: int | None = None) -> Outside | None:
    """The nearest ``nsys profile`` that (a process before) it started this process; None if there is none."""
    for ancestor in _ancestors(os.getpid() if pid is None else pid):
        words = [os.fsdecode(word) for word in words_of(ancestor)]
        if len(words) > 2 and os.path.basename(words[0]) == "nsys" and words[1] == "profile":
            given = _options(words[2:])
            perf = any(given.get(name) != value for name, value in QUIET.items())
            return Outside(_report(given.get("--output"), ancestor), perf)
    return None


def make_room(outside: Outside) -> None:
    """Make the folder of its report: nsys does not, and leaves the report in /tmp. Raises OSError."""
    if outside.report is not None:
        outside.report.parent.mkdir(parents=True, exist_ok=True)


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        pid = parent_of(pid)
        yield pid


def _options(words: list[str]) -> dict[str, str]:
    """The options before the program's name, by their long names."""
    given: dict[str, str] = {}
    waiting = list(words)
    while waiting and (name := option_of(waiting[0])) is not None:
        word = waiting.pop(0)
        if "=" in word:
            given[name] = word.partition("=")[2]
        elif not word.startswith("--") and len(word) > 2:
            given[name] = word[2:]
        elif waiting:
            given[name] = waiting.pop(0)
    return given


def _report(output: str | None, pid: int) -> Path | None:
    if output is None or "%" in output:
        return None
    try:
        home = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None
    path = home / output
    return path if path.suffix == REPORT else path.with_name(path.name + REPORT)
