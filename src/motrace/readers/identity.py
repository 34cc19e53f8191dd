"""Who a run was: its id, processes and threads, and when it ran by the wall clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import runs
from ..errors import left_out
from ..escape import encodable
from ..record.spans import START
from .spans import SpanLogFile


@dataclass(frozen=True)
class RunIdentity:
    """As far as the run's folder tells; ``born_ns`` and ``last_ns`` (UTC) are None where no log says."""

    run_id: str
    pids: frozenset[int] = frozenset()
    tids: frozenset[int] = frozenset()
    born_ns: int | None = None
    last_ns: int | None = None

    def near(self, start_ns: int, end_ns: int, apart_ns: int) -> bool:
        """Whether [start, end] (UTC) is not further than ``apart_ns`` from the run; False if either is not known."""
        if self.born_ns is None or self.last_ns is None:
            return False
        return start_ns - apart_ns <= self.last_ns and self.born_ns <= end_ns + apart_ns


def run_identity(path: Path) -> RunIdentity:
    """Of the run in the folder ``path``; what can't be read is left out."""
    manifest: dict[str, Any] = {}
    logs: list[SpanLogFile] = []
    for file in (path / runs.RUN_FILE, *sorted(path.glob("spans-*.bin"))):
        with left_out(file.name, []):  # the reader of the run will say what is wrong with it
            if file.name != runs.RUN_FILE:
                logs.append(SpanLogFile.read(file))
            elif file.exists():
                manifest = runs.read_json(file)
    born = min((log.created_utc_ns for log in logs), default=None)
    last = max(
        (log.created_utc_ns - log.created_ns + max(log.created_ns, int(log.records[:, START:].max())) for log in logs
         if len(log.records)), default=born,
    )  # fmt: skip
    pids, tids = frozenset(log.pid for log in logs), frozenset(log.tid for log in logs)
    return RunIdentity(encodable(str(manifest.get("run_id", path.name))), pids, tids, born, last)
