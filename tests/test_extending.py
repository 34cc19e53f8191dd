"""docs/extending.md is followed to the letter in a copy of the repository, and everything holds there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs/extending.md").read_text()
BLOCKS = re.findall(r"^```(python|diff)\n(?:# |\+\+\+ )(\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NEW = [path for kind, path, _ in BLOCKS if kind == "python"]
TESTS = [path for path in NEW if path.startswith("tests/")]
HOUSE = ["tests/test_layers.py", "tests/test_house.py", "tests/test_docs.py"]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with the page's files and changes."""
    copy = tmp_path_factory.mktemp("extended")
    for folder in ("src", "tests", "tools", "docs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    for name in ("traces", "notebooks", "benchmarks"):
        (copy / name).symlink_to(ROOT / name)
    for kind, path, text in BLOCKS:
        if kind == "python":
            assert not (copy / path).exists(), f"{path} is there already"
            (copy / path).write_text(text.lstrip("\n"))
        else:
            (copy / path).write_text(changed((copy / path).read_text(), path, text))
    run(copy, "tools.make_docs")
    return copy


def changed(text: str, path: str, diff: str) -> str:
    """A file's text after a change; what is taken away, and what stands around it, must be there once."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in marks) for marks in (" -", " +"))
        assert text.count(before) == 1, f"{path} does not hold once:\n{before}"
        text = text.replace(before, after)
    return text


def run(folder: Path, module: str, *words: str) -> None:
    """Run a module in the copy."""
    path = os.pathsep.join((str(folder / "src"), str(folder)))
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{module}: {done.stdout[-5000:]}{done.stderr[-2000:]}"


def test_each_part_has_a_test() -> None:
    assert [part for part in PAGE.split("\n## ")[1:] if "\n# tests/" not in part] == []


def test_the_examples_and_the_house_hold(extended: Path) -> None:
    run(extended, "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS, *HOUSE)


def test_the_examples_are_in_the_house_style(extended: Path) -> None:
    for words in (("check",), ("format", "--check")):
        run(extended, "ruff", *words, "--no-cache", *sorted({path for _, path, _ in BLOCKS if path.endswith(".py")}))
