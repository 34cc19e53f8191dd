"""All of them at once on the real renderer, small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motrace.collect.pyspy import PySpyCollector
from motrace.collect.threads import FILE as THREADS_FILE
from motrace.collect.threads import ThreadsCollector
from motrace.collect.torchprof import FILE as TORCH_FILE
from motrace.collect.torchprof import TorchCollector
from motrace.readers import thread_samples
from motrace.readers.pyspy.samples import read_collected
from motrace.readers.torch.kineto import read_torch
from motrace.sampling import shares
from motrace.sampling.classify import classify
from motrace.vocabulary import ClockMethod
from tests.collect.observed import small_run, spans_of
from tests.conftest import ROOT

pytestmark = pytest.mark.motrix
FRAMES = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the embedded workload at 64x36 under py-spy, the thread sampler and torch.profiler."""
    folder = tmp_path_factory.mktemp("real") / "run"
    small_run(folder, FRAMES)
    collectors = [ThreadsCollector(), PySpyCollector(), TorchCollector()]
    environment = dict(os.environ)
    for collector in collectors:
        assert collector.missing() is None
        environment |= collector.environment(folder)
    command = [sys.executable, "-m", "motrace.workloads.worker", str(folder)]
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        for collector in collectors:
            collector.attach(process.pid, folder)
        assert process.wait(200) == 0, (folder / "run.log").read_text()[-2000:]
    for collector in collectors:
        warnings = collector.finish(folder)
        assert [text for text in warnings if "waited for a core" not in text and "have no time" not in text] == []
    return folder


def test_py_spy_tells_the_simulation_step_from_the_renderer(run: Path) -> None:
    spans = spans_of(run)
    ((tid, own),) = spans.items()
    seen = read_collected(run, spans)
    assert seen is not None and seen.native and seen.timed, seen
    samples = seen.samples.to_pandas()
    samples = samples[samples["tid"] == tid]
    names = [*dict.fromkeys(own.name), "outside"]
    classes = {row["stack_id"]: classify(row["frames"]) for row in seen.stacks.to_pylist()}
    kinds = [names[label] for label in own.labels(samples["t_ns"].to_numpy())]
    counts = shares.count_by_kind(kinds, [classes[number] for number in samples["stack_id"]])
    assert sum(counts["step"].values()) > 3, counts
    assert {"native_pool_with_gil", "native:motrixsim"} & set(counts["step"]), counts["step"]


def test_threads_of_the_renderer_are_seen(run: Path) -> None:
    samples = thread_samples.read(run / THREADS_FILE)
    ((tid, _),) = spans_of(run).items()
    names = set(samples.stays.column("name").to_pylist())
    assert any(name.startswith("llvmpipe") for name in names) or len(names) > 3, names
    states = samples.states().to_pandas()
    assert states[states["tid"] == tid]["state"].nunique() == 2


def test_torch_annotations_are_on_the_clock_of_the_spans(run: Path) -> None:
    trace = read_torch(run / TORCH_FILE)
    assert trace.clock is not None and trace.clock.method is ClockMethod.MARKS
    assert trace.clock.error_ns < 2_000_000
