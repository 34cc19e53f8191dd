"""Traces of torch.profiler on the CPU with their truth: python -m benchmarks.labelled.torch_loop FOLDER SEED COUNT

N.json and N.truth.json. Odd numbers have Python's stacks, every third has no annotations.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .loop import Truth, go_first, python_loop, sleep

FRAMES = 25


def matmul(ns: int) -> None:
    """Operators that take long."""
    begin = time.thread_time_ns()
    one = torch.randn(220, 220)
    while time.thread_time_ns() - begin < ns:
        torch.mm(one, one)


def dispatch(ns: int) -> None:
    """Operators that take no time but their call's."""
    begin = time.thread_time_ns()
    one = torch.zeros(2)
    while time.thread_time_ns() - begin < ns:
        one.add_(1)


WORKS: tuple[tuple[str, Callable[[int], None]], ...] = (
    ("PYTHON", matmul), ("PYTHON", python_loop), ("SLEEP", sleep), ("PYTHON", matmul), ("PYTHON", dispatch),
)  # fmt: skip


def trace(folder: Path, number: int, random: np.random.Generator) -> None:
    """One trace, and who held its time."""
    owner, work = WORKS[number % len(WORKS)]
    truth, named = Truth(owner), torch.profiler.record_function
    ns, little = int(random.uniform(3e6, 8e6)), int(random.uniform(0.3e6, 0.8e6))
    around: Any = named if number % 3 else lambda _: contextlib.nullcontext()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, with_stack=number % 2 == 1) as profiler:
        for _ in range(FRAMES):
            with around("iteration"):
                truth.take(owner, work, ns)
                truth.take("PYTHON", matmul, little)
    profiler.export_chrome_trace(str(folder / f"{number}.json"))
    (folder / f"{number}.truth.json").write_text(json.dumps(truth.ns))


def main(folder: str, seed: int, count: int) -> None:
    """All of them."""
    go_first()
    torch.set_num_threads(1)
    random = np.random.default_rng(seed)
    for number in range(count):
        trace(Path(folder), number, random)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    os._exit(0)
