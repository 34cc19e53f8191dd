"""The numbers of two real recordings and of simulated ones are those that they were; see ``tests.golden.__main__``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SHARED
from tests.golden.cases import CASES, SHARED_EXPORTS, recorded, taken


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_as_they_were(name: str, tmp_path: Path) -> None:
    if name in SHARED_EXPORTS and not (SHARED / "fixtures" / f"{name}.sqlite").exists():
        pytest.skip("it comes with the workplace, not with the project")
    expected, found = recorded()[name], taken(name, tmp_path)
    assert set(found) == set(expected)
    differ = {key: (expected[key], value) for key, value in found.items() if value != expected[key]}
    assert all(isinstance(new, float) and new == pytest.approx(old, rel=1e-12) for old, new in differ.values()), differ
