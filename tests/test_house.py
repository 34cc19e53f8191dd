"""The counts of tools/house.py stay where they are."""

from __future__ import annotations

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
    assert house.fields > 1000 and house.untyped_fields == []


@pytest.mark.parametrize("kind", ["long_modules", "long_functions", "circles", "twice"])
def test_the_house_stays_in_order(house: Count, kind: str) -> None:
    """No module over 300 lines, no function over 60, no import circle, each public class name once."""
    assert getattr(house, kind) == []
