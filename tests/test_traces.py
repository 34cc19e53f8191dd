"""The committed recordings: small, clean of the machine they were made on, and every nanosecond attributed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motrace.analysis import Analysis, load
from motrace.findings.run_model import Composition, Pool
from motrace.vocabulary import EvidenceKind
from tests.conftest import ROOT
from tests.reports import phases, pools, segments

MOST_BYTES = 2_000_000
ENVIRONMENT = re.compile(rb"(?:^|[^A-Z_])(?:PATH|HOME|PWD|LD_LIBRARY_PATH|USER|HOSTNAME)=")


def experiments() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "traces"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({ROOT / Path(*Path(line).parts[:2]) for line in listed.splitlines() if len(Path(line).parts) > 2})


@pytest.fixture(params=experiments(), ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def analysis(folder: Path) -> Analysis:
    return load(folder)


def readable(path: Path) -> bytes:
    """What a file says: Parquet is compressed, so its texts are taken out."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    table = pq.read_table(path)
    texts = [column for column in table.columns if pa.types.is_string(column.type)]
    return "\n".join(str(text) for column in texts for text in column.to_pylist()).encode()


def test_there_is_one() -> None:
    assert experiments()


def test_it_is_small(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and "analysis" not in path.parts]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_nothing_of_the_machine_is_in_it(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            content = readable(path)
            assert not ENVIRONMENT.search(content), path
            assert b"/root/" not in content and b"/home/" not in content and b"/work/" not in content, path


def test_every_nanosecond_is_attributed(analysis: Analysis) -> None:
    for run in analysis.report.runs:
        assert run.status == "completed" and run.residual_ns == 0
        assert sum(segments(run).values()) == run.run_wall_ns
    rows = analysis.tables["attribution"].to_pandas()
    assert (rows["lo_ns"] <= rows["ns"]).all() and (rows["ns"] <= rows["hi_ns"]).all()


def test_it_shows_what_readme_says(analysis: Analysis) -> None:
    assert set(pools(analysis.report)) - {"record under nsys"} == {"record", "none"}
    contrast = analysis.report.comparison.record_against_none
    assert contrast is not None and contrast.frame_ns.lo is not None
    assert analysis.report.same_states is True
    record = pools(analysis.report)["record"]
    assert phases(record)["capture"].share > 0.5
    assert all(
        run.video is not None and run.video.blank_frames == 0 for run in analysis.report.runs if run.mode == "record"
    )


def test_scheduling_narrows_what_cpu_clocks_leave_open() -> None:
    """The recording with a pass under Nsight Systems, read without nsys: unprofiled bounds against transferred ones."""
    report = load(ROOT / "traces/nsys-llvmpipe").report
    record = pools(report)["record"]
    assert record.composed is not None and EvidenceKind.SCHEDULING in record.composed.evidence
    (profiled,) = record.composed.runs
    (clock,) = (one for one in report.clocks if (one.run_id, one.source) == (profiled, "nsys"))
    assert clock.error_ns < 50_000

    def width(of: Pool | Composition) -> float:
        return sum(one.hi_share - one.lo_share for one in of.buckets)

    assert width(record.composed) < 0.25 * width(record)
