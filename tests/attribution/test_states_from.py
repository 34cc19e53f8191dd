"""Thread samples are told from the scheduler's events by what they are, never by a number."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import motrace
from motrace import analysis
from motrace.attribution.interval_evidence import Evidence, StatesFrom
from motrace.readers import thread_format, thread_samples
from motrace.readers.run import load_run
from motrace.readers.thread_format import SamplerFacts
from motrace.vocabulary import EvidenceKind


def with_samples(folder: Path, ticks: list[int] | None, facts: SamplerFacts) -> None:
    """A run of 0.4 s whose loop thread was seen 100 times, and eight threads that were seen once, as a file of it."""
    run = motrace.start(folder)
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
    times = np.array(ticks or [], np.int64) + (first if ticks else 0)
    samples = thread_samples.ThreadSamples(table.cast(thread_samples.STAYS_SCHEMA), facts, times)
    thread_samples.write(samples, run / "threads.arrow")


OLD = SamplerFacts(rounds=100, wall_ns=400_000_000, hz=250.0)
STEADY = list(range(0, 400_000_000, 4_000_000))
STARVED = [0, *range(200_000_000, 400_000_000, 2_000_000)]  # as many rounds, but none in the first half


@pytest.mark.parametrize(
    ("ticks", "facts", "least_step_ns"),
    [
        (None, OLD, 4_000_000),
        (STEADY, SamplerFacts(), 4_000_000),
        (STARVED, SamplerFacts(), 100_000_000),
        (STEADY, SamplerFacts(passes=3.0), 12_000_000),
    ],
    ids=["a file without ticks", "ticks", "no ticks for a while", "a look at all takes three rounds"],
)
def test_the_error_of_samples_is_the_samplers_own(
    tmp_path: Path, ticks: list[int] | None, facts: SamplerFacts, least_step_ns: int
) -> None:
    """Most threads live for one round, so no thread's sightings tell how far apart the rounds are."""
    with_samples(tmp_path / "x", ticks, facts)
    loaded = analysis.load(tmp_path / "x")
    (clock,) = (row for row in loaded.report.clocks if row.source == "threads")
    assert clock.error_ns >= least_step_ns // 2
    assert not ticks or clock.error_ns < 0.6 * least_step_ns
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
    assert thread_samples.ThreadSamples(empty, SamplerFacts(wall_ns=5, hz=200.0)).step_ns == 5_000_000


def test_a_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    facts = {"threads": [[0, 7, 7, "python"]], "states": [[0, "R", "", "", ""]], "rounds": 3, "wall_ns": 9_000_000}
    text = json.dumps(facts).encode()
    row = thread_format.ROW.pack(5_000_000, 9_000_000, 0, 2, 0)
    path = tmp_path / "threads.bin"
    path.write_bytes(thread_format.OLD_MAGIC + thread_format.OLD_BLOCK.pack(len(text), 1) + text + row)
    samples = thread_samples.read(path)
    assert samples.stays.column("last_ns").to_pylist() == [9_000_000] and not len(samples.ticks)
    assert samples.step_ns == 4_000_000, "the gap between its samples, for its rounds may not all have been taken"
