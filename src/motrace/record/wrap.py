"""Functions inside a span, whatever their kind; a call's arguments, result and exceptions are left alone.

A generator or a coroutine is in its span only while its own body runs: the time between two
resumptions belongs to whoever resumes it.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

Call = Callable[..., Any]
Hook = Callable[[tuple[Any, ...], dict[str, Any]], None]

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # code flags, as in the inspect module


_FUNCTIONS = (
    types.FunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


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

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...


NOTHING = _Nothing()


def wrapped(call: Call, span: Any, hooks: Hooks, like: Any = None) -> Call:
    """``call`` inside ``span`` (None for none) with ``hooks`` around it, of the same kind as ``call``.

    ``like`` is what it is to look like: name, signature, documentation (default: ``call``).
    """
    flags = getattr(getattr(call, "__code__", None), "co_flags", 0)
    if flags & (_COROUTINE | _ASYNC_GENERATOR | _GENERATOR):
        inside = NOTHING if span is None else span
        made = _resumed(call, flags, inside, hooks) if hooks else _sliced(call, flags, inside)
    elif hooks:
        made = _hooked(call, NOTHING if span is None else span, hooks)
    else:
        made = _plain(call, span)
    like = call if like is None else like
    made = functools.wraps(like)(made)
    return made if isinstance(like, (type, *_FUNCTIONS)) else Standing(like, made)


def _plain(call: Call, span: Any) -> Call:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with span:
            return call(*args, **kwargs)

    return wrapper


def _hooked(call: Call, span: Any, hooks: Hooks) -> Call:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
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


def _sliced(call: Call, flags: int, span: Any) -> Call:
    """Of a function whose body runs in slices, without hooks."""
    if flags & _ASYNC_GENERATOR:
        return _resumed(call, flags, span, Hooks())
    wrapper: Call
    if flags & _COROUTINE:

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await slices(span, call(*args, **kwargs))

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return (yield from slices(span, call(*args, **kwargs)))

    return wrapper


def _resumed(call: Call, flags: int, span: Any, hooks: Hooks) -> Call:
    """Of a function whose body runs in slices. Its hooks run at the begin of the first and the end of the last."""

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for hook in hooks.before:
            hook(args, kwargs)

    def end(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for hook in (*hooks.closing, *hooks.after):
            hook(args, kwargs)

    wrapper: Call
    if flags & _COROUTINE:

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            begin(args, kwargs)
            try:
                result = await slices(span, call(*args, **kwargs))
            finally:
                end(args, kwargs)
            for hook in hooks.opening:
                hook(args, kwargs)
            return result

    elif flags & _GENERATOR:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            begin(args, kwargs)
            try:
                result = yield from slices(span, call(*args, **kwargs))
            finally:
                end(args, kwargs)
            for hook in hooks.opening:
                hook(args, kwargs)
            return result

    else:

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            begin(args, kwargs)
            items = call(*args, **kwargs)
            resume, value = items.asend, None
            try:
                while True:
                    try:
                        item = await slices(span, resume(value))
                    except StopAsyncIteration:
                        return
                    try:
                        resume, value = items.asend, (yield item)
                    except GeneratorExit:
                        await slices(span, items.aclose())
                        raise
                    except BaseException as error:  # noqa: BLE001  (whatever is thrown in is passed on)
                        resume, value = items.athrow, error
            finally:
                end(args, kwargs)

    return wrapper


@types.coroutine
def slices(span: Any, body: Any) -> Generator[Any, Any, Any]:
    """Drive a generator or coroutine, each resumption inside ``span``; returns what it returns. Can be awaited."""
    resume, value = body.send, None
    while True:
        try:
            with span:
                item = resume(value)
        except StopIteration as stop:
            return stop.value
        try:
            resume, value = body.send, (yield item)
        except GeneratorExit:
            with span:
                body.close()
            raise
        except BaseException as error:  # noqa: BLE001  (whatever is thrown in is passed on)
            resume, value = body.throw, error


class Standing:
    """Stands for an object that can be called and is more than a function: a cached function, a partial, an instance.

    All else than calling goes to the object: its attributes (``cache_info``, ``register``), how it is
    pickled, whether it is bound where a class has it.
    """

    def __init__(self, original: Any, call: Call) -> None:
        told = {name: getattr(original, name) for name in ("__doc__", "__module__") if hasattr(original, name)}
        self.__dict__.update(told, _original=original, _call=call, __wrapped__=original)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        bind = getattr(type(self._original), "__get__", None)
        if instance is None or bind is None or bind(self._original, instance, owner) is self._original:
            return self
        return types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_original"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._original, name, value)

    def __reduce__(self) -> Any:
        return self._original.__reduce__()

    def __repr__(self) -> str:
        return repr(self._original)


class Constructor:
    """Stands for a class of native code where a module has bound it by name: calling it is measured.

    A native class has no ``__init__`` to patch, and patching its ``__new__`` can't be undone. All
    else than calling goes to the class: attributes, isinstance, issubclass, subclassing.
    """

    def __init__(self, cls: type, call: Call) -> None:
        self.__dict__.update(_cls=cls, _call=call, __wrapped__=cls, __doc__=cls.__doc__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_cls"], name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._cls)

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, self._cls)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._cls,)

    def __or__(self, other: Any) -> Any:
        return self._cls | other

    def __ror__(self, other: Any) -> Any:
        return other | self._cls

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._cls

    def __hash__(self) -> int:
        return hash(self._cls)

    def __repr__(self) -> str:
        return repr(self._cls)
