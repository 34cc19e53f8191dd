"""A file or a run that can't be read or analysed is left out by name; everything else is analysed."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

import motrace
from motrace import analysis
from motrace.commands import analyze
from motrace.findings.model import Report
from motrace.report.say import say
from tests.conftest import ROOT
from tests.readers.exports import Export
from tests.reports import read_report, said

DEEP = b"[" * 100_000


def noise(count: int = 5000) -> bytes:
    return random.Random(20261125).randbytes(count)


def run_json(**fields: Any) -> Callable[[Path], object]:
    """Sets fields of a run's manifest."""

    def change(run: Path) -> None:
        path = run / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def file(name: str, content: bytes) -> Callable[[Path], object]:
    """Puts a file into a run's folder, in place of what matches there."""

    def change(run: Path) -> None:
        for path in [*run.glob(name)] or [run / name]:
            path.write_bytes(content)

    return change


def after_header(name: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        for path in run.glob(name):
            path.write_bytes(path.read_bytes()[:256] + noise())

    return change


WRONG: tuple[Any, ...] = (5, "x", [], ["x"], {"x": "y"}, True, 1e300, -1)
FIELDS = (
    "clocks", "options", "process", "workload", "resources", "adapter", "video", "instrument", "nvtx", "collectors",
    "collect", "mode", "status", "status_reason", "run_id", "environment", "observer", "artifacts",
)  # fmt: skip
SPEEDSCOPE = b'{"$schema": "https://www.speedscope.app/file-format-schema.json", "exporter": "py-spy", '
FILES = {  # what a warning calls it, and how one begins that a reader trusts
    "spans-*.bin": ("spans-", b""),
    "cpu-*.bin": ("cpu-", b""),
    "run.json": ("run.json", b'{"run_id": "\\ud800", '),
    "episodes.json": ("episodes.json", DEEP),
    "nsys.sqlite": ("nsys.sqlite", b"SQLite format 3\0"),
    "nsys.nsys-rep": ("nsys.nsys-rep", b""),
    "py-spy.speedscope.json": ("py-spy", SPEEDSCOPE),
    "mine.json": ("mine.json", b'{"schemaVersion": 1, "traceEvents": ' + DEEP),
    "torch.json": ("torch.json", b'{"schemaVersion": 1, "traceEvents": [5]}'),
    "scalene.json": ("scalene.json", b'{"elapsed_time_sec": 1, "files": 5}'),
    "threads.arrow": ("threads.arrow", b"ARROW1"),
    "gpu.arrow": ("gpu.arrow", b"ARROW1"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of two runs."""
    home = tmp_path_factory.mktemp("whole") / "e"
    for _ in range(2):
        motrace.start(home)
        for _ in range(4):
            with motrace.frame(), motrace.span("step"):
                sum(range(20_000))
        motrace.stop()
    shutil.copy(ROOT / "traces/demo-llvmpipe/experiment.json", home)
    return home


def analysed(home: Path, *words: str) -> tuple[int, Report]:
    out = home.parent / "out"
    status = analyze.main([str(home), "--out", str(out), *words])
    assert (out / "report.md").exists() and (out / "report.html").exists()
    return status, read_report(out)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("head", [True, False])
def test_a_file_of_a_run(whole: Path, tmp_path: Path, capsys: Any, name: str, head: bool) -> None:
    """Random bytes, with and without a beginning that a reader trusts."""
    shutil.copytree(whole, tmp_path / "e")
    called, begins = FILES[name]
    if head and "*" in name:
        after_header(name)(tmp_path / "e/02")
    else:
        file(name, (begins if head else b"") + noise())(tmp_path / "e/02")
    status, report = analysed(tmp_path / "e")
    assert status == 0 and report.runs[0].run_id == "01"
    told = capsys.readouterr().out
    if head or name != "mine.json":  # bytes that are nobody's
        assert any(called in text for text in said(report)) and called in told


def test_what_is_cut_off_or_says_nothing_is_named(whole: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copytree(whole, tmp_path / "e")
    with closing(sqlite3.connect(tmp_path / "whole.sqlite")) as db:
        for number in range(50):
            db.execute(f"CREATE TABLE T{number} (start INTEGER, end INTEGER)")
    (tmp_path / "e/cut.sqlite").write_bytes((tmp_path / "whole.sqlite").read_bytes()[:3000])
    (tmp_path / "e/cut.json").write_bytes(SPEEDSCOPE.replace(b'"exporter": "py-spy"', b'"profiles": ['))
    run_json(status=None)(tmp_path / "e/02")
    (tmp_path / "whole.sqlite").unlink()
    _, report = analysed(tmp_path / "e")
    for named in ("cut.sqlite", "cut.json", "02: run.json holds no status"):
        assert any(named in text for text in said(report)), said(report)


def test_manifests_of_wrong_types(whole: Path, tmp_path: Path) -> None:
    """Whatever a field holds: every run is there, and the field is named where it was left out."""
    home = tmp_path / "e"
    shutil.copytree(whole / "01", home / "good")
    names = []
    for field in FIELDS:
        for number, value in enumerate(WRONG):
            names.append(f"{field} {number}")
            shutil.copytree(whole / "02", home / names[-1])
            run_json(**{"run_id": names[-1], field: value})(home / names[-1])
    status, report = analysed(home)
    found = {run.run_id for run in report.runs}
    assert status == 0 and "01" in found and found >= {name for name in names if not name.startswith("run_id")}
    warned = {run.run_id: " ".join(say(one.code, one.values) for one in run.warnings) for run in report.runs}
    for name in names:
        field, number = name.split()
        if number == "0" and field not in ("run_id", "artifacts"):  # 5 is what none of them can hold
            assert f"run.json: {field} is left out: expected" in warned[name]


@pytest.mark.parametrize("field", ["runs", "environment", "command", "experiment"])
def test_an_experiment_of_wrong_types(whole: Path, tmp_path: Path, field: str) -> None:
    for number, value in enumerate((5, "x", ["x"], {"x": "y", "gpus": 5}, {"packages": [1], "warnings": 5})):
        home = tmp_path / str(number) / "e"
        shutil.copytree(whole, home)
        path = home / "experiment.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
        status, report = analysed(home)
        assert status == 0 and len(report.runs) == 2, (field, value)


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), RecursionError("deep"), OSError(5, "io")])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_any_error_in_the_analysis_of_one_run(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, error: Exception, jobs: str
) -> None:
    honest = analysis.build_tables

    def fails(run: Any) -> Any:
        if run.run_id == "02":
            raise error
        return honest(run)

    monkeypatch.setattr(analysis, "build_tables", fails)
    shutil.copytree(whole, tmp_path / "e")
    status, report = analysed(tmp_path / "e", "--jobs", jobs)
    (run,) = report.runs
    assert status == 0 and run.run_id == "01"
    (warning,) = (text for text in said(report) if text.startswith("02: "))
    shown = capsys.readouterr()
    assert type(error).__name__ in warning and warning in shown.out.replace("\n", " ") and "Traceback" not in shown.err
    assert warning in (tmp_path / "out/report.md").read_text()
    monkeypatch.setenv("MOTRACE_DEBUG", "")  # to be as before after the test
    analysed(tmp_path / "e", "--debug")
    assert "Traceback" in capsys.readouterr().err


def test_an_experiment_or_a_path_that_fails_is_named(whole: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copytree(whole, tmp_path / "a/good")
    (tmp_path / "a/bad/01").mkdir(parents=True)
    (tmp_path / "a/bad/01/run.json").write_text("{}")
    assert analyze.main([str(tmp_path / "a"), str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr().err
    assert "a/bad" in shown and "nowhere: no such file or folder" in shown
    assert (tmp_path / "out/good/report.html").exists()


def test_names_that_are_not_utf8(whole: Path, tmp_path: Path, capsys: Any) -> None:
    """Of the experiment, of runs that say no other, of traces in each form, of users' files, of the results."""
    here = Path(os.fsdecode(os.fsencode(tmp_path) + b"/here\xff"))
    experiment = here / os.fsdecode(b"e\xfe")
    shutil.copytree(whole, experiment)
    for run in sorted(experiment.glob("*/run.json")):
        run.unlink()
        run.parent.rename(run.parent.with_name(run.parent.name + os.fsdecode(b"\xff")))
    tables = ROOT / "traces/nsys-llvmpipe/05-record-nsys/nsys_pqtdir"
    shutil.copytree(tables, here / os.fsdecode(b"p\xff_pqtdir"))
    arrow = here / os.fsdecode(b"a\xff")
    arrow.mkdir()
    for path in tables.glob("*.parquet"):
        table = pq.read_table(path)
        with (arrow / f"{path.stem}.arrow").open("wb") as out, ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    export = Export()
    for start in (0, 20):
        export.osrt(start, start + 10, "read")
    export.sqlite(here / os.fsdecode(b"s\xff.sqlite"))
    (here / os.fsdecode(b"o\xff.txt")).write_text("main (x.py:1);f (x.py:2) 3\n")
    out = str(here / os.fsdecode(b"out\xff"))
    assert analyze.main([str(here), "--out", out]) == 0, capsys.readouterr().err
    assert len(list(Path(out).glob("*/report.html"))) == 5
    assert analyze.main([str(here), "--sums", "--out", out]) == 0, capsys.readouterr().err
