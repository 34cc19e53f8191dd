"""Real py-spy and the thread sampler on every Python from 3.10 to 3.13 that is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from motrace.collect.pyspy import PySpyCollector
from motrace.collect.threads import FILE, ThreadsCollector
from motrace.readers import thread_samples
from motrace.readers.pyspy.samples import read_collected
from motrace.sampling import shares
from motrace.sampling.classify import classify, coarse
from tests.collect.observed import spans_of
from tests.conftest import PROGRAMS, ROOT

FRAMES = 250


def interpreter(version: str) -> str | None:
    """A Python of this version: on the path, or one of pyenv's that is not on it."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [str(path) for path in sorted(home.glob(f"versions/{version}.*/bin/python{version}"))]
    for path in [*found, shutil.which(f"python{version}")]:
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_a_loops_composition_is_right_under_every_python(tmp_path: Path, version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    folder = tmp_path / "run"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOG": "1"}
    process = subprocess.Popen([python, PROGRAMS / "profiled.py", folder, str(FRAMES)], env=environment)
    collectors = [PySpyCollector(rate=200), ThreadsCollector()]
    for collector in collectors:
        collector.attach(process.pid, folder)
    assert process.wait(90) == 0
    warnings = [text for collector in collectors for text in collector.finish(folder)]
    assert [text for text in warnings if "waited for a core" not in text] == []
    spans = spans_of(folder)
    seen = read_collected(folder, spans)
    assert seen is not None and seen.timed and seen.native, seen and seen.warnings
    ((tid, own),) = spans.items()
    samples = seen.samples.to_pandas()
    samples = samples[samples["tid"] == tid]
    names = [*dict.fromkeys(own.name), "outside"]
    classes = {row["stack_id"]: coarse(classify(row["frames"])) for row in seen.stacks.to_pylist()}
    kinds = [names[label] for label in own.labels(samples["t_ns"].to_numpy())]
    counts = shares.count_by_kind(kinds, [classes[number] for number in samples["stack_id"]])
    for kind, expected in (("count", "interpreter"), ("digest", "native"), ("rest", "sleeping"), ("held", "gil")):
        (first, *_) = shares.shares({name: count for name, count in counts[kind].items() if name != "recorder"})
        assert first.name == expected and first.total > 4 and first.share > 0.75, (kind, counts[kind])
    states = thread_samples.read(folder / FILE).states().to_pandas()
    assert set(states[states["tid"] == tid]["state"]) == {"running", "blocked"}
