"""Functions measured by a span, whatever their kind."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # code flags, as in the inspect module


def decorated(span: Any, function: Function) -> Function:
    """``function``, inside ``span`` from its first to its last instruction."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _ASYNC_GENERATOR:
        raise TypeError("motrace.span can't decorate an asynchronous generator: use `with` inside it")

    wrapper: Callable[..., Any]
    if flags & _COROUTINE:

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with span:
                return await function(*args, **kwargs)

    elif flags & _GENERATOR:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with span:
                return (yield from function(*args, **kwargs))

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with span:
                return function(*args, **kwargs)

    return cast(Function, functools.wraps(function)(wrapper))
