"""Thread samples are told from the scheduler's events by what they are, never by a number."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest

import motrace
from motrace import analysis
from motrace.attribution.interval_evidence import Evidence, StatesFrom
from motrace.readers import thread_samples
from motrace.readers.run import load_run
from motrace.vocabulary import EvidenceKind


def test_threads_that_were_seen_once_do_not_make_samples_exact(tmp_path: Path) -> None:
    """Most threads live for one round: the sampler's own count tells how far apart its rounds are."""
    run = motrace.start(tmp_path / "x")
    for _ in range(20):
        with motrace.frame(), motrace.span("work"):
            time.sleep(0.02)
    motrace.stop()
    log = load_run(run).loop_log
    assert log is not None
    first, last = int(log.records[0, 1]), int(log.records[:, 2].max())
    rows = [(log.tid, first, last, 100, "blocked", "sleep")]
    rows += [(log.tid + number, first, first, 1, "running", None) for number in range(1, 9)]
    names = ("tid", "first_ns", "last_ns", "samples", "state", "waits_on")
    columns = dict(zip(names, map(list, zip(*rows))))
    stays = {**columns, "pid": [log.pid] * len(rows), "name": ["python"] * len(rows)}
    table = pa.table({name: pa.array(stays[name]) for name in thread_samples.STAYS_SCHEMA.names})
    facts = {"rounds": 100, "wall_ns": 400_000_000, "hz": 250.0}
    thread_samples.write(
        thread_samples.ThreadSamples(table.cast(thread_samples.STAYS_SCHEMA), facts), run / "threads.arrow"
    )
    loaded = analysis.load(tmp_path / "x")
    (clock,) = (row for row in loaded.report.clocks if row.source == "threads")
    assert clock.error_ns == 2_000_000
    of_work = [one for one in loaded.report.runs[0].causes if one.phase == "work" and one.state == "blocked"]
    assert {one.evidence for one in of_work} == {(EvidenceKind.THREAD_SAMPLES,)}


def test_samples_without_an_interval_are_no_evidence() -> None:
    with pytest.raises(ValueError, match="interval of 0 ns"):
        Evidence((), states_from=StatesFrom.SAMPLES, step_ns=0)
    with pytest.raises(ValueError, match="interval of 5 ns"):
        Evidence((), step_ns=5)


def test_a_file_that_does_not_say_how_often_it_was_sampled_is_taken_for_the_slowest() -> None:
    empty = thread_samples.STAYS_SCHEMA.empty_table()
    assert thread_samples.ThreadSamples(empty).step_ns == 20_000_000
    assert thread_samples.ThreadSamples(empty, thread_samples.SamplerFacts(wall_ns=5, hz=200.0)).step_ns == 5_000_000
