"""What collectors left in a run's folder reaches the report: the real samplers on a light workload."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc as ipc
import pytest

from motrace import analysis
from motrace.commands import record
from motrace.findings.codes import Use
from motrace.findings.run_model import RunSummary
from motrace.readers.gpu import METRICS_SCHEMA
from motrace.sampling.shares import running
from motrace.vocabulary import ClockMethod
from tests.reports import events, pools, said, segments


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> analysis.Analysis:
    """One unprofiled run, one under py-spy, one under Scalene; thread states sampled in all of them."""
    out = tmp_path_factory.mktemp("collected")
    words = ["--out", str(out), "--name", "x", "--mode", "none", "--frames", "400", "--warmup", "0"]
    workload = ["--workload", "tests.programs.workloads:Busy", "--collect", "threads,pyspy,scalene"]
    assert record.main([*words, *workload]) == 0
    return analysis.load(out)


def run_of(one: analysis.Analysis, collector: str) -> RunSummary:
    return next(run for run in one.report.runs if collector in run.collectors)


def test_samples_split_running_time_of_the_quiet_run(watched: analysis.Analysis) -> None:
    """The workload spends one phase in the interpreter and one in a hash: neither has much of the other."""
    run, pool = run_of(watched, "pyspy"), pools(watched.report)["none"]
    assert run.trace is not None and pool.composed is not None
    counts: dict[str, dict[str, int]] = {}
    for one in run.trace.samples:
        counts.setdefault(one.phase, {})[one.kind] = one.samples
    for phase, cause in (("python", "interpreter"), ("hash", "native")):
        found = {share.name: share for share in running(counts[phase])}
        assert found[cause].total > 50 and found[cause].share > 0.8
    assert pool.composed.runs == (run.run_id,)
    assert sum(one.time.ns for one in pool.composed.causes) == sum(one.time.ns for one in pool.causes)
    of_pyspy = [row for row in watched.report.profiler_overhead if row.key.profilers == ("pyspy",)]
    refused = {row.phase for row in of_pyspy if row.use is Use.REFUSED}
    for phase, cause in (("python", "interpreter"), ("hash", "native")):
        mine = [one for one in pool.composed.causes if (one.phase, one.state) == (phase, "running")]
        assert max(mine, key=lambda one: one.time.ns).cause == ("native_or_python" if phase in refused else cause)


def test_thread_states_reach_the_table_and_the_clocks(watched: analysis.Analysis) -> None:
    states = pd.concat([pd.read_parquet(path) for path in watched.events["thread_states"]])
    assert set(states["run"].astype(str)) == {run.run_id for run in watched.report.runs}
    assert (states["end_ns"] > states["start_ns"]).all()
    assert {row.source for row in watched.report.clocks} >= {"spans", "threads", "py-spy"}
    (threads,) = (row for row in watched.report.clocks if row.source == "threads" and "01-" in row.run_id)
    assert threads.pairs > 50


def test_hints_of_scalene_are_labelled_as_such(watched: analysis.Analysis, tmp_path: Path) -> None:
    trace = run_of(watched, "scalene").trace
    assert trace is not None and any("workloads.py" in one.file for one in trace.lines)
    analysis.write(watched, tmp_path)
    assert "not evidence" in (tmp_path / "report.md").read_text()


def test_quiet_runs_are_not_mixed_with_observed_ones(watched: analysis.Analysis) -> None:
    modes = pools(watched.report)
    assert modes["none"].runs == watched.report.verdict.runs == ("01-none",)
    assert {"none under pyspy", "none under scalene"} <= set(modes)
    assert {row.key.profilers for row in watched.report.profiler_overhead} == {("pyspy",), ("scalene",)}


def test_damaged_files_of_collectors_are_warnings(watched: analysis.Analysis, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(watched.home, tmp_path / "x")
    for path in (tmp_path / "x").glob("*/threads.arrow"):
        path.write_bytes(b"broken")
    for path in (tmp_path / "x").glob("*/scalene.json"):
        path.write_text("{")
    report = analysis.load(tmp_path / "x").report
    assert len(report.runs) == 3
    text = " ".join(said(report))
    assert "threads.arrow" in text and "scalene.json" in text


def test_gpu_sensors_are_averaged_and_give_energy_per_frame(watched: analysis.Analysis, tmp_path: Path) -> None:
    """There is no GPU here: a file as the collector writes it, with a counter that gains 100 J in each second."""
    import shutil

    shutil.copytree(watched.home / "01-none", tmp_path / "01-none")
    spans = watched.tables["spans"].to_pandas()
    last_ns = int(spans[spans["run"] == "01-none"]["end_ns"].max())
    manifest = json.loads((tmp_path / "01-none/run.json").read_text())
    start, pid = manifest["clocks"]["spawn_monotonic_ns"], manifest["process"]["pid"]
    mine, other = f"process.{pid}.utilisation", f"process.{pid + 1}.utilisation"
    t_ns = start + np.arange(0, last_ns, 10_000_000)
    rows = pa.table(
        [
            pa.array(np.repeat(t_ns, 4)), pa.array(np.zeros(4 * len(t_ns), np.int64)),
            pa.array(["power", "energy", mine, other] * len(t_ns)).dictionary_encode(),
            pa.array(np.column_stack((np.full(len(t_ns), 100.0), (t_ns - start) / 1e7, *np.full((2, len(t_ns)), 30.0))
                                     ).reshape(-1)),
            pa.array(["W", "J", "%", "%"] * len(t_ns)).dictionary_encode(),
        ],
        schema=METRICS_SCHEMA,
    )  # fmt: skip
    with ipc.new_stream(str(tmp_path / "01-none/gpu.arrow"), METRICS_SCHEMA) as writer:
        writer.write_table(rows)
    (run,) = analysis.load(tmp_path).report.runs
    assert run.trace is not None
    found = {one.metric: one.mean for one in run.trace.gpu_sensors}
    assert found["power"] == 100.0 and found[mine] == 30.0 and other not in found
    loop_s = sum(segments(run).get(name, 0) for name in ("warmup", "loop")) / 1e9
    assert found["energy per frame"] == pytest.approx(100.0 * loop_s / 400, rel=0.05)


def test_torch_traces_are_aligned_by_our_marks(tmp_path: Path) -> None:
    words = ["--out", str(tmp_path), "--name", "x", "--mode", "none", "--frames", "12", "--warmup", "0"]
    assert record.main([*words, "--num-envs", "1", "--collect", "torch"]) == 0
    one = analysis.load(tmp_path)
    (row,) = (row for row in one.report.clocks if row.source == "torch")
    assert row.error_ns < 1_000_000 and row.method is ClockMethod.MARKS


@pytest.mark.parametrize(
    ("flags", "rate", "blocking"), [(("--pyspy-rate", "40"), 40, True), (("--pyspy-light",), 100, False)]
)
def test_how_py_spy_samples_can_be_asked_for(tmp_path: Path, flags: tuple[str, ...], rate: int, blocking: bool) -> None:
    words = ["--out", str(tmp_path), "--name", "x", "--mode", "none", "--frames", "200", "--warmup", "0"]
    assert record.main([*words, "--workload", "tests.programs.workloads:Busy", "--collect", "pyspy", *flags]) == 0
    told = json.loads((tmp_path / "x/02-none-pyspy/run.json").read_text())["collect"]["pyspy"]
    assert (told["rate"], told["blocking"], told["refused"]) == (rate, blocking, None)
    run = run_of(analysis.load(tmp_path), "pyspy")
    assert run.rates_hz == {"pyspy": rate} and events(run)["samples"] > 20
