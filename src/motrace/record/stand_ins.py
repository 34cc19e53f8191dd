"""What stands in a module or class in the place of something that can be called and is more than a function."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from .opaque import Opaque

P = ParamSpec("P")
Result = TypeVar("Result")


class Standing(Generic[P, Result]):
    """Stands for an object that can be called and is more than a function: a cached function, a partial, an instance.

    All else than calling goes to the object: its attributes (``cache_info``, ``register``), how it is
    pickled, whether it is bound where a class has it.
    """

    _original: Callable[P, Result]
    _call: Callable[P, Result]

    def __init__(self, original: Callable[P, Result], call: Callable[P, Result]) -> None:
        kept = {name: getattr(original, name) for name in ("__doc__", "__module__") if hasattr(original, name)}
        self.__dict__.update(kept, _original=original, _call=call, __wrapped__=original)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result:
        return self._call(*args, **kwargs)

    def __get__(self, instance: Opaque, owner: type | None = None) -> Callable[..., Result]:
        bind = getattr(type(self._original), "__get__", None)
        if instance is None or bind is None or bind(self._original, instance, owner) is self._original:
            return self
        return types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Opaque:
        value: Opaque = getattr(self.__dict__["_original"], name)
        return value

    def __setattr__(self, name: str, value: Opaque) -> None:
        setattr(self._original, name, value)

    def __reduce__(self) -> str | tuple[Opaque, ...]:
        return self._original.__reduce__()

    def __repr__(self) -> str:
        return repr(self._original)


class Constructor:
    """Stands for a class of native code where a module has bound it by name: calling it is measured.

    A native class has no ``__init__`` to patch, and patching its ``__new__`` can't be undone. All
    else than calling goes to the class: attributes, isinstance, issubclass, subclassing.
    """

    _cls: type
    _call: Callable[..., Opaque]

    def __init__(self, cls: type, call: Callable[..., Opaque]) -> None:
        self.__dict__.update(_cls=cls, _call=call, __wrapped__=cls, __doc__=cls.__doc__)

    def __call__(self, *args: Opaque, **kwargs: Opaque) -> Opaque:
        return self._call(*args, **kwargs)

    def __getattr__(self, name: str) -> Opaque:
        value: Opaque = getattr(self.__dict__["_cls"], name)
        return value

    def __instancecheck__(self, instance: Opaque) -> bool:
        return isinstance(instance, self._cls)

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, self._cls)

    def __mro_entries__(self, bases: tuple[Opaque, ...]) -> tuple[type, ...]:
        return (self._cls,)

    def __or__(self, other: type | types.UnionType | None) -> types.UnionType | type:
        return self._cls | other

    def __ror__(self, other: type | types.UnionType | None) -> types.UnionType | type:
        return other | self._cls

    def __eq__(self, other: Opaque) -> bool:
        return other is self or other is self._cls

    def __hash__(self) -> int:
        return hash(self._cls)

    def __repr__(self) -> str:
        return repr(self._cls)
