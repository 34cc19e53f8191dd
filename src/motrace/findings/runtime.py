"""Rates and resources of a pool's runs, as spreads: what IsaacLab's bundles hold of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import Array
from ..dataset.frames import FrameTimes
from .profile_model import Sensor
from .run_model import RunSummary, Runtime
from .spreads import spread
from .values import Spread


def runtime(runs: Sequence[RunSummary], kept: FrameTimes) -> Runtime:
    """Spreads over ``kept`` frames and over runs; CPU time, children included, is of one core, memory a run's peak."""
    wall_s, step_s = kept.wall_ns / 1e9, kept.phase_ns("step") / 1e9
    used = [(run.resources, run.run_wall_ns) for run in runs if run.resources is not None]
    imports, environment, renderer = (_startup(runs, phase) for phase in ("imports", "environment", "renderer"))
    return Runtime(
        frame_s=spread(wall_s),
        frames_per_s=_rates(wall_s),
        step_s=spread(step_s[step_s > 0]),
        steps_per_s=_rates(step_s),
        imports_s=imports,
        environment_s=environment,
        renderer_s=renderer,
        first_frame_s=spread(run.first_frame_ns / 1e9 for run in runs if run.first_frame_ns is not None),
        cpu_pct=spread(100 * resources.cpu_ns / wall_ns for resources, wall_ns in used),
        ram_bytes=spread(resources.max_rss_bytes for resources, _ in used),
        gpu_utilisation_pct=_sensor(runs, "utilisation"),
        gpu_memory_bytes=_sensor(runs, "memory_used"),
    )


def _rates(seconds: Array) -> Spread | None:
    return spread(1 / seconds[seconds > 0])


def _startup(runs: Sequence[RunSummary], phase: str) -> Spread | None:
    rows = (row for run in runs for row in run.segment_phases)
    return spread(row.total_ns / 1e9 for row in rows if (row.segment, row.phase) == ("startup", phase))


def _sensor(runs: Sequence[RunSummary], metric: str) -> Spread | None:
    """A sensor of the first GPU: the mean of the runs' means, their variances pooled."""
    sensors: list[Sensor] = [one for run in runs if run.trace is not None for one in run.trace.gpu_sensors]
    mine = [one for one in sensors if (one.device, one.metric) == (0, metric)]
    if not mine:
        return None
    mean, variance = float(np.mean([one.mean for one in mine])), float(np.mean([one.std**2 for one in mine]))
    return Spread(mean, variance**0.5, min(one.least for one in mine), max(one.most for one in mine), len(mine))
