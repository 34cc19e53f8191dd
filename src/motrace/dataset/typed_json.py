"""JSON objects as dataclasses: what is wrong in them is named and left out, the rest is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import TypeVar, cast

import msgspec

from ..output import JsonValue as JsonValue

JsonScalar = str | int | float | bool | None
Json = JsonScalar | list["Json"] | dict[str, "Json"]
"""Any JSON value."""
Known = TypeVar("Known")


def convert(kind: type[Known], given: Mapping[str, JsonValue], name: str, warnings: list[str]) -> Known:
    """A JSON object as a dataclass whose fields all have defaults; ``name`` is the file's, for warnings.

    A field that holds null or nothing where it can't is as good as absent.
    """
    data, removed = cast("dict[str, Json]", deepcopy(given)), list[str]()
    while True:
        try:
            return msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            why, _, path = str(error).partition(" - at ")
            place = path.strip("`").partition("[...]")[0]  # which member of a mapping it is, it does not say
            was = _remove(data, re.findall(r"[^.$\[\]]+", place))
            if was not in (None, {}) and not any(one.startswith(place) for one in removed):
                warnings.append(f"{name}: {place.removeprefix('$.')} is left out: {why[0].lower()}{why[1:]}")
            removed.append(place)


def _remove(data: Json, path: list[str]) -> Json:
    """Remove the value at a path of keys and positions; returns it."""
    *around, last = path
    for key in around:
        data = data[key] if isinstance(data, dict) else data[int(key)] if isinstance(data, list) else None
    return data.pop(last) if isinstance(data, dict) else data.pop(int(last)) if isinstance(data, list) else None
