"""Rates and resources of a mode's runs, as spreads: what IsaacLab's bundles hold of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..dataset.frames import wide
from .episodes import spread
from .run_groups import pool_of

Json = dict[str, Any]
STARTUP = ("imports", "environment", "renderer")


def mode_runtimes(runs: list[Json], joined: dict[str, pa.Table]) -> dict[str, Json]:
    """For each mode's pooled runs, see ``pool_modes``: spreads (mean, std, min, max) over frames and over runs.

    Over kept frames: ``frame_s``, ``frames_per_s``, ``step_s``, ``steps_per_s`` (null without steps).
    Over runs: ``startup_s`` by phase, ``first_frame_s``, ``cpu_pct`` (of one core, children included),
    ``ram_bytes`` (each run's peak). ``gpu`` by sensor, null where none was read.
    """
    frames = wide(joined["frames"], joined["frame_phases"]).to_pandas()
    pools: dict[str, list[Json]] = {}
    for run in runs:
        pools.setdefault(pool_of(run), []).append(run)
    return {
        mode: _runtime([run for run in members if run["status"] == "completed"] or members, frames)
        for mode, members in pools.items()
    }


def _runtime(runs: list[Json], frames: pd.DataFrame) -> Json:
    kept = frames[frames["run"].isin([run["run_id"] for run in runs]) & ~frames["warmup"]]
    wall_s = (kept["end_ns"] - kept["start_ns"]).to_numpy() / 1e9
    step_s = kept["step"].to_numpy() / 1e9 if "step" in kept.columns else np.empty(0)
    resources = [run["resources"] for run in runs if run["resources"]]
    cpu = [100 * run["resources"]["cpu_ns"] / run["run_wall_ns"] for run in runs if run["resources"]]
    return {
        "frame_s": spread(wall_s),
        "frames_per_s": _rates(wall_s),
        "step_s": spread(step_s[step_s > 0]),
        "steps_per_s": _rates(step_s),
        "startup_s": {phase: _startup(runs, phase) for phase in STARTUP},
        "first_frame_s": spread([run["first_frame_ns"] / 1e9 for run in runs if run["first_frame_ns"] is not None]),
        "cpu_pct": spread(cpu),
        "ram_bytes": spread([found["max_rss_bytes"] for found in resources]),
        "gpu": _gpu(runs),
    }


def _rates(seconds: Any) -> Json | None:
    return spread(1 / seconds[seconds > 0])


def _startup(runs: list[Json], phase: str) -> Json | None:
    found = (run["segment_phases"].get("startup", {}).get(phase) for run in runs)
    return spread([entry["total_ns"] / 1e9 for entry in found if entry is not None])


def _gpu(runs: list[Json]) -> dict[str, Json] | None:
    """Sensors of the first GPU: means of the runs' means, their variances pooled."""
    rows = [row for run in runs if run["trace"] for row in run["trace"]["gpu_sensors"] if row["device"] == 0]
    out: dict[str, Json] = {}
    for name in ("utilisation", "memory_used"):
        mine = [row for row in rows if row["metric"] == name]
        if mine:
            out[name] = {
                "mean": float(np.mean([row["mean"] for row in mine])),
                "std": float(np.sqrt(np.mean([row["std"] ** 2 for row in mine]))),
                "min": min(row["least"] for row in mine),
                "max": max(row["most"] for row in mine),
                "count": len(mine),
            }
    return out or None
