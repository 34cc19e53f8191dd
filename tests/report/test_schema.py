"""report.json is written and read by its schema alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from motrace.analysis import load
from motrace.errors import MotraceError
from motrace.findings.model import Report
from motrace.report.schema import decode, encode, json_schema
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def report() -> Report:
    return load(ROOT / "traces/nsys-llvmpipe").report


def test_a_report_reads_back_as_it_was_written(report: Report) -> None:
    assert decode(encode(report), "report.json", Report) == report
    assert json.loads(json_schema())["$ref"] == "#/$defs/Report"


def test_what_breaks_the_schema_is_not_written(report: Report) -> None:
    first, *others = report.runs
    for value in ("many", float("nan")):
        bad: Any = replace(first, loop_fps=value)
        with pytest.raises(MotraceError, match=r"would break its schema|does not read back"):
            encode(replace(report, runs=(bad, *others)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema_version": "1.0"}, "of schema 1.0, not 2.1: analyse"),
        ({"runs": 5}, "report.json can't be read"),
        ({"warnings": [{"code": "no such code"}]}, "report.json can't be read"),
    ],
)
def test_what_breaks_the_schema_is_not_read(report: Report, change: dict[str, Any], why: str) -> None:
    text = json.dumps({**json.loads(encode(report)), **change})
    with pytest.raises(MotraceError, match=why):
        decode(text, "report.json", Report)


def test_numbers_that_contradict_each_other_are_not_read(report: Report) -> None:
    """Invariants hold on reading too: a bucket above its upper bound, segments that don't add up."""
    for path in (("buckets", 0, "time", "hi_ns"), ("segments", 0, "wall_ns")):
        data = json.loads(encode(report))
        at = data["runs"][0]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = -1
        with pytest.raises(MotraceError, match=r"report\.json can't be read"):
            decode(json.dumps(data), "report.json", Report)
