"""JSON objects as dataclasses: what is wrong in them is named and left out, the rest is used."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TypeVar

import msgspec

Scalar = str | int | float | bool | None
Json = Scalar | list["Json"] | dict[str, "Json"]
"""Any JSON value."""
Known = TypeVar("Known")


def convert(kind: type[Known], data: dict[str, Json], name: str, warnings: list[str]) -> Known:
    """A JSON object as a dataclass whose fields all have defaults; ``name`` is the file's, for warnings.

    A field that holds null where it can't is as good as absent.
    """
    data, removed = deepcopy(data), list[str]()
    while True:
        try:
            return msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            why, _, path = str(error).partition(" - at ")
            place = path.strip("`").partition("[...]")[0]  # which member of a mapping it is, it does not say
            _remove(data, re.findall(r"[^.$\[\]]+", place))
            if not why.endswith("got `null`") and not any(one.startswith(place) for one in removed):
                warnings.append(f"{name}: {place.removeprefix('$.')} is left out: {why[0].lower()}{why[1:]}")
            removed.append(place)


def _remove(data: Json, path: list[str]) -> None:
    """Remove the value at a path of keys and positions."""
    *around, last = path
    for key in around:
        data = data[key] if isinstance(data, dict) else data[int(key)] if isinstance(data, list) else None
    if isinstance(data, dict):
        del data[last]
    elif isinstance(data, list):
        del data[int(last)]
