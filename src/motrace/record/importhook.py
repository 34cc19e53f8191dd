"""Calls back when a module has been imported, so that nothing is imported earlier than the program does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from .opaque import Opaque

if TYPE_CHECKING:
    from importlib.abc import Loader


class ImportHook:
    """A finder in front of all others that watches for some modules."""

    def __init__(self, wanted: set[str], imported: Callable[[str], None]) -> None:
        """``imported`` is called with a module's name once its code has run."""
        self._wanted = wanted
        self._imported = imported

    def install(self) -> None:
        """Begin to watch."""
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def uninstall(self) -> None:
        """Stop watching."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find, with a loader that calls back."""
        if name not in self._wanted:
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec.loader, self._imported)  # type: ignore[assignment]
                    return spec
        return None


class _Loader:
    """The module's own loader, but for the call at the end; the module's code sees its own loader."""

    def __init__(self, loader: Loader, imported: Callable[[str], None]) -> None:
        self._loader = loader
        self._imported = imported

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader makes it."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then tell."""
        name = module.__name__
        if module.__spec__ is not None:
            name = module.__spec__.name
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._imported(name)

    def __getattr__(self, name: str) -> Opaque:
        value: Opaque = getattr(self._loader, name)
        return value
