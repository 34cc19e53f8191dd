"""A program of known composition: states within 2 % of the truth, true causes inside their bounds, sums exact."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from motrace.attribution.run import analyse_run
from motrace.attribution.tables import build_tables, residual_ns
from motrace.dataset.frames import wide
from motrace.readers.recording import read_recording
from tests.conftest import PROGRAMS

REPEATS = 5
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Truth per phase, attribution rows of the loop, and the tables."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("composition")
    truth = folder / "truth.json"
    subprocess.run([sys.executable, PROGRAMS / "composition.py", folder / "run", truth, str(REPEATS)], check=True)
    tables = build_tables(analyse_run(read_recording(folder / "run")))
    rows = tables["attribution"].to_pandas()
    return pd.DataFrame(json.loads(truth.read_text())), rows[rows["segment"] == "loop"], tables


def by_phase(rows: pd.DataFrame, column: str, value: str, ns: str = "ns") -> pd.Series:
    chosen = rows[rows[column] == value]
    return chosen.groupby(chosen["phase"].astype(str))[ns].sum()


def test_sums_are_exact(measured: Any) -> None:
    _, rows, tables = measured
    assert residual_ns(tables) == 0
    frames = wide(tables["frames"], tables["frame_phases"]).to_pandas()
    assert len(frames) == REPEATS
    for frame in frames.itertuples():
        assert rows[rows["frame"] == frame.frame]["ns"].sum() == frame.end_ns - frame.start_ns


def test_each_state_is_within_two_percent(measured: Any) -> None:
    truth, rows, _ = measured
    total = truth.groupby("phase")[["wall_ns", "cpu_ns"]].sum()
    running = by_phase(rows, "state", "running").reindex(total.index, fill_value=0)
    stopped = (by_phase(rows, "state", "blocked").reindex(total.index, fill_value=0)) + (
        by_phase(rows, "state", "runnable").reindex(total.index, fill_value=0)
    )
    # A span lies around what the program measured of it: by so much, while the thread waits for a core, it is longer.
    around = running + stopped - total["wall_ns"]
    assert (around >= 0).all()
    allowed = TOLERANCE * total["wall_ns"]
    assert ((running - total["cpu_ns"]).abs() < allowed).all(), (running, total)
    error = (stopped - (total["wall_ns"] - total["cpu_ns"])).abs()
    assert (error < allowed + around).all(), (error, total, around)


def test_sleeping_is_blocked_and_a_busy_loop_is_not(measured: Any) -> None:
    """What no clock of the program tells apart: waiting on purpose from waiting for a core."""
    _, rows, _ = measured
    wall = rows.groupby(rows["phase"].astype(str))["ns"].sum()
    blocked = by_phase(rows, "state", "blocked").reindex(wall.index, fill_value=0)
    queued = by_phase(rows, "state", "runnable").reindex(wall.index, fill_value=0)
    for phase in ("sleep", "nanosleep in C", "other thread", "child"):
        assert blocked[phase] > 0.9 * (wall[phase] - queued[phase])
    for phase in ("python loop", "native"):
        assert blocked[phase] < TOLERANCE * wall[phase]


@pytest.mark.parametrize(
    ("phase", "cause", "least"),
    # The other thread is Python's, and may have held the interpreter lock. A child may have several threads, so its CPU
    # time bounds its working time from below only by a core's share.
    [("other thread", "other_threads", 0.0), ("child", "other_processes", 0.3)],
)
def test_the_true_cause_lies_inside_its_bounds(measured: Any, phase: str, cause: str, least: float) -> None:
    """Per frame: the loop thread waits all the while, so the true time is the other's own CPU time,
    but for what the other worked while the loop thread was still, or again, on its way."""
    truth, rows, _ = measured
    true = truth[truth["phase"] == phase]["other_ns"].tolist()
    queued = rows[rows["state"] == "runnable"].groupby("frame")["ns"].sum()
    rows = rows[rows["phase"] == phase]
    found = rows[rows["cause"] == cause].sort_values("frame")
    awake = rows[rows["state"] != "blocked"].groupby("frame")["ns"].sum()
    assert len(found) == len(true) == REPEATS
    for ns, row in zip(true, found.itertuples()):
        most, fewest = ns, max(0, ns - int(awake.get(row.frame, 0)))
        assert row.lo_ns <= most and fewest <= row.hi_ns, (ns, row)
        assert row.lo_ns <= row.ns <= row.hi_ns
        # The others are read right after the span: had the loop thread to wait for a core there, they worked meanwhile.
        certain = max(0, fewest - int(queued.get(row.frame, 0)))
        assert row.lo_ns >= least * certain, "the bounds must say something"


def test_nobody_worked_while_it_slept(measured: Any) -> None:
    _, rows, _ = measured
    slept = by_phase(rows, "state", "blocked")["sleep"]
    assert by_phase(rows, "cause", "idle")["sleep"] > 0.95 * slept
    assert by_phase(rows, "cause", "pacing", "hi_ns")["sleep"] > 0.9 * slept, "no clock shows that it slept on purpose"
    for name in ("other_threads", "other_processes"):
        assert by_phase(rows, "cause", name, "hi_ns").get("sleep", 0) < 0.1 * slept
