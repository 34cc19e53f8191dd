"""A program as ``__main__``, the way Python itself runs it: a script, ``-m MODULE`` or ``-c CODE``."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

from .instrument import Instrument
from .sites import MAIN

_TOLD = "__motrace_bound__"


def run(words: list[str], instrument: Instrument) -> None:
    """Run a program, given as the words after ``python``; raises what it raises, SystemExit if it is not there."""
    if words[0] == "-m":
        module, code = _module(words[1], words[2:], instrument)
    elif words[0] == "-c":
        module, code = _program("-c", "<string>", words[1], words[2:], instrument)
        _first_path("")
    else:
        module, code = _script(words[0], words[1:], instrument)
    sys.modules[MAIN] = module
    exec(code, module.__dict__)


def _script(path: str, args: list[str], instrument: Instrument) -> tuple[ModuleType, CodeType]:
    if os.path.isdir(path) or not os.path.isfile(path):
        raise SystemExit(f"motrace: {path}: no such script")
    with open(path, "rb") as file:
        source = file.read()
    _first_path(os.path.dirname(os.path.realpath(path)))
    module, code = _program(path, path, source, args, instrument)
    module.__file__ = path
    module.__cached__ = None  # type: ignore[attr-defined]
    module.__loader__ = SourceFileLoader(MAIN, path)
    return module, code


def _module(name: str, args: list[str], instrument: Instrument) -> tuple[ModuleType, CodeType]:
    _first_path(os.getcwd())
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name += ".__main__"
        spec = importlib.util.find_spec(name)
    loader = spec.loader if spec is not None else None
    if not isinstance(spec, ModuleSpec) or loader is None or not hasattr(loader, "get_code"):
        raise SystemExit(f"motrace: No module named {name}")
    source = loader.get_source(name) if hasattr(loader, "get_source") else None
    origin = spec.origin or name
    if source is not None:
        module, code = _program(origin, origin, source, args, instrument)
    else:
        module, code = _program(origin, origin, "", args, instrument)
        code = loader.get_code(name)
    module.__file__, module.__spec__, module.__loader__ = origin, spec, loader
    module.__cached__ = spec.cached  # type: ignore[attr-defined]
    module.__package__ = spec.parent
    return module, code


def _program(
    argument: str, filename: str, source: str | bytes, args: list[str], instrument: Instrument
) -> tuple[ModuleType, CodeType]:
    sys.argv[:] = [argument, *args]
    module = ModuleType(MAIN)
    module.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
    tree = ast.parse(source, filename)
    names = {name.split(".")[1] for name in instrument.table.names() if name.startswith(f"{MAIN}.")}
    if names:
        setattr(module, _TOLD, instrument.bound)
        tree.body = _telling(tree.body, names)
        ast.fix_missing_locations(tree)
    return module, compile(tree, filename, "exec", dont_inherit=True)


def _first_path(folder: str) -> None:
    """``python -m`` put the current folder first; a program has its own folder there."""
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = folder


def _telling(body: list[ast.stmt], names: set[str]) -> list[ast.stmt]:
    """The statements, each that binds one of ``names`` followed by a call that reports it."""
    marked: list[ast.stmt] = []
    for statement in body:
        for field in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(statement, field, None)
            if isinstance(inner, list) and isinstance(statement, (ast.If, ast.Try, ast.With)):
                for handler in inner if field == "handlers" else ():
                    handler.body = _telling(handler.body, names)
                if field != "handlers":
                    setattr(statement, field, _telling(inner, names))
        marked.append(statement)
        for name in sorted(_bound(statement) & names):
            call = ast.Call(ast.Name(_TOLD, ast.Load()), [ast.Constant(name)], [])
            marked.append(ast.copy_location(ast.Expr(call), statement))
    return marked


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement binds by itself."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return set()
