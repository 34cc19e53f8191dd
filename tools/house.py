"""Counts the house: untyped signatures and fields, sizes, circles, names used twice. ``python -m tools.house``."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "motrace"
Function = ast.FunctionDef | ast.AsyncFunctionDef
LOOSE = {"Any", "object"}
BARE = {"dict", "list", "tuple", "set", "frozenset", "Dict", "List", "Tuple", "Set", "FrozenSet", "Mapping", "Callable",
        "MutableMapping", "Sequence", "MutableSequence", "Iterable", "Iterator", "Collection", "Generator"}  # fmt: skip
"""Containers that say nothing of what is in them, where they stand without brackets."""
TYPED = {"ndarray", "Array", "Popen", "Literal"}
"""Brackets that are not looked into: an array of numbers is typed, whatever its dtype."""
JSON = {"JsonValue", "JsonObject"}
JSON_EDGE = {"motrace.output", "motrace.run_folder", "motrace.dataset.typed_json"}
"""Where JSON is made typed and typed values are made JSON."""


@dataclass
class Count:
    """What was counted.

    ``untyped`` are signatures (``untyped_fields``: fields of classes) that hold Any, object or a bare container, or an
    argument without a type. Aliases and bounds of type variables are resolved; a protocol without members is object.
    ``across`` are those of a function, or a method of a class, that another package imports. JSON's own type is closed
    (each use of a value must narrow it first), so inside a package it is typed; ``json_across`` are those between
    packages.

    What is untyped here is in ``record`` alone, and has one reason: the recorder wraps functions that the measured
    program wrote, and may be given anything and must pass on anything. Its ``Opaque`` is counted as what it is.
    """

    signatures: int = 0
    untyped: list[str] = field(default_factory=list)
    across: list[str] = field(default_factory=list)
    json_across: list[str] = field(default_factory=list)
    fields: int = 0
    untyped_fields: list[str] = field(default_factory=list)
    lines: int = 0
    code_lines: int = 0
    long_modules: list[str] = field(default_factory=list)
    long_functions: list[str] = field(default_factory=list)
    circles: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    @property
    def untyped_share(self) -> float:
        """Share of signatures that are untyped."""
        return len(self.untyped) / self.signatures if self.signatures else 0.0


def modules(source: Path = SOURCE) -> dict[str, tuple[Path, ast.Module]]:
    """Every module of a package by its dotted name, parsed."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = (path, ast.parse(path.read_text()))
    return found


def count(source: Path = SOURCE) -> Count:
    """Count the package at ``source``."""
    found, made = modules(source), Count()
    aliases = _aliases(found)
    names: Counter[str] = Counter()
    variables: set[str] = set()
    for name, (path, tree) in found.items():
        text = path.read_text()
        made.lines += len(text.splitlines())
        made.code_lines += _code_lines(text, tree)
        if len(text.splitlines()) > 300:
            made.long_modules.append(f"{name}: {len(text.splitlines())} lines")
        for node in ast.walk(tree):
            if isinstance(node, Function):
                _function(made, name, node, aliases.get(name, set()))
            elif isinstance(node, ast.ClassDef):
                _fields(made, name, node, aliases.get(name, set()))
        for top in tree.body:
            name = top.name if isinstance(top, ast.ClassDef) else alias_of(top)[0]
            if isinstance(top, ast.Assign) and isinstance(top.value, ast.Call):
                variables.add(name)  # of a module's own: two may bear one name, but not a class's or an alias's
            elif name[:1] != "_" and not (name.isupper() and len(name) > 1):
                names[name] += 1
    names.update(variables)
    made.twice = sorted(f"{name}: {number} times" for name, number in names.items() if name and number > 1)
    for name, node in _across(found):
        where = f"{name}:{node.lineno} {node.name}"
        if where in made.untyped:
            made.across.append(where)
        if name not in JSON_EDGE and any(_names(hint) & JSON for hint in _hints(node) if hint):
            made.json_across.append(where)
    made.circles = [" -> ".join(circle) for circle in _circles(_imports(found))]
    return made


def _function(made: Count, module: str, node: Function, aliases: set[str]) -> None:
    where = f"{module}:{node.lineno} {node.name}"
    made.signatures += 1
    if any(hint is None or _is_loose(hint, aliases) for hint in _hints(node)):
        made.untyped.append(where)
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > 60:
        made.long_functions.append(f"{where}: {lines} lines")


def _hints(node: Function) -> Iterator[ast.expr | None]:
    """The types in a signature; None for an argument without one."""
    arguments = node.args
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if one is not None and (one.annotation is not None or one.arg not in ("self", "cls", "mcs")):
            yield one.annotation
    if node.returns is not None:
        yield node.returns


def _across(found: dict[str, tuple[Path, ast.Module]]) -> Iterator[tuple[str, Function]]:
    """Functions, and methods of classes, that another package imports."""
    imported = {
        (source, alias.name)
        for name, (path, tree) in found.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for source in [_resolved(name, path, node)]
        if _package(source) != _package(name)
        for alias in node.names
    }
    for name, (_, tree) in found.items():
        for top in tree.body:
            if isinstance(top, Function | ast.ClassDef) and (name, top.name) in imported:
                yield from (
                    (name, node) for node in ([top] if isinstance(top, Function) else top.body)
                    if isinstance(node, Function)
                )  # fmt: skip


def _names(hint: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(hint) if isinstance(node, ast.Name)}


