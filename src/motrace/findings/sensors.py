"""GPU sensors over the frames, and Scalene's hints: what a report shows of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ..dataset.event_store import EventStore, codes
from ..sampling.user_profiles import heaviest_lines

Json = dict[str, Any]
SHOWN = ("utilisation", "encoder_utilisation", "memory_used", "power", "clock.sm", "temperature")


def gpu_sensors(store: EventStore, start_ns: int, end_ns: int, frames: int, pids: Collection[int] = ()) -> list[Json]:
    """For each GPU and metric: mean, least and most between two run times; energy per frame in J.

    Of what is known by process, that of ``pids`` is listed. Energy is the difference of the GPU's own
    counter where it has one, else mean power times time.
    """
    rows = store.load("gpu_metrics", ("t_ns", "device", "metric", "value", "unit"))
    if not rows.num_rows or end_ns <= start_ns:
        return []
    t_ns, device, value = (rows.column(name).to_numpy() for name in ("t_ns", "device", "value"))
    (metric, metrics), (unit, units) = codes(rows, "metric"), codes(rows, "unit")
    inside = (t_ns >= start_ns) & (t_ns <= end_ns)
    own = tuple(f"process.{pid}." for pid in pids)
    out: list[Json] = []
    for gpu in np.unique(device[inside]).tolist():
        found: dict[str, Any] = {}
        for number, name in enumerate(metrics):
            chosen = inside & (device == gpu) & (metric == number)
            if chosen.any() and name is not None:
                found[name] = (t_ns[chosen], value[chosen], str(units[int(unit[chosen][0])]))
        out += [
            {
                "device": gpu, "metric": name, "unit": found[name][2], "mean": float(found[name][1].mean()),
                "std": float(found[name][1].std(ddof=1)) if len(found[name][1]) > 1 else 0.0,
                "least": float(found[name][1].min()), "most": float(found[name][1].max()),
            }
            for name in sorted(found, key=lambda name: (name not in SHOWN, name))
            if name.startswith(own) or not name.startswith(("process.", "energy"))
        ]  # fmt: skip
        joules = _energy(found, (end_ns - start_ns) / 1e9)
        if joules is not None and frames:
            per_frame = joules / frames
            out.append({"device": gpu, "metric": "energy per frame", "unit": "J", "mean": per_frame, "std": 0.0,
                        "least": per_frame, "most": per_frame})  # fmt: skip
    return out


def _energy(found: dict[str, Any], seconds: float) -> float | None:
    """Joules between two moments; the counter's readings are stretched to the whole time."""
    if "energy" in found and len(found["energy"][0]) > 1:
        t_ns, value, _ = found["energy"]
        passed = (int(t_ns.max()) - int(t_ns.min())) / 1e9
        if passed > 0:
            return float(value.max() - value.min()) * seconds / passed
    if "power" in found:
        return float(found["power"][1].mean()) * seconds
    return None


def line_hints(store: EventStore) -> list[Json]:
    """The lines in which Scalene saw most, the most first."""
    rows = store.load("lines", ("file", "line", "python_pct", "native_pct", "system_pct", "copy_mb_s", "peak_mb"))
    return heaviest_lines(rows.to_pylist() if rows.num_rows else [])
