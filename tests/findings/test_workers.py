"""Who worked in a phase, by name and library: on a committed recording, against the table that it is made of."""

from __future__ import annotations

import pytest

from motrace.analysis import load
from motrace.findings.values import Worker
from motrace.findings.workers import merged
from tests.conftest import ROOT
from tests.reports import pools


def test_the_rasterizers_threads_are_named_with_their_library() -> None:
    one = load(ROOT / "traces/demo-llvmpipe")
    (run,) = [run for run in one.report.runs if run.run_id == "01-record"]
    best = max((worker for worker in run.workers if worker.name == "llvmpipe-0"), key=lambda worker: worker.cpu_ns)
    assert (best.phase, best.library, best.role, best.is_child) == ("capture", "libvulkan_lvp.so", "raster", False)
    threads = one.tables["threads"].to_pandas().query("run == '01-record' and name == 'llvmpipe-0'")["tid"].tolist()
    spans = one.tables["spans"].to_pandas().query("run == '01-record' and name == 'capture'")
    used = one.tables["thread_cpu"].to_pandas().query("run == '01-record'")
    used = used[used.tid.isin(threads)]
    loop = one.tables["segments"].to_pandas().query("run == '01-record' and segment == 'loop'").iloc[0]
    spans = spans[(spans.start_ns >= loop.start_ns) & (spans.end_ns <= loop.end_ns)]
    assert best.cpu_ns == pytest.approx(used[used.span_id.isin(spans.span_id)].cpu_ns.sum(), abs=len(spans))
    pool = pools(one.report)["record"]
    assert sum(worker.cpu_ns for worker in pool.workers if worker.name == "llvmpipe-0") > 2.5 * best.cpu_ns


def test_workers_of_one_name_are_one_row_and_idle_ones_none() -> None:
    made = [Worker("step", "pool", "libx.so", "other", False, 1, ns) for ns in (60, 50, 0)]
    made.append(Worker("step", "idle", "", "other", False, 1, 5))
    assert merged(made, 1000) == (Worker("step", "pool", "libx.so", "other", False, 2, 110),)
