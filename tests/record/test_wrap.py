"""What can be called and is more than a function stays what it is while it is measured."""

from __future__ import annotations

import copy
import functools
import pickle
from pathlib import Path

import motrace
from motrace.record.instrument import Instrument
from motrace.record.table import parse
from tests.record.test_spans import names

HERE = "tests.record.test_wrap"
seven = functools.partial(int, "7")


@functools.cache
def squared(number: int) -> int:
    """A cached function."""
    return number**2


@functools.singledispatch
def kind(value: object) -> str:
    """A generic function."""
    return "object"


class Adder:
    """An instance that can be called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, value: int) -> int:
        self.calls += 1
        return value + 1


class Holder:
    """Has such things as attributes."""

    shout = functools.partial(str.upper)
    size = len
    add = Adder()

    @functools.lru_cache(maxsize=4)  # noqa: B019  (measured, not kept)
    def cached(self, value: int) -> int:
        """A cached method."""
        return value


def test_more_than_functions(recording: Path) -> None:
    originals = {name: vars(Holder)[name] for name in ("shout", "size", "add", "cached")} | {"squared": squared}
    measured = ("squared", "kind", "seven", "Holder.shout", "Holder.size", "Holder.add", "Holder.cached")
    with Instrument(parse({"phases": {f"{HERE}.{name}": name for name in measured}}, "the test")) as made:
        assert squared is not originals["squared"] and squared(3) == squared(3) == 9
        assert squared.cache_info().hits == 1 and (squared.__doc__, squared.__module__) == ("A cached function.", HERE)
        kind.register(int, lambda value: "int")
        assert kind(1) == "int" and kind("") == "object"
        assert seven() == 7 and seven.args == ("7",) and copy.copy(seven)() == 7
        holder = Holder()
        assert (holder.shout("a"), Holder.shout("b"), holder.size([1, 2])) == ("A", "B", 2), "not bound"
        assert holder.add(1) == 2 and holder.add.calls == 1
        holder.add.calls = 5
        assert holder.cached(4) == Holder.cached(holder, 4) == 4 and Holder.cached.cache_info().hits == 1
        assert pickle.loads(pickle.dumps(squared)) is squared and pickle.loads(pickle.dumps(seven))() == 7
    assert made.warnings == [] and originals["add"].calls == 5
    assert {**vars(Holder), "squared": squared}.items() >= originals.items(), "all of it is back"
    motrace.stop()
    told = [name for name, _, _ in names(recording)]
    counts = {"squared": 2, "kind": 2, "seven": 1, "Holder.shout": 2, "Holder.size": 1, "Holder.add": 1}
    assert {name: told.count(name) for name in counts} == counts and told.count("Holder.cached") == 2
