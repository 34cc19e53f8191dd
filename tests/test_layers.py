"""Imports go one way, and nothing swallows errors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.house import count

SOURCE = ROOT / "src" / "motrace"

# What each folder, or module at the top, may import of the others. Arrows point down this list.
EDGE = {"errors", "cautions", "escape", "output", "redaction", "run_folder"}
"""Errors, and how files are written."""
PURE_BASE = {"arrays", "errors", "cautions", "vocabulary", "thread_roles", "vulkan_adapter", "dataset"}
MAY_IMPORT = {
    "errors": set(), "cautions": set(), "escape": set(), "output": set(), "redaction": {"output"},
    "own_paths": {"output"}, "vocabulary": set(), "thread_roles": set(), "vulkan_adapter": {"errors"},
    "nvml": set(), "arrays": set(), "environment": {"__init__", "dataset", "nvml", "output"},
    "run_folder": {"errors", "output", "redaction"},
    "record": {"errors", "vocabulary", "thread_roles", "run_folder"},
    "dataset": {"arrays", "output", "errors", "escape", "cautions", "vocabulary"},
    "timeline": {"arrays", "errors", "vocabulary", "dataset"},
    "statistics": {"arrays", "errors"},
    "readers": {"arrays", *EDGE, "vocabulary", "record", "dataset"},
    "attribution": {*PURE_BASE, "record", "readers", "timeline"},
    "sampling": {*PURE_BASE, "attribution", "statistics"},
    "ingest": {"arrays", *EDGE, "vocabulary", "record", "dataset", "readers", "timeline", "attribution", "sampling"},
    "findings": {*PURE_BASE, "record", "readers", "attribution", "sampling", "statistics"},
    "report": {"errors", "cautions", "escape", "vocabulary", "dataset", "statistics", "findings"},
    "collect": {*EDGE, "vocabulary", "nvml", "record", "readers"},
    "workloads": {"arrays", *EDGE, "environment", "vulkan_adapter", "record", "readers", "collect"},
    "analysis": {*EDGE, "own_paths", "dataset", "collect", "readers", "ingest", "attribution", "findings", "report"},
    "commands": {*EDGE, "__init__", "analysis", "environment", "vulkan_adapter", "dataset", "collect", "workloads",
                 "readers", "ingest", "findings", "report"},
    "cli": {"__init__", "commands", "errors"}, "__init__": {"record"},
}  # fmt: skip
PURE = ("attribution", "sampling", "statistics", "findings", "report")
TEMPLATES = SOURCE / "report" / "html.py"
"""It reads its own page."""
NO_INPUT_OR_OUTPUT = {
    "open", "print", "read_text", "read_bytes", "write_text", "write_bytes", "read_table", "write_table", "mkdir",
    "unlink", "iterdir", "glob", "rglob", "Popen", "getenv",
}  # fmt: skip


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def home(path: Path) -> str:
    """The package, or the module at the top, that a file belongs to."""
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path, tree: ast.Module) -> Iterator[str]:
    """What of motrace a module imports, by package or top module."""
    package = path.relative_to(SOURCE).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            full = (*base, *(node.module or "").split(".")) if node.module else base
            if full:
                yield full[0]
            else:
                yield from (alias.name if (SOURCE / alias.name).exists() or (SOURCE / f"{alias.name}.py").exists()
                            else "__init__" for alias in node.names)  # fmt: skip
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("motrace") for alias in node.names), path


def test_imports_go_one_way() -> None:
    for path, tree in modules():
        assert set(imported(path, tree)) <= {*MAY_IMPORT[home(path)], home(path)}, path


@pytest.mark.parametrize("package", PURE)
def test_pure_folders_compute_and_the_report_shows(package: str) -> None:
    """They open no files and print nothing."""
    for path, tree in modules():
        if home(path) != package:
            continue
        called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        calls = {one.id for one in called if isinstance(one, ast.Name)}
        calls |= {one.attr for one in called if isinstance(one, ast.Attribute)}
        assert calls & NO_INPUT_OR_OUTPUT == ({"read_text"} if path == TEMPLATES else set()), path


def test_text_reaches_the_terminal_by_one_way() -> None:
    """Only commands.terminal and commands.complain() print or make a console: there markup becomes text."""
    for path, tree in modules():
        if home(path) != "commands" or path.stem in ("terminal", "__init__"):
            continue
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.module in ("rich.console", "rich.text")), path
            assert not (isinstance(node, ast.Name) and node.id == "print"), path
            assert not (isinstance(node, ast.Attribute) and node.attr in ("stderr", "stdout")), path


def test_no_error_is_swallowed_without_a_word() -> None:
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                assert not all(isinstance(line, ast.Pass) for line in node.body), f"{path}:{node.lineno}"
                assert node.type is not None, f"{path}:{node.lineno}"


def test_public_functions_say_what_they_do() -> None:
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                nested = any(
                    node in ast.walk(outer) and outer is not node
                    for outer in ast.walk(tree)
                    if isinstance(outer, ast.FunctionDef)
                )
                assert nested or ast.get_docstring(node), f"{path}: {node.name} has no docstring"


TYPED = ("attribution", "cautions", "findings", "sampling", "statistics", "analysis")
"""Between these no untyped data passes; JSON is made and read at the edge alone."""


def test_no_untyped_data_passes_between_findings() -> None:
    """No Any, no object and no bare container in a signature; aliases are resolved."""
    assert [one for one in count().untyped if one.split(":")[0].split(".")[1] in TYPED] == []
