"""The simulator's machines (tests/simulator) with a planted bottleneck, seen with more evidence or less."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from motrace.record.spans import KIND_CLOCK
from tests.simulator import Config, Simulated, simulate
from tests.simulator.config import LOOP_PID, Plant
from tests.simulator.logs import UTC_START_NS
from tests.simulator.truth import Truth

from .label import Holder, Kind, Label

TIMES = 24
BUSY, RARELY = 0.95, 0.03

PLANTS: dict[str, Plant] = {
    "gpu": Plant("wait", TIMES, 0.03, BUSY, (("graphics", BUSY),)),
    "renderer": Plant("wait", TIMES, 0.03, BUSY, (("renderer", 0.9),)),
    "stall": Plant("wait", TIMES, 0.03, BUSY),
    "raster": Plant("wait", TIMES, 0.03, BUSY, (("raster", BUSY),)),
    "take": Plant("take", TIMES, 0.92, 0.05),
    "copy": Plant("copy", TIMES, 0.92, 0.05),
    "encoder": Plant("encode.write", TIMES, 0.05, 0.93, (("encoder", BUSY),)),
    "pool": Plant("step", TIMES, 0.05, 0.93, (("sim_pool", BUSY),)),
    "step": Plant("step", TIMES, BUSY, RARELY),
    "policy": Plant("policy", TIMES, BUSY, RARELY),
    "cuda": Plant("policy", TIMES, 0.05, 0.93, (("cuda", BUSY),)),
    "core": Plant("copy", TIMES, 0.06, 0.0),
    "child": Plant("copy", TIMES, RARELY, BUSY, (("child", BUSY),)),
    "thread": Plant("copy", TIMES, RARELY, BUSY, (("other", BUSY),)),
    "sleep": Plant("copy", TIMES, RARELY, BUSY),
}
SOFTWARE = ("raster",)

_RUNNING = {"policy": Holder.POLICY, "step": Holder.SIMULATION, "submit": Holder.RENDERER_THREADS,
            "wait": Holder.RENDERER_THREADS}  # fmt: skip
_IDLE = {"policy": Holder.POLICY, "step": Holder.SIMULATION, "capture": Holder.STALL, "submit": Holder.STALL,
         "wait": Holder.STALL, "take": Holder.STALL, "encode": Holder.ENCODER, "encode.write": Holder.ENCODER,
         "encode.finish": Holder.ENCODER}  # fmt: skip
_CAUSES = {
    "run_queue": Holder.CORE, "gpu_only": Holder.GPU_DRAWS, "raster": Holder.RASTERIZER,
    "renderer_cpu_only": Holder.RENDERER_THREADS, "sim_pool": Holder.SIMULATION, "policy_pool": Holder.POLICY,
    "cuda": Holder.POLICY, "encoder": Holder.ENCODER, "other_processes": Holder.CHILD, "other_threads": Holder.THREAD,
}  # fmt: skip


def holder_of(phase: str, cause: str, software: bool) -> Holder:
    """Who holds time of the simulator's truth."""
    if cause == "native_or_python":
        return _RUNNING.get(phase, Holder.PYTHON)
    if cause == "idle":
        return _IDLE.get(phase, Holder.SLEEP)
    if cause == "renderer_both":
        return Holder.RASTERIZER if software else Holder.GPU_DRAWS
    return _CAUSES[cause]


def planted(truth: Truth, software: bool) -> Counter[Holder]:
    """Time of loop and drain by who held it."""
    rows, found = truth.rows, Counter[Holder]()
    for segment, phase, cause, ns in zip(rows["segment"], rows["phase"], rows["cause"], rows["ns"]):
        if segment in ("loop", "drain"):
            found[holder_of(phase, cause, software)] += ns
    return found


def _complete(simulated: Simulated) -> None:
    """End the span log as ``motrace.stop`` does: the simulator's looks cut off, and its run crashed."""
    end, log = simulated.end_ns, simulated.path / f"spans-{LOOP_PID}-{LOOP_PID}.bin"
    if log.exists():
        with log.open("ab") as file:
            np.array([KIND_CLOCK, end, end, UTC_START_NS + end], np.int64).tofile(file)


def machine(
    folder: Path, random: np.random.Generator, plant: str, unknown: frozenset[Holder] = frozenset(), **fixed: Any
) -> Label:
    """A run with a planted bottleneck; where one of ``unknown`` holds the most, the files can't show it."""
    software = plant in SOFTWARE or bool(plant not in ("gpu", "stall", "cuda") and random.random() < 0.3)
    config = Config(
        frames=int(random.integers(10, 16)), warmup=2, seed=int(random.integers(1 << 30)),
        slice_ns=int(random.integers(250_000, 500_000)), slices=int(random.integers(1, 3)),
        num_envs=int(random.integers(1, 3)) if plant not in ("take", "copy") else 1, noise=0.02,
        schema=("3.13", "3.24", "3.25")[int(random.integers(3))], adapter="software" if software else "gpu",
        plant=PLANTS[plant], jitter_ns=400, drift_ppm=float(random.uniform(0, 20)), calls_per_slice=2,
        offset_ns=int(random.integers(1 << 34)),
    )  # fmt: skip
    simulated = simulate(folder / "run", replace(config, **fixed))
    _complete(simulated)
    times = planted(simulated.truth, software)
    label = Label.of(times, motrix=True)
    return replace(label, holders=frozenset()) if label.holders & unknown and not software else label


def scheduling(folder: Path, random: np.random.Generator, number: int) -> Label:
    """CPU clocks, scheduling, calls and GPU work: all is seen."""
    return machine(folder, random, list(PLANTS)[number % len(PLANTS)])


CLOCKS_UNKNOWN = frozenset((Holder.GPU_DRAWS, Holder.STALL))


def clocks_alone(folder: Path, random: np.random.Generator, number: int) -> Label:
    """CPU clocks alone: on a GPU nothing tells drawing from waiting."""
    plant = list(PLANTS)[number % len(PLANTS)]
    blind = {"scheduling": False, "waits": False, "workload": False, "calls_per_slice": 0}
    queue = "any" if plant == "core" else "preempted"
    return machine(folder, random, plant, CLOCKS_UNKNOWN, run_queue=queue, cuda=plant == "cuda", **blind)


def calls(folder: Path, random: np.random.Generator, number: int) -> Label:
    """CPU clocks, waiting calls and GPU work, no scheduling."""
    return machine(folder, random, list(PLANTS)[number % len(PLANTS)], scheduling=False)


BY_NAME = ("gpu", "stall", "take", "copy", "encoder", "step", "policy", "cuda", "core", "child", "sleep")
"""What can be told from a trace alone: threads of the engine bear the program's name there."""


def trace_alone(folder: Path, random: np.random.Generator, number: int) -> Label:
    """A trace with scheduling, GPU work and ranges, without any log of the run."""
    return machine(folder, random, BY_NAME[number % len(BY_NAME)], span_log=False, cpu_log=False)


KINDS = (
    Kind("machine, all evidence", 15, scheduling),
    Kind("machine, CPU clocks alone", 15, clocks_alone),
    Kind("machine, calls and GPU work", 15, calls),
    Kind("machine, trace alone", 11, trace_alone),
)
