"""The table ``episodes`` of a run."""

from __future__ import annotations

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
    rows = found.episodes if found is not None else []
    names = ("env", "episode", "start_step", "end_step", "reason", "return", "success")
    return tables.make(
        tables.SCHEMAS["episodes"],
        {
            **analysis.key.columns(len(rows)),
            **dict(zip(names, zip(*rows) if rows else ([] for _ in names))),
            "length": [one.end_step - one.start_step + 1 for one in rows],
            "warmup": [one.end_step < warmup for one in rows],
        },
    )
