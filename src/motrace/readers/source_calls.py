"""What a line of a program calls, by its source, where that is at hand: which function, at which line of which file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from .pyspy.frames import short_file

_FRAME = re.compile(r"(.*) \((.+):(\d+)\)$", re.DOTALL)
_FILE = re.compile(r'"file(?:name)?"\s*:\s*"((?:[^"\\]|\\.)+\.py)"')
_MOST_BYTES = 4 << 20


def calls_of(line: str) -> frozenset[str]:
    """The functions that a line of source calls, as it names them; empty where it is no statement of its own."""
    text = line.strip()
    for whole in (text, f"{text}\n pass", f"if 1:\n {text}", f"{text.removesuffix(':')}"):
        try:
            return frozenset(_named(ast.parse(whole)))
        except (SyntaxError, ValueError):
            continue
    return frozenset()


class SourceCalls:
    """Finds the sources of a profile's frames: beside the profile, above it, and from the working directory on."""

    def __init__(self, profile: Path, text: str = "") -> None:
        """``text``: the profile's own, which may name whole paths."""
        self._named = {short_file(path): Path(path) for path in _FILE.findall(text)}
        self._roots = [Path(), profile.parent, *list(profile.resolve().parents)[1:3]]
        self._made_ns = profile.stat().st_mtime_ns

    def __call__(self, frame: str) -> frozenset[str] | None:
        """What the line of a frame calls; None where its source is not at hand, or is another one by now."""
        found = _FRAME.match(frame)
        if found is None or found[2].startswith("<"):
            return None
        for path in self._paths(found[2]):
            tree = _tree(path, self._made_ns)
            calls = None if tree is None else _at(tree, found[1].rpartition(".")[2], int(found[3]))
            if calls is not None:
                return calls
        return None

    def _paths(self, file: str) -> Iterable[Path]:
        if file in self._named:
            yield self._named[file]
        yield from (root / file for root in self._roots)


@lru_cache(maxsize=256)
def _tree(path: Path, made_ns: int) -> ast.Module | None:
    """A file's syntax; None where there is none, or it was changed after ``made_ns``."""
    try:
        stat = path.stat()
        if stat.st_mtime_ns > made_ns or stat.st_size > _MOST_BYTES:
            return None
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _at(tree: ast.Module, function: str, line: int) -> frozenset[str] | None:
    """The calls at a line that lies in a function of this name; None where it does not."""
    scope: ast.AST = tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and _covers(node, line):
            scope = node  # breadth first: the innermost comes last
    name = getattr(scope, "name", "<lambda>" if isinstance(scope, ast.Lambda) else "<module>")
    if name != function and not function.startswith("<"):
        return None
    return frozenset(_named(scope, line))


def _covers(node: ast.AST, line: int) -> bool:
    return getattr(node, "lineno", 0) <= line <= (getattr(node, "end_lineno", 0) or 0)


def _named(scope: ast.AST, line: int | None = None) -> Iterable[str]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Call) and (line is None or _covers(node, line)):
            yield ast.unparse(node.func) + ("" if node.args or node.keywords else "()")
