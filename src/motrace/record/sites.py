"""Where a dotted name lives in the modules that are loaded, and putting something in its place there and back."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from .opaque import Opaque
from .stand_ins import Constructor

MAIN = "__main__"
_MISSING: Opaque = object()
Call = Callable[..., Opaque]


@dataclass(frozen=True)
class Site:
    """An attribute: ``raw`` is what its owner's own dictionary holds, or a base class's if it is inherited."""

    owner: Opaque
    attribute: str
    raw: Opaque
    inherited: bool


def find(name: str) -> Site | str:
    """Where ``name`` is, or why it isn't there. Imports nothing, calls nothing of the program's."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:cut]))
        if module is None:
            continue
        owner: Opaque = module
        for depth in range(cut, len(parts) - 1):
            raw, _ = _own(owner, parts[depth])
            if raw is _MISSING:
                return f"{'.'.join(parts[:depth])} has no {parts[depth]}"
            owner = raw.__wrapped__ if isinstance(raw, Constructor) else raw
        raw, inherited = _own(owner, parts[-1])
        if raw is _MISSING:
            return f"{'.'.join(parts[:-1])} has no {parts[-1]}"
        return Site(owner, parts[-1], raw, inherited)
    return f"{'.'.join(parts[:-1])} was not imported"


def _own(owner: Opaque, attribute: str) -> tuple[Opaque, bool]:
    """An attribute as it is stored, and whether it is stored in a base class."""
    if isinstance(owner, type):
        for cls in owner.__mro__:
            if attribute in vars(cls):
                return vars(cls)[attribute], cls is not owner
        return _MISSING, False
    own = getattr(owner, "__dict__", {})
    if attribute in own:
        return own[attribute], False
    raw, _ = _own(type(owner), attribute) if not isinstance(owner, types.ModuleType) else (_MISSING, False)
    return raw, True


def of_constructor(site: Site) -> Site:
    """For a class that was written in Python, the site of its ``__init__``: calling the class is what is measured."""
    if not isinstance(site.raw, type):
        return site
    raw, inherited = _own(site.raw, "__init__")
    return Site(site.raw, "__init__", raw, inherited) if isinstance(raw, types.FunctionType) else site


def replaced(site: Site, wrap: Callable[[Call], Call]) -> Opaque:
    """What to put at a site: the same kind of thing, with ``wrap`` around the function in it.

    Raises TypeError where nothing there can be called.
    """
    raw = site.raw
    if isinstance(raw, (staticmethod, classmethod)):
        return type(raw)(wrap(raw.__func__))
    if isinstance(raw, property):
        getter = wrap(raw.fget) if raw.fget is not None else None
        return property(getter, raw.fset, raw.fdel, raw.__doc__)
    if isinstance(raw, functools.cached_property):
        cached = functools.cached_property(wrap(raw.func))
        cached.__set_name__(cast(type, site.owner), site.attribute)
        return cached
    if isinstance(raw, types.GetSetDescriptorType):
        return property(wrap(_getter(raw)), raw.__set__, raw.__delete__, raw.__doc__)
    if isinstance(raw, type):
        return Constructor(raw, wrap(raw))
    if not callable(raw):
        raise TypeError(f"it is a {type(raw).__name__}, which can't be called")
    return wrap(raw)


def _getter(raw: types.GetSetDescriptorType) -> Call:
    def get(self: Opaque) -> Opaque:
        value: Opaque = raw.__get__(self)
        return value

    get.__name__, get.__qualname__, get.__doc__ = raw.__name__, raw.__qualname__, raw.__doc__
    return get


class Patches:
    """What was put where, so that it can be taken back."""

    def __init__(self) -> None:
        self._done: list[tuple[Site, Opaque]] = []

    def put(self, site: Site, new: Opaque) -> None:
        """Put ``new`` at a site. Raises TypeError where the owner's attributes can't be set."""
        try:
            setattr(site.owner, site.attribute, new)
        except (TypeError, AttributeError) as error:
            raise TypeError(f"its attributes can't be set ({error})") from error
        self._done.append((site, new))

    def undo(self) -> None:
        """Put everything back, also where ``from x import y`` took a copy of it meanwhile."""
        done, self._done = self._done, []  # kept to the end, so that no id is used again
        originals = {id(new): site.raw for site, new in done}
        for site, new in reversed(done):
            if _own(site.owner, site.attribute)[0] is not new:
                continue  # the program put something else there: that stays
            if site.inherited:
                delattr(site.owner, site.attribute)
            else:
                setattr(site.owner, site.attribute, site.raw)
        for module in list(sys.modules.values()):
            own = getattr(module, "__dict__", None)
            if isinstance(own, dict):
                for name in [name for name, value in list(own.items()) if id(value) in originals]:
                    own[name] = originals[id(own[name])]

    def has(self, value: Opaque) -> bool:
        """Whether ``value`` is something that was put somewhere."""
        return any(new is value for _, new in self._done)
