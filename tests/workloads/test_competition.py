"""What others took of the cores is measured, and keeps a verdict from blaming the renderer for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from motrace.analysis import load
from motrace.cautions import CautionCode
from motrace.findings.model import Report
from motrace.workloads.competition import busy_ns
from tests.conftest import ROOT
from tests.reports import buckets

STAT = """cpu  100 0 50 900 10 1 2 3 40 0
cpu0 60 0 30 400 5 1 0 2 40 0
cpu1 40 0 20 500 5 0 2 1 0 0
intr 5
"""


def test_busy_time_is_all_but_idle_and_guests_count_once() -> None:
    tick = 10_000_000
    assert busy_ns(STAT, {0}) == 93 * tick
    assert busy_ns(STAT, {0, 1}) == (93 + 63) * tick
    with pytest.raises(ValueError, match="lists 2 of 3 cores"):
        busy_ns(STAT, {0, 1, 2})


@pytest.fixture
def busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    process.kill()
    process.wait()


def test_a_run_beside_a_busy_process_tells(run_program: Callable, tmp_path: Path, busy_process: None) -> None:
    words = ("--mode", "none", "--frames", 100, "--workload", "tests.programs.workloads:Plain", "--out", tmp_path)
    run_program("-m", "tools.run_record", *words, "--name", "x")
    manifest = json.loads((tmp_path / "x/01-none/run.json").read_text())
    clocks, resources = manifest["clocks"], manifest["resources"]
    wall_ns = clocks["exit_monotonic_ns"] - clocks["spawn_monotonic_ns"]
    assert resources["others_cpu_ns"] > 0.2 * wall_ns, "it has a core of two for itself, or half of the only one"
    assert resources["others_cpu_ns"] <= resources["cores"] * (wall_ns + 1_000_000_000)


def test_a_stall_that_may_be_a_crowd_is_no_verdict(tmp_path: Path) -> None:
    """The same recording as on an idle machine, and as where others had held the cores all the time."""

    def report(share: float, observer: bool = False) -> Report:
        home = tmp_path / f"crowd{share}{observer}"
        shutil.copytree(ROOT / "traces/demo-llvmpipe", home)
        for path in home.glob("*/run.json"):
            manifest = json.loads(path.read_text())
            wall_ns = manifest["clocks"]["exit_monotonic_ns"] - manifest["clocks"]["spawn_monotonic_ns"]
            manifest["resources"] |= {"others_cpu_ns": int(2 * share * wall_ns), "cores": 2}
            manifest["observer"] = observer
            path.write_text(json.dumps(manifest))
        return load(home).report

    calm, busy = report(0.0), report(0.2)
    for run, other in zip(calm.runs, busy.runs):
        stall, system = (buckets(other)[name].time for name in ("renderer_stall", "system"))
        was_stall, was_system = (buckets(run)[name].time for name in ("renderer_stall", "system"))
        held_ns = round(0.2 * run.run_wall_ns)
        assert stall.ns == was_stall.ns
        assert stall.lo_ns == pytest.approx(max(0, was_stall.lo_ns - held_ns), abs=9)
        assert system.hi_ns - was_system.hi_ns == pytest.approx(min(held_ns, was_stall.hi_ns), abs=9)
        assert other.residual_ns == 0

    def contention(of: Report) -> list[CautionCode]:
        codes = (CautionCode.CONTENTION, CautionCode.CONTENTION_WITH_PROFILER)
        return [one.code for one in of.warnings if one.code in codes and one.values["share"] == pytest.approx(0.2)]

    assert contention(calm) == [] and set(contention(busy)) == {CautionCode.CONTENTION}
    assert set(contention(report(0.2, observer=True))) == {CautionCode.CONTENTION_WITH_PROFILER}
