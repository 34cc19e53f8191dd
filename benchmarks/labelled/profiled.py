"""Real profilers around small programs of a known owner: py-spy, VizTracer, torch.profiler, Scalene, Nsight Systems."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np

from motrace.collect.nsys import find_nsys
from motrace.errors import MotraceError
from motrace.ingest.nsys import STREAM

from .label import Kind, Label
from .recorded import ROOT, TRIES, crowded, labelled, loop_words, read_truth, run

RUNS = ("interpreter", "native", "copies", "sleep", "pipe")
LOOP = str(ROOT / "benchmarks" / "labelled" / "loop.py")
TRACED = ("interpreter", "native", "copies", "sleep", "thread")
"""VizTracer changes the command of a Python child, so there are none here."""
TORCH_CASES = 12
UNSEEN = ("sleep", "pipe")
"""Owners that wait: a sampler that leaves out idle threads shows nothing of them."""


def _tool(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def _watched(
    folder: Path, random: np.random.Generator, owner: str, before: list[str], made: Path, *more: str
) -> Label | None:
    """Play a loop under a tool, whose command is ``before``, until its label holds and ``made`` is there."""
    truth = folder.parent / "truth.json"
    for _ in range(TRIES):
        words = loop_words(owner, random, folder, truth, *more)
        if before[-1] == LOOP:  # the tool takes a program in Python's place
            words = words[3:]
        if run([*before, *words], folder) and made.exists():
            times = read_truth(truth)
            if not crowded(times, owner):
                return labelled(times, owner)
    return None


FORMATS = ("raw", "speedscope", "chrometrace", "flamegraph")


def pyspy(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """A profile alone; without --idle nothing shows what waits."""
    tool, owner, form = _tool("py-spy"), RUNS[number % len(RUNS)], FORMATS[number % len(FORMATS)]
    if tool is None:
        return None
    idle = number % 3 != 2
    path = folder / {"raw": "stacks.txt", "flamegraph": "flame.svg"}.get(form, f"{form}.json")
    words = [tool, "record", "-f", form, "-o", str(path), "-r", "200", *(["--idle"] if idle else []), "--"]
    label = _watched(folder, random, owner, words, path, "--plain")
    return Label(frozenset(), False, label.planted) if label and owner in UNSEEN and not idle else label


def viztracer(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """Function calls with exact times, alone."""
    tool = _tool("viztracer")
    if tool is None:
        return None
    path = folder / "calls.json"
    words = [tool, "-o", str(path), "--quiet", "--tracer_entries", "200000", "--", LOOP]
    return _watched(folder, random, TRACED[number % len(TRACED)], words, path, "--plain")


def scalene(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """Shares by line, alone."""
    if importlib.util.find_spec("scalene") is None:
        return None
    path = folder / "scalene.json"
    words = [sys.executable, "-m", "scalene", "run", "--cpu-only", "-o", str(path), "--profile-all"]
    return _watched(folder, random, RUNS[number % len(RUNS)], [*words, LOOP], path, "--plain")


def torch_cpu(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """torch.profiler on the CPU; without stacks nothing shows what Python does, nor a sleep."""
    if importlib.util.find_spec("torch") is None:
        return None
    cache = folder.parents[1] / "torch"
    if not cache.exists():  # all at once, by one process: torch takes seconds to start
        cache.mkdir()
        seed = str(int(random.integers(1 << 30)))
        run([sys.executable, "-m", "benchmarks.labelled.torch_loop", str(cache), seed, str(TORCH_CASES)], cache)
    if not (cache / f"{number}.truth.json").exists():
        return None
    shutil.copy(cache / f"{number}.json", folder / "trace.json")
    times = read_truth(cache / f"{number}.truth.json")
    label = Label.of(times)
    known = number % 5 in (0, 3, 4) or number % 2 == 1
    return label if known else Label(frozenset(), False, label.planted)


NSYS_OWNERS = ("interpreter", "native", "sleep", "step", "policy", "pipe", "copies", "usleep", "sleep", "step")


def nsys(folder: Path, random: np.random.Generator, number: int) -> Label | None:
    """The real Nsight Systems' trace of NVTX and the OS runtime, exported; without the run's own logs."""
    tool = find_nsys()
    if tool is None:
        return None
    owner, work = NSYS_OWNERS[number % len(NSYS_OWNERS)], folder.parent / "nsys"
    for _ in range(TRIES):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        words = [str(tool.path), "profile", "-t", "nvtx,osrt", "-s", "none", "--cpuctxsw=none", "-f", "true",
                 f"--session-new=v{number}x{int(random.integers(1 << 30))}", "-o", str(work / "r")]  # fmt: skip
        truth = folder.parent / "truth.json"
        run([*words, *loop_words(owner, random, work / "run", truth)], work)
        try:
            report = work / "r.nsys-rep"
            if not report.exists():
                tool.import_stream(work / f"r{STREAM}", report)
            made = tool.export(report, work)
        except MotraceError:
            continue
        times = read_truth(truth)
        if not crowded(times, owner):
            shutil.move(made, folder / made.name)
            return labelled(times, owner)
    return None


KINDS = (
    Kind("py-spy alone", 10, pyspy, real=True),
    Kind("VizTracer alone", 12, viztracer, real=True),
    Kind("Scalene alone", 10, scalene, real=True),
    Kind("torch.profiler on the CPU", TORCH_CASES, torch_cpu, real=True),
    Kind("Nsight Systems alone", 10, nsys, real=True),
)
