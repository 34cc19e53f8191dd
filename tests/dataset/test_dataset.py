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
from motrace.dataset.tables import RunKey
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


def changed(path: Path, **facts: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both recordings, others hold the cores in one run; one of the same name without an undisturbed run; a file."""
    traces = tmp_path_factory.mktemp("dataset") / "traces"
    for name in ("demo-llvmpipe", "nsys-llvmpipe"):
        copy(name, traces / name)
    manifest = traces / "nsys-llvmpipe/01-record/run.json"
    used = json.loads(manifest.read_text())["resources"]
    changed(manifest, resources={**used, "others_cpu_ns": 2 * CONTENDED_NS, "cores": 2})
    cut = copy("nsys-llvmpipe", traces / "more/nsys-llvmpipe")
    changed(cut / "experiment.json", experiment_id="cut")
    for run in ("01-record", "04-record"):
        changed(cut / run / "run.json", status="interrupted", status_reason="Ctrl-C")
    for run in ("02-none", "03-none"):
        changed(cut / run / "run.json", profiler_attached=True)
    shutil.copytree(cut / "05-record-nsys", cut / "06-record-nsys", ignore=shutil.ignore_patterns("nsys_pqtdir"))
    assert analyze.main([str(traces)]) == 0
    alone = shutil.copytree(cut / "05-record-nsys/nsys_pqtdir", traces / "files/frames_pqtdir")
    shutil.copytree(alone, alone.with_name("no_frames_pqtdir"), ignore=shutil.ignore_patterns("NVTX*"))
    assert analyze.main([str(alone.parent)]) == 0
    return traces


def rows_of(statement: str, traces: Path) -> dict[tuple[str, str, str | None], dict[str, Any]]:
    """The rows of a statement of docs/sql.md, by experiment's id, pool and its own key (bucket or phase)."""
    statements = re.findall(r"## (\w+)\n.*?```sql\n(.*?)```", (ROOT / "docs/sql.md").read_text(), re.DOTALL)
    answer = duckdb.sql(dict(statements)[statement].replace("'traces/", f"'{traces}/"))
    found = [dict(zip(answer.columns, row)) for row in answer.fetchall()]
    pool = lambda row: " under ".join((row["mode"], *row.get("profilers", ())))
    rows = {(row["experiment_id"], pool(row), row.get("bucket", row.get("phase"))): row for row in found}
    assert len(rows) == len(found)
    return rows


def pools_of(traces: Path) -> dict[tuple[str, str], Pool]:
    reports = [read_report(path.parent) for path in traces.rglob("analysis/**/report.json")]
    assert sorted(report.experiment for report in reports) == [
        "demo-llvmpipe", "frames_pqtdir", "no_frames_pqtdir", "nsys-llvmpipe", "nsys-llvmpipe",
    ]  # fmt: skip
    return {(report.experiment_id, name): pool for report in reports for name, pool in pools(report).items()}


def test_one_statement_gives_every_number_of_the_buckets(traces: Path) -> None:
    rows = rows_of("Buckets", traces)
    expected = {(*key, one.bucket): one for key, pool in pools_of(traces).items() for one in pool.buckets}
    assert len(expected) == len(BUCKETS) * 10 and rows.keys() == expected.keys()
    for key, one in expected.items():
        found = [rows[key][name] for name in ("ns", "lo_ns", "hi_ns", "loop_ns")]
        assert found == [one.time.ns, one.time.lo_ns, one.time.hi_ns, one.loop_ns], key
        shares = [rows[key][name] for name in ("share", "lo", "hi")]
        assert shares == pytest.approx([one.share, one.lo_share, one.hi_share]), key
    contended = Dataset.read(traces / "nsys-llvmpipe")
    record = (contended.runs[0].experiment_id, "record")
    assert contended.tables["runs"].column("contention_ns").to_pylist() == [CONTENDED_NS, 0, 0, 0, 0]
    assert rows[(*record, "system")]["hi_ns"] - rows[(*record, "system")]["ns"] >= CONTENDED_NS


def test_one_statement_gives_every_number_of_the_transferred_composition(traces: Path) -> None:
    rows = rows_of("Composition", traces)
    composed = {key: pool.composed for key, pool in pools_of(traces).items() if pool.composed is not None}
    expected = {(*key, one.bucket): one for key, made in composed.items() for one in made.buckets if one.time.hi_ns}
    assert len(composed) >= 2 and set(expected) <= set(rows)
    for key, row in rows.items():
        one = composed[key[:2]].bucket(str(key[2]))
        assert [row["ns"], row["lo_ns"], row["hi_ns"]] == [one.time.ns, one.time.lo_ns, one.time.hi_ns], key
        assert row["share"] == pytest.approx(one.share), key


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
    whole = Dataset.read(f"{traces}/*-llvmpipe/analysis")
    assert len(whole.runs) == 11 and {key.experiment for key in whole.runs} == {"demo-llvmpipe", "nsys-llvmpipe"}
    assert all(table.schema.names[:3] == list(RunKey._fields) for table in whole.tables.values())
    whole.write(tmp_path)
    again = Dataset.read(tmp_path)
    for name in SCHEMAS:
        assert again.table(name).to_pylist() == whole.table(name).to_pylist(), name
    assert again.table("api_calls").num_rows and set(again.table("api_calls").column("experiment").to_pylist()) == {
        "nsys-llvmpipe"
    }


def test_two_experiments_of_one_name_never_mix(traces: Path, tmp_path: Path) -> None:
    """Analysed one by one, they have names alike and other ids, with and without experiment.json; so have files."""
    found: dict[Path, str] = {}
    for name, run in (("demo-llvmpipe", "02-none"), ("nsys-llvmpipe", "02-none")):
        home = copy(f"{name}/{run}", tmp_path / name / "same" / run).parent
        assert analyze.main([str(home)]) == 0
        found[home] = read_report(home / "analysis").experiment_id
        file = home.with_name("x.txt")
        file.write_text(f"main (a.py:1);step (a.py:{len(found)}) 5\n")
        assert analyze.main([str(file)]) == 0
        found[file] = read_report(home.parent / "analysis/x.txt").experiment_id
    both = Dataset.read(tmp_path / "*/same")
    assert len(set(found.values())) == 4 and len(both.runs) == 2
    assert {(key.experiment, key.run, key.experiment_id) for key in both.runs} == {
        ("same", "02-none", found[home]) for home in found if home.is_dir()
    }
    assert len(Dataset.read(tmp_path / "*/analysis").table("samples")) == 2
    shutil.copytree(tmp_path / "demo-llvmpipe/analysis", tmp_path / "twice/analysis")
    with pytest.raises(MotraceError, match=r"both hold run x.txt of the experiment x.txt .*: remove one of them"):
        Dataset.read(tmp_path / "*/analysis")
    again = copy("nsys-llvmpipe/02-none", tmp_path / "moved" / "02-none").parent
    assert analyze.main([str(again)]) == 0 and load(again).report.experiment_id in found.values()
    with pytest.raises(MotraceError, match=r"both hold run 02-none of the experiment .*: remove one of them"):
        Dataset.read(tmp_path)


def test_what_was_recorded_says_name_and_id(tmp_path: Path) -> None:
    home = copy("demo-llvmpipe", tmp_path / "renamed")
    one = load(home)
    assert one.report.experiment == "demo-llvmpipe"
    assert {key[::2] for key in one.dataset.runs} == {(one.report.experiment, one.report.experiment_id)}
    assert load(home / "03-none").report.experiment_id == one.report.experiment_id
    changed(home / "experiment.json", experiment_id="0123")
    assert load(home).report.experiment_id == "0123"


def test_names_are_told_apart() -> None:
    assert told_apart(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-2", "a-2-2", "a-3"]


def test_results_of_another_version_are_refused(traces: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MotraceError, match="holds no analysis"):
        Dataset.read(tmp_path / "empty")
    duckdb.sql(
        f"COPY (SELECT * EXCLUDE experiment_id FROM '{traces}/demo-llvmpipe/analysis/frames.parquet') "
        f"TO '{tmp_path / 'frames.parquet'}'"
    )
    with pytest.raises(MotraceError, match="another version of motrace"):
        Dataset.read(tmp_path)


def test_what_a_run_was_asked_is_shown_without_credentials_and_as_text(tmp_path: Path) -> None:
    manifest = copy("nsys-llvmpipe/02-none", tmp_path / "02-none") / "run.json"
    options = {"api_key": "word", "frames": 5}
    changed(manifest, status_reason=f"no file {tmp_path}/weights\udcff", options=options)
    (row,) = load(tmp_path).tables["runs"].to_pylist()
    assert (row["experiment"], row["status_reason"]) == (tmp_path.name, "no file weights\\udcff")
    assert json.loads(row["options"]) == {"api_key": "[redacted]", "frames": 5} and row["frames_asked"] == 5


def test_a_table_that_does_not_exist_is_named_with_those_that_do(traces: Path) -> None:
    with pytest.raises(MotraceError, match=r"there is no table 'frmes'; choose from api_calls, attribution, .*frames"):
        Dataset.read(traces / "nsys-llvmpipe").table("frmes")
