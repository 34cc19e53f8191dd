"""report.json is written and read by its schema alone."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import jsonschema
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


def test_the_published_schema_holds_of_a_report_and_of_nothing_near_it(report: Report) -> None:
    schema = json.loads(json_schema())
    assert schema["$ref"] == "#/$defs/Report" and schema["$id"] == "urn:motrace:report:2.2" and schema["title"]
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = jsonschema.Draft202012Validator(schema).is_valid
    data = json.loads(encode(report))
    assert valid(data)
    for path, value in (("runs", 0, "frames"), -1), (("pools", 0, "causes", 0, "time", "lo_ns"), -1), (
        ("runs", 0, "no_such_key"), 1), (("schema_version",), "2.21"):  # fmt: skip
        broken = deepcopy(data)
        at = broken
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        assert not valid(broken), path


def test_what_breaks_the_schema_is_not_written(report: Report) -> None:
    first, *others = report.runs
    for value in ("many", float("nan")):
        bad: Any = replace(first, loop_fps=value)
        with pytest.raises(MotraceError, match=r"would break its schema|does not read back"):
            encode(replace(report, runs=(bad, *others)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema_version": "1.0"}, "of schema 1.0, not 2.2: analyse"),
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
