"""pyarrow imports pandas when it first makes an array, only to know its Series when it sees one: 0.15 s for nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NotYet(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As if pandas were not installed; everything else is found as ever."""
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)
        return None


def pandas_later() -> None:
    """Let pyarrow do without pandas until someone asks for it by ``to_pandas``. For processes of our own alone."""
    if "pandas" in sys.modules:
        return
    hide = _NotYet()
    sys.meta_path.insert(0, hide)
    try:
        import pyarrow as pa

        pa.array([0])  # it looks once
    finally:
        sys.meta_path.remove(hide)
