"""Sweeps whose law is known, for the tests of the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from motrace.dataset.facts import Adapter
from motrace.findings.sweep_model import MeasuredRun
from motrace.statistics.scaling_fit import Observation

SIZES = ((320, 180), (640, 360), (1280, 720))
ENVS = (1, 4, 16)
TRUTH = {"fixed": 20e6, "per_pixel": 30.0, "per_env": 5e6, "per_pixel_env": 8.0}
ADAPTER = Adapter("Some GPU", "DiscreteGpu", "x", "1", "Vulkan")


def law(truth: dict[str, float]) -> Callable[[int, int], float]:
    """Time in ns at (environments, pixels)."""
    return lambda envs, pixels: (
        truth["fixed"] + truth["per_pixel"] * pixels + truth["per_env"] * envs + truth["per_pixel_env"] * pixels * envs
    )


def observed(
    time: Callable[[int, int], float],
    noise: float = 0.0,
    repeat: int = 1,
    seed: int = 0,
    envs: Sequence[int] = ENVS,
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> list[Observation]:
    """Runs over a grid; each run's time is the law's times a log-normal factor of mean 1."""
    rng = np.random.default_rng(seed)
    return [
        Observation(count, *size, time(count, size[0] * size[1]) * float(np.exp(rng.normal(0, noise) - noise**2 / 2)))
        for size in sizes
        for count in envs
        for _ in range(repeat)
    ]


def measured(observations: Sequence[Observation], mode: str = "capture") -> list[MeasuredRun]:
    """The same as runs of a sweep; capture takes nine tenths of each frame."""
    return [
        MeasuredRun(f"p{index}/01-{mode}", mode, one.num_envs, one.width, one.height, 10, ADAPTER, one.time_ns, None,
                    one.time_ns * 0.9)
        for index, one in enumerate(observations)
    ]  # fmt: skip
