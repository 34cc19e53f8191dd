"""When other processes hold the cores, a run's own threads wait for one, and nobody of ours seems to work.

That takes every core: at least one of ours is ready, none runs, so others run on all of them. So it
lasted for at most the CPU time of the others over the number of cores.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
STALL, SYSTEM = "renderer_stall", "system"
MUCH = 0.05
"""A share of the cores' time from which on the report tells."""


def crowded_ns(resources: Json | None) -> int:
    """For how long at most others held every core of a run, ns; 0 where that was not measured."""
    found = resources or {}
    return int(found.get("others_cpu_ns", 0)) // max(1, int(found.get("cores", 1)))


def allow_for_others(buckets: dict[str, Json], causes: list[Json], crowded: int) -> None:
    """Widen the bounds, in place: so much of the renderer's stall may be waiting for a core, which is the system's."""
    stall, system = buckets[STALL], buckets[SYSTEM]
    wall = sum(bucket["ns"] for bucket in buckets.values())
    system["hi_ns"] = min(system["hi_ns"] + min(crowded, stall["hi_ns"]), wall)
    stall["lo_ns"] = max(0, stall["lo_ns"] - crowded)
    for row in causes:
        if row["bucket"] == STALL:
            row["lo_ns"] = max(0, row["lo_ns"] - crowded)


def crowded_share(run: Json) -> float:
    """Share of the run's cores that others used while it ran."""
    return crowded_ns(run["resources"]) / run["run_wall_ns"] if run["run_wall_ns"] else 0.0
