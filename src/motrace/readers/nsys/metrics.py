"""GPU_METRICS -> ``gpu_metrics``: readings of the GPU's own counters, which belong to no process."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ...dataset.dictionary_columns import coded, encoded
from .enums import metric_unit
from .placement import UNTIMED, Context
from .source import Batch, Query, rows_of
from .trace import NEVER_ENDS

TABLE = "GPU_METRICS"
_MHZ_LIMIT = 1e5
_HZ_PER_MHZ = 1e6


class MetricsConverter:
    """Turns readings into rows of ``gpu_metrics``; readings that are not numbers are left out.

    Frequencies come in Hz under names that say MHz: values too large to be MHz are divided.
    """

    query = Query(TABLE, ints=("timestamp", "typeId", "metricId"), floats=("value",))

    def __init__(self, context: Context) -> None:
        """Read the metrics' names. Raises what reading a damaged file raises."""
        self._context = context
        query = Query("TARGET_INFO_GPU_METRICS", ints=("typeId", "metricId"), texts=("metricName",))
        self._names: dict[tuple[int | None, int], str] = {}
        for (kind, metric), (name,) in rows_of(context.trace.source, query):
            if name is not None and metric is not None:
                self._names[kind, metric] = name
                self._names.setdefault((None, metric), name)

    def __call__(self, batch: Batch) -> pa.Table | None:
        """Rows of the batch that count; None if there are none."""
        time, value = batch["timestamp"], batch.floats["value"]
        timed = (time > -NEVER_ENDS) & (time < NEVER_ENDS)
        self._context.count(TABLE, UNTIMED, len(time) - int(timed.sum()))
        keep = np.flatnonzero(timed & np.isfinite(value))
        t_ns = self._context.to_run(time[keep])
        inside = self._context.inside(t_ns, t_ns)
        keep, t_ns = keep[inside], t_ns[inside]
        if not len(keep):
            return None
        kind, metric, value = batch["typeId"][keep], batch["metricId"][keep], value[keep]
        codes, kinds = coded(kind)
        metric_codes, metrics = coded(metric)
        pairs, which = np.unique(codes * len(metrics) + metric_codes, return_inverse=True)
        names = [self._name(int(kinds[pair // len(metrics)]), int(metrics[pair % len(metrics)])) for pair in pairs]
        units = [metric_unit(name) for name in names]
        in_hz = np.array([unit == "MHz" for unit in units])[which] & (value > _MHZ_LIMIT)
        columns = {
            "t_ns": t_ns,
            "device": kind & 0xFF,  # the lowest byte of a metric's type is the GPU's number
            "metric": encoded(which, names),
            "value": np.where(in_hz, value / _HZ_PER_MHZ, value),
            "unit": encoded(which, units),
        }
        return self._context.table("gpu_metrics", columns, len(keep))

    def _name(self, kind: int, metric: int) -> str:
        return self._names.get((kind, metric)) or self._names.get((None, metric)) or f"metric {metric}"
