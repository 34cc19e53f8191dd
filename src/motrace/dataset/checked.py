"""Frozen dataclasses that check their own values, and are made from JSON again."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar

Made = TypeVar("Made")


class Checked:
    """Fields are of the types they are annotated with, and ``rules`` hold."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for one in fields(self):  # type: ignore[arg-type]
            _check(hints[one.name], getattr(self, one.name), f"{type(self).__name__}.{one.name}")
        for broken, what in self.rules():
            if broken:
                raise ValueError(f"{type(self).__name__}: {what}")

    def rules(self) -> list[tuple[bool, str]]:
        """Whether each rule is broken, and what it says."""
        return []


def _check(hint: Any, value: Any, where: str) -> None:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if not any(_fits(one, value, where) for one in inner):
            raise ValueError(f"{where}: {value!r} is none of {hint}")
    elif origin is Literal:
        if value not in inner:
            raise ValueError(f"{where}: {value!r} is none of {', '.join(map(str, inner))}")
    elif origin in (list, dict):
        if not isinstance(value, origin):
            raise ValueError(f"{where}: {value!r} is not of type {origin.__name__}")
        for item in value.values() if isinstance(value, dict) else value:
            _check(inner[-1], item, where)
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{where}: {value!r} is not a finite number")
    elif not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{where}: {value!r} is not of type {hint.__name__}")


def _fits(hint: Any, value: Any, where: str) -> bool:
    try:
        _check(hint, value, where)
    except ValueError:
        return False
    return True


def made(cls: type[Made], data: Any, where: str) -> Made:
    """A dataclass from a JSON object; keys that it does not know are passed over. Raises ValueError."""
    if not isinstance(data, dict):
        raise ValueError(f"{where}: {data!r} is not an object")
    hints = typing.get_type_hints(cls)
    values = {}
    for one in fields(cls):  # type: ignore[arg-type]
        if one.name in data:
            values[one.name] = _value(hints[one.name], data[one.name], f"{where}.{one.name}")
        elif one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"{where}: {one.name} is missing")
    return cls(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    inner = typing.get_args(hint)
    if is_dataclass(hint):
        return made(typing.cast(type[Any], hint), value, where)
    if typing.get_origin(hint) is list and isinstance(value, list):
        return [_value(inner[0], item, where) for item in value]
    shapes = [one for one in inner if is_dataclass(one)]
    return _value(shapes[0], value, where) if shapes and value is not None else value
