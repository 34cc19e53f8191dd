"""Paths as a report may show them: relative to the experiment or to ``~``, for an absolute one names a person."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from .output import JsonValue

Data = TypeVar("Data", bound=JsonValue)
_BEGINS, _ENDS = r"(?:(?<![\w.\-~])(?<!\w/)|(?<=-[A-Z]))", r"(?=$|[^\w.\-]|\.(?:\s|$))"
_HOMES = re.compile(rf"{_BEGINS}(?:/(?:home|Users)/[^/\s\"':,;)]+|/root){_ENDS}")


def shortened(data: Data, experiment: Path) -> Data:
    """JSON in which paths of the experiment, and of people's homes, are no longer absolute.

    What shares no folder but the topmost with the experiment stays, as system libraries under /usr do.
    """
    return cast(Data, _each_text(data, _shortener(experiment if experiment.is_dir() else experiment.parent)))


def _each_text(data: JsonValue, change: Callable[[str], str]) -> JsonValue:
    if isinstance(data, str):
        return change(data) if "/" in data else data
    if isinstance(data, Mapping):
        return {key: _each_text(value, change) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_each_text(one, change) for one in data]
    return data


def _shortener(experiment: Path) -> Callable[[str], str]:
    homes = [home for home in dict.fromkeys((Path.home(), Path.home().resolve())) if len(home.parts) > 1]
    places = list(dict.fromkeys((experiment.absolute(), experiment.resolve())))
    steps: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
        (_prefix(place, "/?"), lambda m: "" if m[0].endswith("/") else ".") for place in places
    ]
    inner = [_prefix(home) for home in homes if len(home.parts) > 2]
    outer = [_prefix(home) for home in homes if len(home.parts) == 2]  # /home itself: what is below it names a person
    steps += [(home, lambda m: "~") for home in (*inner, _HOMES, *outer)]
    for place in places:
        for up, parent in enumerate(place.parents, 1):
            if len(parent.parts) > 2:
                steps.append((_prefix(parent), partial(_up, up)))

    def shorten(text: str) -> str:
        for pattern, put in steps:
            text = pattern.sub(put, text)
        return text

    return shorten


def _up(steps: int, found: re.Match[str]) -> str:
    return "/".join([".."] * steps)


def _prefix(path: Path, more: str = "") -> re.Pattern[str]:
    return re.compile(f"{_BEGINS}{re.escape(str(path))}{_ENDS}{more}")
