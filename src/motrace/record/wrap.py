"""Functions inside a span, whatever their kind; a call's arguments, result and exceptions are left alone.

Both the decorator (``@motrace.span("step")``) and ``--instrument`` measure through ``wrapped``. A generator or a
coroutine is in its span only while its own body runs: the time between two resumptions belongs to whoever resumes it.
"""

from __future__ import annotations

import functools
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar, cast

from .opaque import Opaque
from .stand_ins import Standing

P = ParamSpec("P")
Result = TypeVar("Result")
Item = TypeVar("Item")
Sent = TypeVar("Sent")
Hook = Callable[[tuple[Opaque, ...], Mapping[str, Opaque]], None]

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # code flags, as in the inspect module
_FUNCTIONS = (
    types.FunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


def regardless(act: Callable[[], None]) -> Hook:
    """A hook that needs none of the call's arguments."""
    return lambda args, kwargs: act()


class Opened(Protocol):
    """A span, or what stands in its place."""

    def __enter__(self) -> None:
        """Begin it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        """End it."""


@dataclass
class Hooks:
    """What else happens around a call; each gets the call's arguments.

    ``before`` runs outside the span, ``closing`` inside at its end, ``after`` outside, ``opening``
    last and only where no exception passes.
    """

    before: list[Hook] = field(default_factory=list)
    closing: list[Hook] = field(default_factory=list)
    after: list[Hook] = field(default_factory=list)
    opening: list[Hook] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.before or self.closing or self.after or self.opening)


class _Nothing:
    """In the place of a span, where a call has hooks but no phase."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None: ...


NO_HOOKS, NOTHING = Hooks(), _Nothing()


def wrapped(
    call: Callable[P, Result],
    span: Opened | None,
    hooks: Hooks = NO_HOOKS,
    like: Callable[P, Result] | None = None,
) -> Callable[P, Result]:
    """``call`` inside ``span`` (None for none) with ``hooks`` around it, of the same kind as ``call``.

    ``like`` is what it is to look like: name, signature, documentation (default: ``call``).
    """
    flags = getattr(getattr(call, "__code__", None), "co_flags", 0)
    inside = NOTHING if span is None else span
    made: Callable[P, Result] = _hooked(call, inside, hooks) if hooks else _plain(call, inside)
    for flag, of_kind in ((_COROUTINE, _coroutine), (_GENERATOR, _generator), (_ASYNC_GENERATOR, _async_generator)):
        if flags & flag:
            made = cast("Callable[[Callable[P, Result], Opened, Hooks], Callable[P, Result]]", of_kind)(
                call, inside, hooks
            )
    like = call if like is None else like
    made = functools.wraps(like)(made)
    return made if isinstance(like, (type, *_FUNCTIONS)) else Standing(like, made)


def _plain(call: Callable[P, Result], span: Opened) -> Callable[P, Result]:
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Result:
        with span:
            return call(*args, **kwargs)

    return wrapper


def _hooked(call: Callable[P, Result], span: Opened, hooks: Hooks) -> Callable[P, Result]:
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Result:
        for hook in hooks.before:
            hook(args, kwargs)
        try:
            with span:
                try:
                    result = call(*args, **kwargs)
                finally:
                    for hook in hooks.closing:
                        hook(args, kwargs)
        finally:
            for hook in hooks.after:
                hook(args, kwargs)
        for hook in hooks.opening:
            hook(args, kwargs)
        return result

    return wrapper


# A body that runs in slices: the hooks run at the begin of its first and the end of its last one.


def _coroutine(
    call: Callable[P, Coroutine[Item, Sent, Result]], span: Opened, hooks: Hooks
) -> Callable[P, Coroutine[Item, Sent, Result]]:
    begin, end = hooks.before, [*hooks.closing, *hooks.after]

    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Result:
        for hook in begin:
            hook(args, kwargs)
        try:
            result = await awaited(span, call(*args, **kwargs))
        finally:
            for hook in end:
                hook(args, kwargs)
        for hook in hooks.opening:
            hook(args, kwargs)
        return result

    return wrapper


def _generator(
    call: Callable[P, Generator[Item, Sent, Result]], span: Opened, hooks: Hooks
) -> Callable[P, Generator[Item, Sent, Result]]:
    begin, end = hooks.before, [*hooks.closing, *hooks.after]

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Generator[Item, Sent, Result]:
        for hook in begin:
            hook(args, kwargs)
        try:
            result = yield from sliced(span, call(*args, **kwargs))
        finally:
            for hook in end:
                hook(args, kwargs)
        for hook in hooks.opening:
            hook(args, kwargs)
        return result

    return wrapper


def _async_generator(
    call: Callable[P, AsyncGenerator[Item, Sent]], span: Opened, hooks: Hooks
) -> Callable[P, AsyncGenerator[Item, Sent]]:
    begin, end = hooks.before, [*hooks.closing, *hooks.after]

    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Item, Sent]:
        for hook in begin:
            hook(args, kwargs)
        items = call(*args, **kwargs)
        resumption = items.__anext__()
        try:
            while True:
                try:
                    item = await awaited(span, resumption)
                except StopAsyncIteration:
                    return
                try:
                    resumption = items.asend((yield item))
                except GeneratorExit:
                    await awaited(span, items.aclose())
                    raise
                except BaseException as error:  # noqa: BLE001  (whatever is thrown in is passed on)
                    resumption = items.athrow(error)
        finally:
            for hook in end:
                hook(args, kwargs)

    return wrapper


def sliced(
    span: Opened, body: Generator[Item, Sent, Result] | Coroutine[Item, Sent, Result]
) -> Generator[Item, Sent, Result]:
    """Drive a generator or coroutine, each resumption inside ``span``; returns what it returns."""
    send, throw = body.send, body.throw
    resume: Callable[[Sent], Item] | Callable[[BaseException], Item] = send
    value: Sent | BaseException | None = None
    while True:
        try:
            with span:
                item = resume(value)  # type: ignore[arg-type]  # a value is sent, an error thrown
        except StopIteration as stop:
            result: Result = stop.value
            return result
        try:
            resume, value = send, (yield item)
        except GeneratorExit:
            with span:
                body.close()
            raise
        except BaseException as error:  # noqa: BLE001  (whatever is thrown in is passed on)
            resume, value = throw, error


awaited = types.coroutine(sliced)
"""The same, to be awaited."""
