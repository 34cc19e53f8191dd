"""GPU sensors over the frames: what a report shows of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..dataset.event_store import EventStore, codes
from .profile_model import Sensor

SHOWN = ("utilisation", "encoder_utilisation", "memory_used", "power", "clock.sm", "temperature")


class _Readings(NamedTuple):
    """Of one metric of one GPU."""

    t_ns: Array
    value: Array
    unit: str


def gpu_sensors(
    store: EventStore, start_ns: int, end_ns: int, frames: int, pids: Collection[int] = ()
) -> tuple[Sensor, ...]:
    """For each GPU and metric: mean, least and most between two run times; energy per frame in J.

    Of what is known by process, that of ``pids`` is listed. Energy is the difference of the GPU's own
    counter where it has one, else mean power times time.
    """
    rows = store.load("gpu_metrics", ("t_ns", "device", "metric", "value", "unit"))
    if not rows.num_rows or end_ns <= start_ns:
        return ()
    t_ns, device, value = (rows.column(name).to_numpy() for name in ("t_ns", "device", "value"))
    (metric, metrics), (unit, units) = codes(rows, "metric"), codes(rows, "unit")
    inside = (t_ns >= start_ns) & (t_ns <= end_ns)
    own = tuple(f"process.{pid}." for pid in pids)
    out: list[Sensor] = []
    for gpu in np.unique(device[inside]).tolist():
        readings: dict[str, _Readings] = {}
        for number, name in enumerate(metrics):
            chosen = inside & (device == gpu) & (metric == number)
            if chosen.any() and name is not None:
                readings[name] = _Readings(t_ns[chosen], value[chosen], str(units[int(unit[chosen][0])]))
        out += [
            _sensor(gpu, name, readings[name])
            for name in sorted(readings, key=lambda name: (name not in SHOWN, name))
            if name.startswith(own) or not name.startswith(("process.", "energy"))
        ]
        joules = _energy(readings, (end_ns - start_ns) / 1e9)
        if joules is not None and frames:
            per_frame = joules / frames
            out.append(Sensor(gpu, "energy per frame", "J", per_frame, 0.0, per_frame, per_frame))
    return tuple(out)


def _sensor(gpu: int, metric: str, readings: _Readings) -> Sensor:
    value = readings.value
    std = float(value.std(ddof=1)) if len(value) > 1 else 0.0
    return Sensor(gpu, metric, readings.unit, float(value.mean()), std, float(value.min()), float(value.max()))


def _energy(readings: dict[str, _Readings], seconds: float) -> float | None:
    """Joules between two moments; the counter's readings are stretched to the whole time."""
    counter = readings.get("energy")
    if counter is not None and len(counter.t_ns) > 1:
        passed = (int(counter.t_ns.max()) - int(counter.t_ns.min())) / 1e9
        if passed > 0:
            return float(counter.value.max() - counter.value.min()) * seconds / passed
    if "power" in readings:
        return float(readings["power"].value.mean()) * seconds
    return None
