"""What observers cost: their runs against the quiet runs of the same mode, phase by phase."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..statistics.intervals import difference, single_against
from ..vocabulary import RIDING_COLLECTORS
from .compare import per_frame, phase_mean, usable

Json = dict[str, Any]

FLAG_ABOVE, REFUSE_ABOVE = 0.05, 0.30
SMALL_NS = 50_000
"""A phase that takes less per frame is not judged: a ratio of noise tells nothing."""


def observer_of(run: Json) -> str:
    """The observers that watched a run, without the collectors that ride along in every run."""
    return ", ".join(name for name in run["collectors"] if name not in RIDING_COLLECTORS)


def observers_cost(runs: list[Json]) -> list[Json]:
    """For each observer and phase: mean time per frame against the quiet runs, and what may be used of it.

    ``change`` is relative; ``lo`` and ``hi`` its 95 % interval, None with one quiet run: an
    observer has one pass, which is taken to scatter as the quiet runs do. ``use``
    is ``yes``, ``flagged`` (more than 5 %, slower or faster) or ``refused`` (more than 30 %), by the mean.
    ``whole_frame`` tells the frame from a phase that the program calls so. ``would_do`` is, for a phase that was
    refused to an observer with a rate, the rate at which it would not have been.
    """
    rows: list[Json] = []
    observed = [
        run
        for run in runs
        if run["observer"] and run["status"] == "completed" and run["frames"] and not run.get("observer_failed")
    ]
    for mode, name in sorted({(run["mode"], observer_of(run)) for run in observed}):
        mine = [run for run in observed if (run["mode"], observer_of(run)) == (mode, name)]
        quiet = usable(runs, mode)
        if not quiet:
            continue
        for phase, whole in [("frame", True), *((phase, False) for phase in mine[0]["phases"])]:
            news, bases = (np.array([_mean(run, phase, whole) for run in group], float) for group in (mine, quiet))
            base = float(bases.mean())
            if base < SMALL_NS:
                continue
            interval = difference(news, bases) if len(news) > 1 else single_against(float(news[0]), bases)
            change = interval.mean / base
            rows.append(
                {
                    "observer": name,
                    "mode": mode,
                    "phase": phase,
                    "whole_frame": whole,
                    "quiet_ns": base,
                    "observed_ns": float(news.mean()),
                    "change": change,
                    "lo": None if interval.lo is None else interval.lo / base,
                    "hi": None if interval.hi is None else interval.hi / base,
                    "use": use_of(change),
                    "would_do": _would_do(mine, change),
                }
            )
    return rows


def use_of(change: float) -> str:
    """What may be used of a phase that took so much longer (of 1) under an observer.

    One that took much less time was not the same work either: the machine was not quiet, and the quiet run suffered.
    """
    return "refused" if abs(change) > REFUSE_ABOVE else "flagged" if abs(change) > FLAG_ABOVE else "yes"


def _would_do(runs: list[Json], change: float) -> int | None:
    """Samples per second at which the cost would be what is just not refused; the cost grows with the rate.

    None if it was not refused, or there is no rate, or none of at least 1 would do.
    """
    rates = [rate for run in runs for rate in (run.get("rates") or {}).values()]
    if change <= REFUSE_ABOVE or not rates:
        return None
    return int(min(rates) * REFUSE_ABOVE / change) or None


def _mean(run: Json, phase: str, whole_frame: bool) -> float:
    return per_frame(run, run["loop_wall_ns"]) if whole_frame else phase_mean(run, phase)
