"""Calls that are made otherwise than the program makes them, and values kept from calls as facts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .. import run_folder
from ..run_folder import JsonObject, JsonValue
from .episodes import EpisodeLog
from .opaque import HostArray, Opaque, SomeArray, host
from .sites import Call
from .table import Change, Episodes, Observe
from .wrap import Hook

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Awaitable
    from inspect import Signature

Getter = Callable[[tuple[Opaque, ...], Mapping[str, Opaque]], Opaque]


def changed(call: Call, change: Change, values: Mapping[str, JsonValue]) -> Call:
    """``call`` as ``change`` wants it; ``$name`` in its arguments is taken from ``values`` (kept, if not there)."""
    arguments = {name: value_of(given, values) for name, given in change.arguments.items()}
    made = _with_arguments(call, {name: given for name, given in arguments.items() if given is not None})
    if change.keeps_result:
        return made
    wrapper: Call
    if getattr(getattr(call, "__code__", None), "co_flags", 0) & 0x80:  # a coroutine function

        async def wrapper(*args: Opaque, **kwargs: Opaque) -> JsonValue:
            if change.call:
                await cast("Awaitable[Opaque]", made(*args, **kwargs))
            return change.result

    else:

        def wrapper(*args: Opaque, **kwargs: Opaque) -> JsonValue:
            if change.call:
                made(*args, **kwargs)
            return change.result

    return wrapper


def value_of(given: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    """``given``, or the value that ``$name`` stands for (None where there is none)."""
    return values.get(given[1:]) if isinstance(given, str) and given.startswith("$") else given


def _with_arguments(call: Call, arguments: JsonObject) -> Call:
    """``call`` with some arguments given by us, however the caller passes its own."""
    if not arguments:
        return call
    signature = _signature(call)

    def wrapper(*args: Opaque, **kwargs: Opaque) -> Opaque:
        if signature is None:
            return call(*args, **{**kwargs, **arguments})
        bound = signature.bind_partial(*args, **kwargs)
        for name, value in arguments.items():
            if name in signature.parameters:
                bound.arguments[name] = value
            else:
                bound.kwargs[name] = value
        return call(*bound.args, **bound.kwargs)

    return wrapper


def _signature(call: Call) -> Signature | None:
    import inspect  # takes some ms, and few tables need it

    try:
        return inspect.signature(call)
    except (TypeError, ValueError):  # native code that does not tell
        return None


def _named(signature: Signature | None, args: tuple[Opaque, ...], kwargs: Mapping[str, Opaque]) -> Mapping[str, Opaque]:
    """A call's arguments by name, defaults included; those passed by name alone, where no signature is known."""
    if signature is None:
        return kwargs
    bound = signature.bind_partial(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


class ObservedFacts:
    """What was observed, by name; ``problems`` says what could not be."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._plain: JsonObject = {}
        self._files: dict[str, Path] = {}
        self._digests: dict[str, hashlib._Hash] = {}

    def add(self, seen: Observe, value: Opaque) -> None:
        """Keep a value. Of texts and files the first counts; a digest takes in every one."""
        if seen.kind == "digest":
            import hashlib

            array = host(value)  # or anything with a buffer
            self._digests.setdefault(seen.fact, hashlib.sha256()).update(
                cast(HostArray, array).tobytes() if hasattr(array, "tobytes") else bytes(cast(bytes, array))
            )
        elif seen.kind == "file":
            self._files.setdefault(seen.fact, Path(os.fspath(cast(str, value))).absolute())
        else:
            plain = value if isinstance(value, (int, float, str, bool)) else str(value)
            self._plain.setdefault(seen.fact, plain)

    def fails(self, what: str, error: Exception) -> None:
        """Note once that something could not be observed."""
        problem = f"{what}: {type(error).__name__}: {error}"
        if problem not in self.problems:
            self.problems.append(problem)

    def values(self) -> JsonObject:
        """All facts; a file is its path (below the current folder, or its name alone) and SHA-256."""
        files = {fact: _file(path) for fact, path in self._files.items()}
        return {**self._plain, **files, **{fact: digest.hexdigest() for fact, digest in self._digests.items()}}


def _file(path: Path) -> JsonObject:
    below = path.is_relative_to(Path.cwd())
    return {
        "path": str(path.relative_to(Path.cwd())) if below else path.name,
        "sha256": run_folder.sha256_of(path) if path.is_file() else None,
    }


def observer(seen: Observe, call: Call, facts: ObservedFacts) -> Hook:
    """A hook that keeps a value of each call of ``call``; the program never notices that it fails."""
    value = _getter(seen.value, _signature(call))

    def observe(args: tuple[Opaque, ...], kwargs: Mapping[str, Opaque]) -> None:
        try:
            facts.add(seen, value(args, kwargs))
        except Exception as error:  # noqa: BLE001  (a measurement must not break what it measures)
            facts.fails(f"{seen.fact} is not known: {seen.value} of {seen.at}", error)

    return observe


def step_observer(seen: Episodes, call: Call, log: EpisodeLog, facts: ObservedFacts) -> Hook:
    """A hook that tells ``log`` of each step that ``call`` made; the program never notices that it fails."""
    signature = _signature(call)
    values = [_getter(value, signature) for value in (seen.reward, seen.terminated, seen.truncated)]

    def observe(args: tuple[Opaque, ...], kwargs: Mapping[str, Opaque]) -> None:
        try:
            log.step(*(cast(SomeArray, value(args, kwargs)) for value in values))
        except Exception as error:  # noqa: BLE001  (a measurement must not break what it measures)
            facts.fails(f"episodes are not known: a step of {seen.at}", error)

    return observe


def _getter(dotted: str, signature: Signature | None) -> Getter:
    """What reads an argument of a call, or an attribute below one."""
    root, *below = dotted.split(".")
    first = next(iter(signature.parameters), None) if signature is not None else None

    def get(args: tuple[Opaque, ...], kwargs: Mapping[str, Opaque]) -> Opaque:
        if root == first and args:
            value = args[0]
        else:
            named = _named(signature, args, kwargs)
            if root not in named:
                raise LookupError(f"it has no argument {root}, but {', '.join(named) or 'none'}")
            value = named[root]
        for name in below:
            value = getattr(value, name)
        return value

    return get
