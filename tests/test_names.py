"""A program may call its spans, ranges and annotations whatever it likes: no name is one of ours."""

from __future__ import annotations

import json
import keyword
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import motrace
from motrace.analysis import load
from motrace.commands import analyze, compare
from motrace.dataset import tables
from motrace.dataset.frames import phase_column, wide
from motrace.report.schema import encode
from tests.conftest import ROOT
from tests.readers.exports import Export
from tests.reports import phases, read_report

FRAMES = 4
STEP_NS = 20_000


def report_keys() -> set[str]:
    """Every key of a report: of a demo's, all the way down."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found.update([key] if isinstance(key, str) else [])
            if isinstance(inner, dict | list):
                walk(inner)

    walk(json.loads(encode(load(ROOT / "traces/demo-llvmpipe").report)))
    return found


NAMES = sorted(
    {name for schema in tables.SCHEMAS.values() for name in schema.names}
    | {*tables.SCHEMAS["frames"].names, *report_keys(), *keyword.kwlist}
    | {"wall", "phase run", "phase phase run", "phase ", "ns", "items", "keys", "self", "loop", "glue", "unattributed"}
    | {"a b", "a.b", "ü", "名前", "None", "__class__", "loop and drain", "[/]", "[bold]", "a|b", "<b>", "0", "-"}
    | {"{{ x }}", "%s"}
)  # fmt: skip
PLAIN = sorted({re.sub(r"\d+", "#", name) for name in NAMES})


def recorded(folder: Path) -> Path:
    motrace.start(folder)
    for number in range(FRAMES):
        with motrace.frame():
            for name in NAMES:
                with motrace.span(name), motrace.span(NAMES[number]):
                    sum(range(200))
    motrace.stop()
    return folder


def exported(folder: Path) -> Path:
    export, now = Export(), 1000
    for _ in range(FRAMES):
        start = now
        for name in NAMES:
            export.range(now, now + STEP_NS, name)
            now += STEP_NS
        export.range(start - 1, now + 1, "iteration of the loop")
        now += STEP_NS
    folder.mkdir()
    return export.sqlite(folder / "report1.sqlite")


def annotated(folder: Path) -> Path:
    events, now = [], 1e15

    def add(name: str, start: float, end: float) -> None:
        event = {"ph": "X", "cat": "user_annotation", "name": name, "pid": 7, "tid": 7}
        events.append({**event, "ts": start, "dur": end - start, "args": {}})

    for _ in range(FRAMES):
        start = now
        for name in NAMES:
            add(name, now, now + 20)
            now += 20
        add("iteration of the loop", start - 1, now + 1)
        now += 20
    folder.mkdir()
    path = folder / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    return path


@pytest.mark.parametrize("source", [recorded, exported, annotated])
def test_no_name_is_one_of_ours(source: Any, tmp_path: Path) -> None:
    path, out = source(tmp_path / "in"), tmp_path / "out"
    assert analyze.main([str(path), "--out", str(out)]) == 0
    report = read_report(out)
    (run,) = report.runs
    assert run.residual_ns == 0 and run.frames == FRAMES
    expected = NAMES if source is recorded else PLAIN
    (pool,) = report.pools
    assert set(expected) <= set(phases(run)) and set(expected) <= set(phases(pool))
    frames = wide(*(pq.read_table(out / f"{name}.parquet") for name in ("frames", "frame_phases")))
    assert len(set(frames.column_names)) == len(frames.column_names)
    for name in expected:
        times = frames[phase_column(name)].to_pylist()
        assert sum(times) == phases(run)[name].time.total_ns > 0, name
    assert "名前" in (out / "report.md").read_text() and "名前" in (out / "report.html").read_text()
    assert compare.main([str(path), str(path)]) == 0


def test_columns_of_phases_are_told_apart() -> None:
    columns = [phase_column(name) for name in NAMES]
    assert len({*columns, *tables.SCHEMAS["frames"].names}) == len(NAMES) + len(tables.SCHEMAS["frames"].names)
    assert phase_column("capture") == "capture"
