"""The report of an experiment: what is computed of several runs together."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ..dataset.frames import wide
from ..errors import command
from .benchmark_rows import benchmark_rows
from .bottleneck import judge
from .compare import record_against_none, rungs, same_states
from .episodes import mode_episodes
from .profiler_overhead import observers_cost
from .run_groups import pool_modes
from .runtime import mode_runtimes

Json = dict[str, Any]
NO_RUN: Json = {
    "preflight": [],
    "bucket": None,
    "abstains": True,
    "why": "a profile alone: where a loop's time went needs a recorded run",
    "next": f"record the program ({command('run_record')} --instrument WHAT.toml -- python PROGRAM), "
    "and profile that run",
}


def experiment_report(
    experiment: Json,
    summaries: list[Json],
    joined: dict[str, pa.Table],
    warnings: list[str],
    profiles: list[Json],
) -> Json:
    """What report.json holds: everything that is computed of several runs, and what was recorded of all."""
    environment, warnings = experiment["environment"], list(warnings)
    same = same_states(summaries)
    if same is False:
        warnings.append("the runs did not end in the same simulation state: they did not do the same work")
    warnings += _experiment_warnings(experiment)
    cost = observers_cost(summaries)
    frames = wide(joined["frames"], joined["frame_phases"])
    modes = pool_modes(summaries, frames, cost)
    for name, found in (("episodes", mode_episodes(summaries, joined)), ("runtime", mode_runtimes(summaries, joined))):
        for mode, told in found.items():
            modes[mode][name] = told
    report = {
        "experiment": str(experiment["experiment"]),
        "created_utc": experiment.get("created_utc"),
        "environment": environment,
        "command": experiment.get("command") or {},
        "runs": summaries,
        "modes": modes,
        "same_states": same,
        "comparison": {**record_against_none(summaries), "rungs": rungs(summaries)},
        "observers": cost,
        "profiles": profiles,
        "verdict": judge(summaries, environment, modes, cost) if summaries else NO_RUN,
        "clocks": joined["clocks"].to_pylist(),
        "warnings": warnings + _run_warnings(summaries),
    }
    return {**report, "benchmark": benchmark_rows(report) if summaries else []}


def _run_warnings(summaries: list[Json]) -> list[str]:
    """Warnings of the runs; one that several share is said once."""
    whose: dict[str, list[str]] = {}
    for summary in summaries:
        for text in summary["warnings"]:
            whose.setdefault(text, []).append(summary["run_id"])
    return [f"{', '.join(run_ids)}: {text}" for text, run_ids in whose.items()]


def _experiment_warnings(experiment: Json) -> list[str]:
    """What the recording warned of before its runs began."""
    told = [str(text) for text in (experiment.get("command") or {}).get("warnings") or []]
    free = (experiment.get("environment") or {}).get("disk_free_bytes")
    if free is not None and free < 1 << 30:
        told.append(f"low disk: {free / 1e6:.0f} MB were free when the experiment began")
    return told
