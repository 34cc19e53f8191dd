"""Runs of one mode against runs of another: what recording adds to a frame, and what changed between two experiments.

The unit is the run: each gives one mean per quantity, and intervals come from the repeats, since
frames of one run are not independent. Only completed runs count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import command
from ..statistics.intervals import difference

Json = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """Whether a quantity got slower by more than a limit (None: that is not known); changes are fractions."""

    quantity: str
    slower: bool | None
    change: float | None
    lo: float | None
    hi: float | None


NO_MODES = f"a program of one's own has no modes: compare two recordings of it with `{command('compare')} BEFORE AFTER`"


def per_frame(run: Json, ns: float) -> float:
    """``ns`` of a run, per kept frame."""
    return ns / float(run["frames"])


def usable(runs: list[Json], mode: str) -> list[Json]:
    """Completed runs of a mode that have frames and were not disturbed by a collector."""
    found = [run for run in runs if run["mode"] == mode and run["status"] == "completed" and run["frames"]]
    return least_disturbed([run for run in found if not run["observer"]])


def least_disturbed(runs: list[Json]) -> list[Json]:
    """Those of some runs that no profiler watched; all of them where one watched each."""
    return [run for run in runs if not is_profiled(run)] or runs


def is_profiled(run: Json) -> bool:
    """Whether a profiler disturbed a run: a pass of ours, or one that the user attached."""
    return bool(run["observer"] or run.get("profiler_attached"))


def contrast(new: list[Json], base: list[Json], quantity: Callable[[Json], float]) -> Json:
    """Means of a quantity in two groups of runs, and their difference with its 95 % interval."""
    news, bases = (np.array([quantity(run) for run in group]) for group in (new, base))
    interval = difference(news, bases)
    base_mean = float(bases.mean())
    same = np.array_equal(news, bases)  # the same recording twice: no doubt is left
    return {
        "new": float(news.mean()),
        "base": base_mean,
        "difference": interval.mean,
        "lo": 0.0 if same else interval.lo,
        "hi": 0.0 if same else interval.hi,
        "ratio": float(news.mean()) / base_mean if base_mean else None,
    }


def phase_mean(run: Json, phase: str) -> float:
    """Mean time per frame of a phase, ns; 0 where the run has it not."""
    return float(run["phases"].get(phase, {}).get("mean_ns", 0))


def contrast_runs(new: list[Json], base: list[Json]) -> Json:
    """Everything that is compared between two groups of runs."""
    phases = dict.fromkeys(phase for run in (*new, *base) for phase in run["phases"])
    return {
        "repeats": [len(new), len(base)],
        "frame_ns": contrast(new, base, lambda run: per_frame(run, run["loop_wall_ns"])),
        "frame_with_drain_ns": contrast(new, base, lambda run: per_frame(run, run["recording_wall_ns"])),
        "run_wall_ns": contrast(new, base, lambda run: run["run_wall_ns"]),
        "phases": {phase: contrast(new, base, lambda run, phase=phase: phase_mean(run, phase)) for phase in phases},  # type: ignore[misc]
    }


def record_against_none(runs: list[Json]) -> Json:
    """What recording adds per frame: runs of mode record against runs of mode none."""
    new, base = usable(runs, "record"), usable(runs, "none")
    if not new or not base:
        if runs and all(run["mode"] == "custom" for run in runs):
            return {"new": "record", "base": "none", "unknown": NO_MODES}
        missing = " and ".join(mode for mode, group in (("record", new), ("none", base)) if not group)
        return {"new": "record", "base": "none", "unknown": f"no completed run of mode {missing}; use --mode both"}
    result = {"new": "record", "base": "none", "unknown": None, **contrast_runs(new, base)}
    if min(result["repeats"]) < 2:
        result["no_interval"] = "one run of a mode has no spread: use --repeat 2 or more for intervals"
    return result


def rungs(runs: list[Json]) -> list[Json]:
    """What each rung adds per frame to the one below: steps alone, pictures made and dropped, everything.

    Empty where no run of mode capture completed.
    """
    ladder = [mode for mode in ("none", "capture", "record") if usable(runs, mode)]
    if "capture" not in ladder:
        return []
    return [
        {"new": new, "base": base, **contrast_runs(usable(runs, new), usable(runs, base))}
        for base, new in pairwise(ladder)
    ]


def same_states(runs: list[Json]) -> bool | None:
    """Whether all completed runs ended in the same simulation state; None if fewer than two tell."""
    digests = [run["workload"].get("state_sha256") for run in runs if run["status"] == "completed"]
    digests = [digest for digest in digests if digest]
    return None if len(digests) < 2 else len(set(digests)) == 1


def gate(comparison: Json, limit: float) -> list[Judged]:
    """Whether the frame, without and with the drain, got slower by more than ``limit``, a fraction of the base.

    It did where the whole 95 % interval lies above the limit, it did not where none of it does. Else, or where
    a side has one run and so no interval, that is not known.
    """
    found = []
    for name in ("frame_ns", "frame_with_drain_ns"):
        entry = comparison[name]
        change, lo, hi = (
            entry[key] / entry["base"] if entry["base"] and entry[key] is not None else None
            for key in ("difference", "lo", "hi")
        )
        if lo is None or hi is None or lo <= limit < hi:
            slower = None
        else:
            slower = lo > limit
        found.append(Judged(name, slower, change, lo, hi))
    return found
