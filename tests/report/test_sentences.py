"""Every code has a sentence, and every field of a sentence is a value that its code says it has."""

from __future__ import annotations

import ast
import re
import string
from enum import Enum
from pathlib import Path

import pytest

from motrace import cautions
from motrace.findings import benchmark_codes, codes
from motrace.report.say import FORMATS, SENTENCES, say

MADE_OF_THE_REPORT = {"first", "second", "bucket", "meaning", "doubt", "aligned_by", "error_ns"}
"""Fields that the renderer fills from the finding itself, not from the values of its code."""
MODULES = (cautions, codes, benchmark_codes)


def documented() -> dict[tuple[str, str], set[str]]:
    """The names in backticks of the docstring of each member of each enum."""
    found: dict[tuple[str, str], set[str]] = {}
    for module in MODULES:
        for node in ast.parse(Path(str(module.__file__)).read_text()).body:
            member = ""
            for line in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                    member = line.targets[0].id
                elif member and isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
                    found[node.name, member] = set(re.findall(r"``([a-z_0-9]+)``", str(line.value.value)))
    return found


def test_every_kind_of_code_has_sentences() -> None:
    kinds = {
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Enum) and value.__module__ == module.__name__
    }
    assert kinds <= set(SENTENCES)


@pytest.mark.parametrize("code", [code for kind in SENTENCES for code in kind], ids=str)
def test_every_code_has_a_sentence_without_an_unfilled_field(code: Enum) -> None:
    known = documented()
    sentence = SENTENCES[type(code)][code]
    fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(sentence) if name is not None]
    names = {name for name, _ in fields}
    assert names <= known.get((type(code).__name__, code.name), set()) | MADE_OF_THE_REPORT, names
    assert all(not spec or spec in FORMATS for _, spec in fields)
    text = say(code, dict.fromkeys(names, 1))
    assert text and "{" not in text
    assert not text.endswith(".")


def test_a_missing_value_is_said_and_a_hostile_one_is_text() -> None:
    assert say(cautions.CautionCode.NO_VIDEO) == "no video: not known"
    assert say(cautions.CautionCode.NO_VIDEO, {"reason": "{0.__class__} {x}"}) == "no video: {0.__class__} {x}"
