"""Which tables of an export hold rows that nothing here reads: no row is dropped without a word."""

from __future__ import annotations

import re

from .calls import APIS, LABEL_TABLE, OPS
from .metrics import TABLE as METRICS
from .nvtx import TABLE as NVTX
from .scheduling import SAMPLES, SCHED
from .source import Query
from .stream import results
from .trace import NsysTrace

_READ = {*(api.table for api in APIS), *(ops.table for ops in OPS), LABEL_TABLE, METRICS, NVTX, SAMPLES, SCHED}
_NO_EVENTS = re.compile(
    r"(TARGET_INFO|META_DATA|ENUM|ANALYSIS|NVTX_PAYLOAD|sqlite)_\w+|\w+_CALLCHAINS|GENERIC_EVENT_(TYPE|SOURCE)\w*"
    r"|StringIds|ThreadNames|ProcessStreams|PROCESSES|UnwindMethodType|DIAGNOSTIC_EVENT$"
)
"""What describes others, or the machine."""
_SAID_ELSEWHERE = {
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", "CUPTI_ACTIVITY_KIND_CUDA_EVENT", "CUPTI_ACTIVITY_KIND_OVERHEAD",
    "PROFILER_OVERHEAD",
}  # fmt: skip
"""What calls say too, or what nsys itself cost."""
_MOST = 12


def name_unread(trace: NsysTrace) -> None:
    """Warn of tables with rows that are not read, those of a newer version (``..._V2``) among them."""
    unread = [
        f"{table} ({rows:,} rows)"
        for table in sorted(trace.tables)
        if table not in _READ and table not in _SAID_ELSEWHERE and not _NO_EVENTS.match(table)
        if (rows := sum(results(trace, Query(table, ints=trace.tables[table][:1]), lambda batch: batch.rows)))
    ]
    if len(unread) > _MOST:
        unread[_MOST:] = [f"{len(unread) - _MOST} more"]
    if unread:
        trace.warn(f"tables that are not read: {', '.join(unread)}")
