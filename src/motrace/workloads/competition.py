"""What other processes took of the cores that a run may use, as the kernel counts it."""

from __future__ import annotations

import os
from pathlib import Path

STAT = Path("/proc/stat")
_IDLE = (3, 4)  # idle, iowait; guest times (8, 9) are in user and nice already
_TIMES = 8


def busy_ns(stat: str, cores: set[int]) -> int:
    """Time that ``cores`` did not idle since the machine began, ns: anybody's, and what a hypervisor took.

    ``stat`` is the text of /proc/stat. Raises ValueError where it does not tell of all of them.
    """
    ticks, seen = 0, set()
    for line in stat.splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            seen.add(int(name[3:]))
            ticks += sum(int(value) for index, value in enumerate(values[:_TIMES]) if index not in _IDLE)
    if seen != cores:
        raise ValueError(f"{STAT} lists {len(seen)} of {len(cores)} cores")
    return ticks * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


class Competition:
    """Measures from now until ``stop``, for a process that is started from here."""

    def __init__(self) -> None:
        self._cores = os.sched_getaffinity(0)
        self._begin = self._now()
        self._end: int | None = None

    def _now(self) -> int | None:
        try:
            return busy_ns(STAT.read_text(), self._cores)
        except (OSError, ValueError):  # hidden in some containers
            return None

    def stop(self) -> None:
        """The process has ended."""
        self._end = self._now()

    def found(self, own_cpu_ns: int) -> dict[str, int]:
        """``others_cpu_ns``: CPU time of all but the run, which used ``own_cpu_ns``, on its ``cores``; or nothing."""
        if self._begin is None or self._end is None:
            return {}
        return {"others_cpu_ns": max(0, self._end - self._begin - own_cpu_ns), "cores": len(self._cores)}
