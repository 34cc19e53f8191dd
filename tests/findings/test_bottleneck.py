"""The verdict: on whose time it stands, of which cause it speaks, and when it is certain."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import motrace
from motrace import analysis
from motrace.findings.bottleneck import judge
from motrace.sampling.transfer_causes import buckets_of, cause_row
from tests.conftest import ROOT
from tests.record.test_cpuclock import burn

Json = dict[str, Any]
BASE = 1000


def run(*rows: tuple[str, str, int, int, int], **changes: Any) -> Json:
    """A completed run with these causes: phase, cause, ns, lo_ns, hi_ns."""
    causes = [cause_row(phase, cause, "none", ns, lo, hi, BASE) for phase, cause, ns, lo, hi in rows]
    assert sum(row["ns"] for row in causes) == BASE
    made: Json = {
        "run_id": "a", "mode": "custom", "status": "completed", "frames": 10, "recording_wall_ns": BASE,
        "observer": False, "profiler_attached": False, "adapter": None, "trace": None, "resources": None,
        "run_wall_ns": BASE, "causes": causes, "buckets": buckets_of(causes, BASE),
    }  # fmt: skip
    return {**made, **changes}


def exact(phase: str, cause: str, ns: int) -> tuple[str, str, int, int, int]:
    return phase, cause, ns, ns, ns


@pytest.mark.parametrize(
    ("cause", "sentence", "action", "owner"),
    [
        ("run_queue", "waits for a core", "more cores", "runtime set-up"),
        ("pacing", "sleeps on purpose", "paces", "the application"),
        ("io", "file or a pipe", "reads and writes", "the application"),
        ("other_threads", "another thread", "that thread", "the application"),
        ("other_processes", "child process", "that process", "the application"),
        ("gil", "interpreter lock", "gives up the lock", "the application"),
    ],
)
def test_it_speaks_of_the_cause_that_leads(cause: str, sentence: str, action: str, owner: str) -> None:
    told = judge([run(exact("glue", cause, 700), exact("step", "native_or_python", 300))], {})
    assert sentence in told["sentence"] and action in told["action"] and told["owner"] == owner
    assert not told["abstains"]
    assert ("more cores" in told["action"]) == (cause == "run_queue")


def test_a_bucket_of_several_causes_is_not_certain_of_one() -> None:
    """Each is exact: System has 70 %, but neither of its causes alone has more than Simulation's 30 %."""
    rows = exact("glue", "run_queue", 360), exact("glue", "pacing", 340), exact("step", "native_or_python", 300)
    assert not judge([run(*rows)], {})["abstains"]
    rows = ("glue", "run_queue", 400, 300, 700), ("glue", "pacing", 300, 0, 400), exact("step", "native_or_python", 300)
    told = judge([run(*rows)], {})
    assert told["abstains"] and "several things" in told["why"]
    rows = exact("glue", "run_queue", 300), exact("glue", "pacing", 290), exact("step", "native_or_python", 410)
    told = judge([run(*rows)], {})
    assert told["bucket"] == "system" and told["abstains"] and "need not exceed Simulation" in told["why"]


def test_unexplained_time_is_anybodys() -> None:
    told = judge([run(exact("glue", "unexplained", 1000))], {})
    assert (told["bucket"], told["abstains"], told["lo"], told["hi"]) == ("unexplained", True, 0, 1)
    made = run(exact("glue", "unexplained", 300), exact("glue", "run_queue", 400), exact("step", "sim_pool", 300))
    assert {bucket: (entry["lo"], entry["hi"]) for bucket, entry in made["buckets"].items() if entry["share"]} == {
        "unexplained": (0, 0.3), "system": (0.4, 0.7), "simulation": (0.3, 0.6),
    }  # fmt: skip
    assert judge([made], {})["abstains"]


def test_advice_depends_on_what_was_given() -> None:
    rows = (exact("glue", "unexplained", 1000),)
    assert "Nsight" in judge([run(*rows)], {})["action"]
    told = judge([run(*rows, mode="trace", trace={"sources": ["nsys"]})], {})
    assert "Nsight" not in told["action"] + told["next"] and "run_record" in told["next"]
    drawn = (exact("wait", "gpu_only", 1000),)
    assert "record" not in judge([run(*drawn, trace={"sources": ["nsys"]})], {})["action"]


def test_profiled_runs_count_only_where_there_is_no_other() -> None:
    rows = (exact("step", "sim_pool", 1000),)
    plain, under, attached = (
        run(*rows, run_id=name, **changes)
        for name, changes in (("plain", {}), ("under", {"observer": True}), ("attached", {"profiler_attached": True}))
    )
    other = run(*rows, run_id="steps", mode="none")
    assert judge([under, attached, plain, other], {})["runs"] == ["plain"]
    assert judge([under, attached, other], {})["runs"] == ["steps"]
    told = judge([under, attached], {})
    assert [found["finding"] for found in told["preflight"]] == ["only profiled runs"]
    failed = run(*rows, run_id="failed", observer=True, observer_failed=True)
    assert judge([failed, under], {})["runs"] == ["under"]
    assert judge([{**plain, "status": "crashed"}, under], {})["runs"] == ["under"]


def test_a_pass_whose_profiler_failed_is_not_pooled_with_the_one_that_saw(tmp_path: Path) -> None:
    home = tmp_path / "x"
    shutil.copytree(ROOT / "traces/nsys-llvmpipe", home, ignore=shutil.ignore_patterns("analysis"))
    failed = home / "06-record-nsys"
    shutil.copytree(home / "05-record-nsys", failed, ignore=shutil.ignore_patterns("nsys*"))
    (failed / "run.json").write_text((failed / "run.json").read_text().replace("05-record-nsys", failed.name))
    report = analysis.load(home).report
    assert report["modes"]["record under nsys"]["runs"] == ["05-record-nsys"]
    assert [run["run_id"] for run in report["runs"] if run["observer_failed"]] == [failed.name]
    assert report["verdict"]["runs"] == ["01-record", "04-record"]


def sleeps() -> None:
    time.sleep(0.05)


def waits_for_a_thread() -> None:
    thread = threading.Thread(target=burn, args=(0.05,))
    thread.start()
    thread.join()


def waits_for_a_child() -> None:
    subprocess.run([sys.executable, "-S", "-c", "sum(range(3_000_000))"], check=True)


SAID = {
    "nobody": "it sleeps", "other_threads": "another thread", "other_processes": "child process",
    "run_queue": "waits for a core",
}  # fmt: skip


@pytest.mark.parametrize("does", [sleeps, waits_for_a_thread, waits_for_a_child])
def test_of_real_loops_that_wait_it_says_what_its_leading_cause_is(tmp_path: Path, does: Callable[[], None]) -> None:
    """Which that is may depend on how busy the machine is; who waits for a core looks idle."""
    motrace.start(tmp_path / "x" / "01-custom")
    for _ in range(6):
        with motrace.frame():
            does()
    motrace.stop()
    loaded = analysis.load(tmp_path / "x")
    (one,), told = loaded.report["runs"], loaded.report["verdict"]
    leads = next(row["cause"] for row in one["causes"] if row["bucket"] == "system")
    assert told["bucket"] == "system" and SAID[leads] in told["sentence"]
    assert ("more cores" in told["action"]) == (leads == "run_queue")
    for entry in one["buckets"].values():
        assert 0 <= entry["lo_ns"] <= entry["ns"] <= entry["hi_ns"] <= one["recording_wall_ns"]
