"""Many experiments in one dataset: runs never mix, and SQL over the files gives the report's numbers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from motrace.analysis import load
from motrace.commands import analyze
from motrace.dataset.dataset import Dataset, told_apart
from motrace.dataset.schemas import SCHEMAS
from motrace.errors import MotraceError
from motrace.findings.run_model import Pool
from motrace.vocabulary import BUCKETS
from tests.conftest import ROOT
from tests.reports import pools, read_report

CONTENDED_NS = 300_000_000
DISTRIBUTION = ("total_ns", "mean_ns", "p50_ns", "p95_ns", "p99_ns", "max_ns")


def copy(name: str, target: Path) -> Path:
    shutil.copytree(ROOT / "traces" / name, target, ignore=shutil.ignore_patterns("analysis"))
    return target


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both recordings, analysed in one command; in one run others held the cores for a while."""
    traces = tmp_path_factory.mktemp("dataset") / "traces"
    for name in ("demo-llvmpipe", "nsys-llvmpipe"):
        copy(name, traces / name)
    manifest = traces / "nsys-llvmpipe/01-record/run.json"
    run = json.loads(manifest.read_text())
    run["resources"] |= {"others_cpu_ns": 2 * CONTENDED_NS, "cores": 2}
    manifest.write_text(json.dumps(run))
    assert analyze.main([str(traces)]) == 0
    return traces


def rows_of(statement: str, traces: Path) -> dict[tuple[str, str, str | None], dict[str, Any]]:
    """The rows of a statement of docs/sql.md, by experiment, pool and its own key (bucket or phase)."""
    statements = re.findall(r"## (\w+)\n.*?```sql\n(.*?)```", (ROOT / "docs/sql.md").read_text(), re.DOTALL)
    answer = duckdb.sql(dict(statements)[statement].replace("'traces/", f"'{traces}/"))
    found = [dict(zip(answer.columns, row)) for row in answer.fetchall()]
    pool = lambda row: " under ".join((row["mode"], *row["profilers"]))
    return {(row["experiment"], pool(row), row.get("bucket", row.get("phase"))): row for row in found}


def pools_of(traces: Path) -> dict[tuple[str, str], Pool]:
    folders = [path.parent for path in traces.glob("*/analysis/report.json")]
    return {(folder.parent.name, name): pool for folder in folders for name, pool in pools(read_report(folder)).items()}


def test_one_statement_gives_every_number_of_the_buckets(traces: Path) -> None:
    rows = rows_of("Buckets", traces)
    expected = {(*key, one.bucket): one for key, pool in pools_of(traces).items() for one in pool.buckets}
    assert len(expected) == len(BUCKETS) * 5 and rows.keys() == expected.keys()
    for key, one in expected.items():
        found = [rows[key][name] for name in ("ns", "lo_ns", "hi_ns", "loop_ns")]
        assert found == [one.time.ns, one.time.lo_ns, one.time.hi_ns, one.loop_ns], key
        shares = [rows[key][name] for name in ("share", "lo", "hi")]
        assert shares == pytest.approx([one.share, one.lo_share, one.hi_share]), key
    contended, record = Dataset.read(traces / "nsys-llvmpipe"), ("nsys-llvmpipe", "record")
    assert contended.tables["runs"].column("contention_ns").to_pylist() == [CONTENDED_NS, 0, 0, 0, 0]
    assert rows[(*record, "system")]["hi_ns"] - rows[(*record, "system")]["ns"] >= CONTENDED_NS


def test_one_statement_gives_every_number_of_the_phases(traces: Path) -> None:
    rows = rows_of("Phases", traces)
    expected = {
        (*key, phase): (time, share)
        for key, pool in pools_of(traces).items()
        for phase, time, share in [
            (None, pool.frame, pool.frame_share),
            *((p.phase, p.time, p.share) for p in pool.phases),
        ]
    }
    assert len(expected) > 30 and rows.keys() == expected.keys()
    for key, (time, share) in expected.items():
        for name in DISTRIBUTION:
            assert rows[key][name] == pytest.approx(getattr(time, name), abs=1), (key, name)
        assert rows[key]["share"] == pytest.approx(share)


def test_a_dataset_reads_back_what_was_written(traces: Path, tmp_path: Path) -> None:
    whole = Dataset.read(f"{traces}/*/analysis")
    assert len(whole.runs) == 11 and {key.experiment for key in whole.runs} == {"demo-llvmpipe", "nsys-llvmpipe"}
    assert all(table.schema.names[:2] == ["experiment", "run"] for table in whole.tables.values())
    whole.write(tmp_path)
    again = Dataset.read(tmp_path)
    for name in SCHEMAS:
        assert again.table(name).to_pylist() == whole.table(name).to_pylist(), name
    assert again.table("api_calls").num_rows and set(again.table("api_calls").column("experiment").to_pylist()) == {
        "nsys-llvmpipe"
    }


def test_two_experiments_of_one_name_never_mix(tmp_path: Path) -> None:
    homes = [copy("nsys-llvmpipe", tmp_path / part / "same") for part in ("a", "b")]
    for home in homes:
        for run in ("02-none", "03-none", "04-record", "05-record-nsys"):
            shutil.rmtree(home / run)
    assert analyze.main([*map(str, homes), "--out", str(tmp_path / "out")]) == 0
    assert Dataset.read(tmp_path / "out").runs == [("same", "01-record"), ("same-2", "01-record")]
    for home in homes:
        assert analyze.main([str(home)]) == 0
    with pytest.raises(MotraceError, match="two experiments called same hold a run 01-record: rename"):
        Dataset.read(tmp_path / "[ab]")


def test_names_are_told_apart() -> None:
    assert told_apart(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-2", "a-2-2", "a-3"]


def test_results_of_another_version_are_refused(traces: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MotraceError, match="holds no analysis"):
        Dataset.read(tmp_path / "empty")
    duckdb.sql(
        f"COPY (SELECT * EXCLUDE experiment FROM '{traces}/demo-llvmpipe/analysis/frames.parquet') "
        f"TO '{tmp_path / 'frames.parquet'}'"
    )
    with pytest.raises(MotraceError, match="another version of motrace"):
        Dataset.read(tmp_path)


def test_what_a_run_was_asked_is_shown_without_credentials_and_as_text(tmp_path: Path) -> None:
    manifest = copy("nsys-llvmpipe/02-none", tmp_path / "02-none") / "run.json"
    run = json.loads(manifest.read_text())
    run |= {"status_reason": f"no file {tmp_path}/weights\udcff", "options": {"api_key": "word", "frames": 5}}
    manifest.write_text(json.dumps(run))
    (row,) = load(tmp_path).tables["runs"].to_pylist()
    assert (row["experiment"], row["status_reason"]) == (tmp_path.name, "no file weights\\udcff")
    assert json.loads(row["options"]) == {"api_key": "[redacted]", "frames": 5} and row["frames_asked"] == 5