def _package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _fields(made: Count, module: str, node: ast.ClassDef, aliases: set[str]) -> None:
    for one in node.body:
        if isinstance(one, ast.AnnAssign):
            made.fields += 1
            if _is_loose(one.annotation, aliases):
                made.untyped_fields.append(f"{module}:{one.lineno} {node.name}.{ast.unparse(one.target)}")


def _is_loose(hint: ast.expr, aliases: set[str]) -> bool:
    """Whether a type says nothing of what is in it."""
    if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
        try:
            return _is_loose(ast.parse(hint.value, mode="eval").body, aliases)
        except SyntaxError:  # a text, not a type
            return False
    if isinstance(hint, ast.Subscript):
        name = ast.unparse(hint.value).rpartition(".")[2]
        return name not in TYPED and (name in aliases or _is_loose(hint.slice, aliases))
    if isinstance(hint, ast.Name | ast.Attribute):
        written = ast.unparse(hint)
        return written in aliases or written.rpartition(".")[2] in LOOSE | BARE
    if isinstance(hint, ast.Tuple | ast.List):
        return any(_is_loose(one, aliases) for one in hint.elts)
    if isinstance(hint, ast.BinOp) and isinstance(hint.op, ast.BitOr):
        return _is_loose(hint.left, aliases) or _is_loose(hint.right, aliases)
    return False


def _aliases(found: dict[str, tuple[Path, ast.Module]]) -> dict[str, set[str]]:
    """By module: names that stand for a loose type, its own and those that it imports."""
    own: dict[str, set[str]] = {name: set() for name in found}
    for _ in range(4):  # an alias of an alias
        for name, (path, tree) in found.items():
            for node in tree.body:
                if isinstance(node, ast.ImportFrom):
                    source = _resolved(name, path, node)
                    for alias in node.names:
                        here, module = alias.asname or alias.name, f"{source}.{alias.name}"
                        own[name] |= {here} if alias.name in own.get(source, set()) else set()
                        own[name] |= {f"{here}.{other}" for other in own.get(module, set()) if "." not in other}
                elif isinstance(node, ast.ClassDef):
                    own[name] |= {node.name} if _is_empty_protocol(node) else set()
                else:
                    target, types = alias_of(node)
                    own[name] |= {target} if any(_is_loose(one, own[name]) for one in types) else set()
    return own


def alias_of(node: ast.stmt) -> tuple[str, list[ast.expr]]:
    """The name and the types of an alias or a type variable; ("", []) for any other statement."""
    target = value = None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
    elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).endswith("TypeAlias"):
        target, value = node.target, node.value
    elif type(node).__name__ == "TypeAlias":  # Python 3.12 and later
        parts = dict(ast.iter_fields(node))
        target, value = parts["name"], parts["value"]
    if not isinstance(target, ast.Name) or not target.id.lstrip("_")[:1].isupper():
        return "", []
    if isinstance(value, ast.Call):
        if ast.unparse(value.func).rpartition(".")[2] not in ("TypeVar", "NewType"):
            return "", []
        return target.id, [*value.args[1:], *(one.value for one in value.keywords if one.arg == "bound")]
    if isinstance(value, ast.Subscript | ast.Name | ast.Attribute | ast.BinOp):
        return target.id, [value]
    return (target.id, [value]) if isinstance(node, ast.AnnAssign) and isinstance(value, ast.Constant) else ("", [])


def _is_empty_protocol(node: ast.ClassDef) -> bool:
    """Whether every value has this type: ``object`` under another name."""
    return any(ast.unparse(base).rpartition(".")[2] == "Protocol" for base in node.bases) and all(
        isinstance(one, ast.Pass) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in node.body
    )


def _resolved(name: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    base = parts if path.name == "__init__.py" else parts[:-1]
    base = base[: len(base) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _imports(found: dict[str, tuple[Path, ast.Module]]) -> dict[str, set[str]]:
    """By module: modules that it imports, at the top or in a function; under TYPE_CHECKING alone does not count."""
    arrows: dict[str, set[str]] = {}
    for name, (path, tree) in found.items():
        arrows[name] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                source = _resolved(name, path, node)
                for alias in node.names:
                    target = f"{source}.{alias.name}"
                    arrows[name] |= {target} & set(found) or {source} & set(found)
        arrows[name].discard(name)
    return arrows


def _circles(arrows: dict[str, set[str]]) -> Iterator[list[str]]:
    """Import circles, each once, found by a walk in depth."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> Iterator[list[str]]:
        if name in path:
            yield [*path[path.index(name) :], name]
            return
        if name in done:
            return
        for target in sorted(arrows[name]):
            yield from walk(target, [*path, name])
        done.add(name)

    for start in sorted(arrows):
        yield from walk(start, [])


def _code_lines(text: str, tree: ast.Module) -> int:
    """Lines without blanks, comments and docstrings."""
    documented = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documented |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    skipped = (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - documented)


def main() -> int:
    """Print the counts."""
    made = count()
    print(f"{made.lines:,} lines, {made.code_lines:,} without docstrings, comments and blanks")
    print(f"{made.signatures:,} signatures, {len(made.untyped)} untyped ({made.untyped_share:.1%}), "
          f"{len(made.across)} of them between packages; {made.fields:,} fields")  # fmt: skip
    for title, rows in (("untyped", made.untyped), ("JSON between packages", made.json_across),
                        ("untyped fields", made.untyped_fields),
                        ("long modules", made.long_modules), ("long functions", made.long_functions),
                        ("circles", made.circles), ("names used twice", made.twice)):  # fmt: skip
        print(f"{title}: {len(rows)}", *(f"  {row}" for row in rows[: 500 if "-v" in sys.argv else 8]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
