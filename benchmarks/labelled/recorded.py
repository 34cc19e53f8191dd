"""Real programs with a known owner: recorded by themselves, with thread samples, or from outside by an instrument."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motrace.collect.threads import ThreadsCollector

from .label import Holder, Kind, Label
from .loop import OWNERS

ROOT = Path(__file__).resolve().parents[2]
SECONDS, TIMEOUT_S = 0.8, 60
CROWDED = 0.2
"""Where the loop waited for a core for more of the time than this, other programs held them: it is played again."""
TRIES = 3


def start(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """A process in ``folder``, silent."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    return subprocess.Popen(
        words, cwd=folder, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def run(words: Sequence[str], folder: Path) -> bool:
    """Run a command to its end; whether it succeeded."""
    process = start(words, folder)
    try:
        return process.wait(TIMEOUT_S) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def loop_words(owner: str, random: np.random.Generator, out: Path, truth: Path, *more: str) -> list[str]:
    """The command of a loop."""
    seed = str(int(random.integers(1 << 30)))
    return [sys.executable, "-m", "benchmarks.labelled.loop", owner, str(SECONDS), seed, str(out), str(truth), *more]


def read_truth(path: Path) -> dict[Holder, float]:
    """What a loop measured of itself."""
    return {Holder[name]: ns for name, ns in json.loads(path.read_text()).items()}


def crowded(times: dict[Holder, float], owner: str) -> bool:
    """Whether other programs held the cores."""
    return owner != "core" and times.get(Holder.CORE, 0.0) > CROWDED * sum(times.values())


ALSO = {"encoder thread": {Holder.THREAD}}
"""What is right, too: an encoder's thread is another thread, whose result the loop waits for."""


def labelled(times: dict[Holder, float], owner: str) -> Label:
    """By what the loop measured."""
    label = Label.of(times)
    return Label(label.holders | ALSO.get(owner, set()), False, f"{owner}: {label.planted}")


def _record(folder: Path, random: np.random.Generator, owner: str, sampled: bool) -> Label | None:
    for _ in range(TRIES):
        out, truth = folder / "e" / "run", folder.parent / "truth.json"
        shutil.rmtree(folder / "e", ignore_errors=True)
        out.mkdir(parents=True)
        process = start(loop_words(owner, random, out, truth), folder)
        collector = ThreadsCollector() if sampled else None
        if collector is not None:
            collector.attach(process.pid, out)
        done = process.wait(TIMEOUT_S)
        if collector is not None:
            collector.finish(out)
        times = read_truth(truth) if done == 0 else {}
        if times and not crowded(times, owner):
            return labelled(times, owner)
    return None


def loops(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """Spans and CPU clocks alone."""
    return _record(folder, random, list(OWNERS)[number % len(OWNERS)], False)


SAMPLED = ("sleep", "lock", "pipe", "child", "thread", "encoder thread", "ffmpeg per call", "environments", "step",
           "interpreter", "usleep", "ffmpeg per call, own name")  # fmt: skip


def sampled_loops(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """The same with samples of the threads' states."""
    return _record(folder, random, SAMPLED[number % len(SAMPLED)], True)


OUTSIDE = ("interpreter", "sleep", "ffmpeg per call", "step", "child", "pipe", "policy", "copies", "ffmpeg",
           "ffmpeg per call, own name")  # fmt: skip


def instrumented(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """A program of somebody's, measured from outside by ``run_record --instrument``."""
    owner = OUTSIDE[number % len(OUTSIDE)]
    truth, table = folder.parent / "truth.json", folder.parent / "what.toml"
    phase = OWNERS[owner][1]
    table.write_text(f'frame = "__main__.one_frame"\n[phases]\n"__main__.own" = "{phase}"\n"__main__.rest" = "rest"\n')
    program = [sys.executable, str(Path(__file__).with_name("loop.py"))]
    for attempt in range(TRIES):
        words = program + loop_words(owner, random, folder, truth, "--plain")[3:]
        collect = ("--collect", "threads" if number % 2 else "none")
        record = ("--out", str(folder), "--name", f"x{attempt}", "--instrument", str(table), *collect)
        if run([sys.executable, "-m", "tools.run_record", *record, "--", *words], folder):
            times = read_truth(truth)
            if not crowded(times, owner):
                return labelled(times, owner)
        shutil.rmtree(folder / f"x{attempt}", ignore_errors=True)
    return None


KINDS = (
    Kind("program, recorded", len(OWNERS), loops, real=True),
    Kind("program, thread samples", len(SAMPLED), sampled_loops, real=True),
    Kind("program, instrumented", len(OUTSIDE), instrumented, real=True),
)
