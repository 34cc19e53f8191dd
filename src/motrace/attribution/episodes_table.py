"""The table ``episodes`` of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ..dataset import tables
from .run import RunAnalysis


def episodes_table(analysis: RunAnalysis, frames: pa.Table) -> pa.Table:
    """The table ``episodes`` of a run; no rows where it reported none.

    Steps are counted like frames; an episode that was over before the first kept frame is warm-up.
    """
    found = analysis.recording.episodes
    warmup = int(np.sum(frames.column("warmup").to_numpy(zero_copy_only=False)))
    columns: dict[str, list[Any]] = found.columns if found is not None else {}
    starts, ends = columns.get("start_step", []), columns.get("end_step", [])
    names = ("env", "episode", "start_step", "end_step", "reason", "return", "success")
    return tables.make(
        tables.SCHEMAS["episodes"],
        {
            **analysis.key.columns(len(ends)),
            **{name: columns.get(name, []) for name in names},
            "length": [end - start + 1 for start, end in zip(starts, ends)],
            "warmup": [end < warmup for end in ends],
        },
    )
