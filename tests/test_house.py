"""The counts of tools/house.py stay where they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.house import Count, count

MOST_UNTYPED = 0.02


@pytest.fixture(scope="module")
def house() -> Count:
    """The source, counted."""
    return count()


def test_signatures_are_typed(house: Count) -> None:
    assert house.signatures > 1000 and house.untyped_share < MOST_UNTYPED
    assert house.across == [], "no untyped data passes between modules"
    assert {one.split(":")[0].rpartition(".")[0] for one in house.untyped} == {"motrace.record"}, "see tools/house.py"
    assert house.fields > 1000 and len(house.untyped_fields) <= 7
    assert len(house.json_across) <= 11, "JSON is made typed where it is read"


@pytest.mark.parametrize("kind", ["long_modules", "long_functions", "circles", "twice"])
def test_the_house_stays_in_order(house: Count, kind: str) -> None:
    """No module over 300 lines, no function over 60, no import circle, each public name of a class or an alias once."""
    assert getattr(house, kind) == []


LOOSE = '''
import typing
import typing as t
from typing import Any, Callable, Literal, Protocol, TypeAlias, TypeVar
import numpy as np

Array = np.ndarray[Any, Any]
Table: TypeAlias = "dict[str, Any]"
Rows = list[Table] | None
Bound = TypeVar("Bound", bound=Callable[..., Any])
Free = TypeVar("Free")

class Nothing(Protocol):
    """object"""

def attribute(x: typing.Any) -> None: ...
def of_module(x: t.Dict) -> None: ...
def inside_callable(x: Callable[[int], Any]) -> None: ...
def inside_type(x: type[Any]) -> None: ...
def bare(x: tuple) -> set: ...
def bare_in_brackets(x: list[dict]) -> None: ...
def without_type(x, y: int = 0) -> None: ...
def all_without_type(*args, **kwargs) -> None: ...
def alias(x: Table) -> None: ...
def alias_of_alias(x: Rows) -> None: ...
def bound(x: Bound) -> Bound: ...
def protocol(x: Nothing) -> None: ...
def text(x: "list[Any]") -> None: ...
'''
TYPED = """
class Member:
    def method(self, x: Array, y: Free, z: Literal["Any"]) -> Callable[[int], list[str]]: ...
    @classmethod
    def of(cls, x: dict[str, list[int]], *y: tuple[int, ...]) -> type[Free]: ...
"""


def test_each_way_to_write_an_untyped_signature_is_seen(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(LOOSE + TYPED)
    imports = "from . import one\nfrom .one import Bound as B\n"
    (tmp_path / "two.py").write_text(
        f"{imports}def by_name(x: B) -> None: ...\ndef by_module(x: one.Table) -> None: ...\n"
    )
    expected = [*re.findall(r"^def (\w+)", LOOSE, re.MULTILINE), "by_name", "by_module"]
    assert [one.split()[1] for one in count(tmp_path).untyped] == expected


def test_what_passes_between_packages_is_seen(tmp_path: Path) -> None:
    member = "class Kind:\n    def facts(self) -> JsonObject: ...\n"
    functions = "def given(x: object) -> None: ...\ndef inside(x: object) -> None: ...\n"
    for folder, text in (("a", member + functions), ("b", f"from {tmp_path.name}.a.code import Kind, given\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text(text)
    house = count(tmp_path)
    assert [one.split()[1] for one in house.across] == ["given"]
    assert [one.split()[1] for one in house.json_across] == ["facts"]


def test_a_name_of_two_things_is_seen(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        'class Adapter: ...\nT = TypeVar("T")\nRow = dict[str, int]\nLIMIT = Other.value\n'
    )
    (tmp_path / "two.py").write_text(
        'Adapter = dict[str, str] | None\nT = TypeVar("T")\nRow = TypeVar("Row")\nLIMIT = Other.value\n'
    )
    assert [one.split(":")[0] for one in count(tmp_path).twice] == ["Adapter", "Row"]
