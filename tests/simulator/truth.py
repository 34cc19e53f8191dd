"""The true attribution, from what everybody did in each slice.

The rules are written out here, from docs/vocabulary.md and docs/attribution.md, and share no code
with the analysis that they judge: blocked time goes to one cause; where several worked at once the
group that the phase waits for comes first, then renderer, simulation, policy, encoder, others.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .config import Config
from .world import RUNNABLE, RUNNING, Chunk, runs

Array = np.ndarray[Any, Any]

WAITS_FOR = {
    "policy": "policy", "checkpoint": "policy", "step": "simulation", "environment": "simulation",
    "capture": "renderer", "submit": "renderer", "wait": "renderer", "take": "renderer", "renderer": "renderer",
    "close": "renderer", "imports": "other",
}  # fmt: skip
"""Any other phase waits for the encoder first."""
ORDER = ("renderer", "simulation", "policy", "encoder", "other")
CAUSES = (
    "native_or_python", "run_queue", "idle", "renderer_both", "gpu_only", "raster", "renderer_cpu_only",
    "sim_pool", "policy_pool", "cuda", "encoder", "other_processes", "other_threads",
)  # fmt: skip
NOT_IN_TRACE = "unattributed"
_ROLES = ("raster", "renderer", "task_pool", "sim_pool", "policy_pool", "encoder", "child", "other")


class Truth:
    """Sums up chunk by chunk."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._seen = [config.seen_role(thread) for thread in config.threads()]
        self.rows: dict[str, list[Any]] = {name: [] for name in ("segment", "frame", "phase", "cause", "ns")}
        self._frames: dict[str, list[Array]] = {name: [] for name in ("start", "end", "busy", "wait", "cpu", "both")}
        self._gpu_begins: list[Array] = []
        self._gpu_ends: list[Array] = []
        self.launched: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self.waits: dict[tuple[str, str, str, str], list[int]] = {}

    def _working(self, chunk: Chunk) -> dict[str, Array]:
        """When each role that can be seen worked: flags by slice."""
        none = np.zeros(len(chunk.loop), bool)
        found = {role: none.copy() for role in _ROLES}
        for role, busy in zip(self._seen, chunk.busy):
            if role is not None:
                found[role] |= busy
        return found

    def add(self, chunk: Chunk) -> None:
        """Take in some frames."""
        working = self._working(chunk)
        cause = self._causes(chunk, working)
        lengths = np.diff(chunk.edges)
        phases = list(dict.fromkeys(chunk.layout.phase))
        phase = np.tile([phases.index(name) for name in chunk.layout.phase], chunk.frames)
        frame = np.repeat(np.arange(chunk.frames), chunk.slices)
        sums = np.zeros(chunk.frames * len(phases) * len(CAUSES), np.int64)
        np.add.at(sums, (frame * len(phases) + phase) * len(CAUSES) + cause, lengths)
        for place in np.flatnonzero(sums).tolist():
            rest, which = divmod(place, len(CAUSES))
            number, name = divmod(rest, len(phases))
            self.rows["segment"].append(chunk.segment)
            self.rows["frame"].append(None if chunk.first_frame is None else chunk.first_frame + number)
            self.rows["phase"].append(phases[name])
            self.rows["cause"].append(CAUSES[which])
            self.rows["ns"].append(int(sums[place]))
        self._gpu(chunk, working, lengths)

    def _causes(self, chunk: Chunk, working: dict[str, Array]) -> Array:
        """The number of each slice's cause."""
        cause = np.zeros(len(chunk.loop), np.int64)
        groups = np.tile([ORDER.index(WAITS_FOR.get(name, "encoder")) for name in chunk.layout.phase], chunk.frames)
        cpu, draws = working["renderer"] | working["task_pool"], chunk.graphics | working["raster"]
        rules = {
            "renderer": (
                ("renderer_both", draws & cpu),
                ("gpu_only", chunk.graphics),
                ("raster", working["raster"]),
                ("renderer_cpu_only", cpu),
            ),
            "simulation": (("sim_pool", working["sim_pool"]),),
            "policy": (("policy_pool", working["policy_pool"]), ("cuda", chunk.cuda)),
            "encoder": (("encoder", working["encoder"]),),
            "other": (("other_processes", working["child"]), ("other_threads", working["other"])),
        }
        for group, first in enumerate(ORDER):
            order = (first, *(name for name in ORDER if name != first))
            chosen = np.full(len(cause), CAUSES.index("idle"))
            for name, holds in reversed([rule for other in order for rule in rules[other]]):
                chosen[holds] = CAUSES.index(name)
            cause = np.where(groups == group, chosen, cause)
        cause = np.where(chunk.loop == RUNNABLE, CAUSES.index("run_queue"), cause)
        return np.asarray(np.where(chunk.loop == RUNNING, CAUSES.index("native_or_python"), cause))

    def _gpu(self, chunk: Chunk, working: dict[str, Array], lengths: Array) -> None:
        gpu = chunk.graphics | chunk.cuda | working["raster"]
        begins, ends = runs(gpu, chunk.edges)
        self._gpu_begins.append(begins)
        self._gpu_ends.append(ends)
        same_device = self._config.cuda_device == 0
        both = (chunk.graphics | chunk.cuda) if same_device else chunk.graphics.astype(np.int64) + chunk.cuda
        ran = (both * lengths).reshape(chunk.frames, -1).sum(axis=0)
        for name, ns in zip(chunk.layout.phase, ran.tolist()):
            self.ran[name] += ns
        if chunk.first_frame is None:
            return
        cpu = (chunk.loop == RUNNING) | np.any([who for role, who in working.items() if role != "raster"], axis=0)
        per_frame = {"busy": gpu, "wait": gpu & (chunk.loop != RUNNING), "cpu": cpu, "both": gpu & cpu}
        for name, when in per_frame.items():
            self._frames[name].append((when * lengths).reshape(chunk.frames, -1).sum(axis=1))
        self._frames["start"].append(chunk.stamps(0))
        self._frames["end"].append(chunk.stamps(chunk.slices))

    def launch(self, phase: Array, device: Array, start_ns: Array, end_ns: Array) -> None:
        """All operations of a chunk: the phases (names) in which they were launched, devices, times."""
        for name in np.unique(phase):
            self.operations[str(name)] += int((phase == name).sum())
            for number in np.unique(device):
                mine = np.flatnonzero((phase == name) & (device == number))
                if len(mine):
                    mine = mine[np.argsort(start_ns[mine], kind="stable")]
                    start, end = start_ns[mine], end_ns[mine]
                    covered = np.concatenate(([start[0]], np.maximum.accumulate(end)[:-1]))
                    self.launched[str(name)] += int(np.maximum(0, end - np.maximum(start, covered)).sum())

    def call(self, phase: Array, role: str, api: str, name: str, lengths: Array) -> None:
        """Calls of one function by one role."""
        for which in np.unique(phase):
            mine = phase == which
            total = self.waits.setdefault((str(which), role, api, name), [0, 0])
            total[0] += int(mine.sum())
            total[1] += int(lengths[mine].sum())

    def gpu_frames(self) -> dict[str, list[Any]]:
        """Per frame: GPU busy, waited for, idle until the next frame's first work (None: unknown), serialisation."""
        columns = {name: np.concatenate(parts) for name, parts in self._frames.items()}
        begins, ends = _merged(np.concatenate(self._gpu_begins), np.concatenate(self._gpu_ends))
        first = np.searchsorted(begins, columns["start"])
        after = np.searchsorted(begins, columns["end"])
        gap: list[int | None] = []
        for index in range(len(first) - 1):
            some = after[index] > first[index] and after[index + 1] > first[index + 1]
            gap.append(max(0, int(begins[first[index + 1]] - ends[after[index] - 1])) if some else None)
        shorter = np.minimum(columns["busy"], columns["cpu"]).tolist()
        ratio = [1.0 - both / least if least else None for both, least in zip(columns["both"].tolist(), shorter)]
        return {
            "busy_ns": columns["busy"].tolist(),
            "wait_ns": columns["wait"].tolist(),
            "gap_ns": [*gap, None],
            "serialisation": ratio,
        }

    def table(self) -> pa.Table:
        """Segment, frame (null outside frames), phase, cause, ns."""
        return pa.table(
            {
                "segment": pa.array(self.rows["segment"], pa.string()).dictionary_encode(),
                "frame": pa.array(self.rows["frame"], pa.int64()),
                "phase": pa.array(self.rows["phase"], pa.string()).dictionary_encode(),
                "cause": pa.array(self.rows["cause"], pa.string()).dictionary_encode(),
                "ns": pa.array(self.rows["ns"], pa.int64()),
            }
        )

    def write(self, folder: Path) -> None:
        """``attribution.parquet`` and ``gpu_frames.parquet``. Raises OSError."""
        pq.write_table(self.table(), folder / "attribution.parquet")
        pq.write_table(pa.table(self.gpu_frames()), folder / "gpu_frames.parquet")

    def totals(self) -> dict[str, Any]:
        """What ``truth.json`` says: sums over the whole run."""
        by_cause: Counter[str] = Counter()
        for cause, ns in zip(self.rows["cause"], self.rows["ns"]):
            by_cause[cause] += ns
        waits = [[*key, *total] for key, total in sorted(self.waits.items())]
        phases = sorted({*self.ran, *self.launched})
        gpu = {name: [self.operations[name], self.launched[name], self.ran[name]] for name in phases}
        return {"cause_ns": dict(by_cause), "waits": waits, "gpu_phases": gpu}


def _merged(begins: Array, ends: Array) -> tuple[Array, Array]:
    """Stretches that touch, made one."""
    apart = begins[1:] != ends[:-1]
    return begins[np.concatenate(([True], apart))[: len(begins)]], ends[np.concatenate((apart, [True]))[-len(ends) :]]
