"""The whole pipeline against a simulated machine of which everything is known (benchmarks/simulator).

Exact evidence must give the truth to the nanosecond, counters and calls must cover it with their
bounds. The truth is computed in the simulator by rules written down there, not by ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.simulator import Config, Simulated, simulate
from benchmarks.simulator.schema import VERSIONS
from motrace.joining import read_run
from motrace.model.run import RunAnalysis, analyse_run
from motrace.model.run_tables import build_tables, residual_ns
from motrace.sources import find

SHOWS_WHY = ("3.13", "3.24", "3.25")  # schemas whose scheduling events say why a thread left its core
Key = tuple[str, int | None, str, str]
MEMORY = Path("/dev/shm")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of small runs are written."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@dataclass
class Result:
    """A simulated run, analysed. ``rows`` are (ns, lo, hi) by segment, frame, phase and cause; so is ``true`` ns."""

    simulated: Simulated
    analysis: RunAnalysis
    tables: dict[str, pa.Table]
    rows: dict[Key, np.ndarray[Any, Any]]
    true: dict[Key, int]


def random_config(seed: int, **fixed: Any) -> Config:
    """A small random run."""
    random = np.random.default_rng(seed)

    def one(*values: Any) -> Any:
        return values[random.integers(len(values))]

    drawn: dict[str, Any] = {
        "frames": int(random.integers(2, 7)), "warmup": int(random.integers(0, 3)), "num_envs": one(1, 1, 2, 3),
        "schema": one(*VERSIONS), "capture": one("blocking", "async"), "adapter": one("gpu", "software"),
        "cuda": one(True, False), "cuda_device": one(0, 1), "cores": one(2, 4, 16), "slices": one(1, 2, 3, 6),
        "slice_ns": one(300, 5_000, 60_000, 400_000), "noise": one(0.0, 0.05, 0.3, 0.8),
        "run_queue": one("none", "preempted", "any"), "inline_text": one(True, False), "chunk_frames": one(2, 500),
        "calls_per_slice": one(0, 2), "offset_ns": int(random.integers(0, 1 << 40)),
    }  # fmt: skip
    return Config(seed=seed, **{**drawn, **fixed})


def analysed(folder: Path, config: Config) -> Result:
    """Simulate, read, align, attribute."""
    run = folder / "run"
    simulated = simulate(run, config, lazy=bool(config.seed % 2))
    ((_, sources),) = find([run], folder / "scratch").items()
    assert not sources.warnings
    (source,) = sources.runs
    assert len(source.traces) == 1
    recording, trace = read_run(source, folder / "events")
    assert trace is not None
    analysis = analyse_run(recording, trace)
    tables = build_tables(analysis)
    assert residual_ns(tables) == 0
    rows: dict[Key, np.ndarray[Any, Any]] = {}
    for row in tables["attribution"].to_pylist():
        key = (row["segment"], row["frame"], row["phase"], row["cause"])
        rows[key] = rows.get(key, 0) + np.array([row["ns"], row["lo_ns"], row["hi_ns"]])
    truth = simulated.truth.rows
    keys = zip(truth["segment"], truth["frame"], truth["phase"], truth["cause"])
    return Result(simulated, analysis, tables, rows, dict(zip(keys, truth["ns"])))


def differences(result: Result) -> dict[Key, tuple[int, int]]:
    """(found, true) where they differ, ns."""
    found = {key: int(row[0]) for key, row in result.rows.items()}
    keys = found.keys() | result.true.keys()
    pairs = {key: (found.get(key, 0), result.true.get(key, 0)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def uncovered(result: Result, slack_ns: int = 0) -> dict[Key, tuple[int, list[int]]]:
    """(true, [ns, lo, hi]) where the bounds do not hold the truth."""
    nothing = np.zeros(3, np.int64)
    found = {key: result.rows.get(key, nothing) for key in result.true.keys() | result.rows.keys()}
    wrong = {}
    for key, (ns, lo, hi) in found.items():
        true = result.true.get(key, 0)
        if key[3] != "unexplained" and not lo - slack_ns <= true <= hi + slack_ns:
            wrong[key] = (true, [int(ns), int(lo), int(hi)])
    return wrong


@pytest.mark.parametrize("seed", range(100))
def test_scheduling_on_one_clock_gives_the_truth(folder: Path, seed: int) -> None:
    """Every frame, phase and cause, to the nanosecond, in every version whose events say why a thread left."""
    schema = SHOWS_WHY[seed % 3] if seed % 4 else list(VERSIONS)[seed % 5]
    queue = "preempted" if schema in SHOWS_WHY else "none"
    result = analysed(folder, random_config(seed, schema=schema, run_queue=queue))
    assert differences(result) == {}
    assert uncovered(result) == {}
    assert result.analysis.trace is not None and result.analysis.trace.error_ns <= 1
