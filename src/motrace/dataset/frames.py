"""Frames with their phases: the long table ``frame_phases``, by row of ``frames``, and as columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Array
from .schemas import SCHEMAS

PREFIX = "phase "


@dataclass(frozen=True)
class FrameTimes:
    """Frames as parallel arrays; ``phases`` holds the time of each phase in each frame, ns."""

    run: Array
    frame: Array
    wall_ns: Array
    warmup: Array
    phases: dict[str, Array]

    @classmethod
    def of(cls, frames: pa.Table, frame_phases: pa.Table) -> FrameTimes:
        """The frames of one run or of several."""
        start, end, frame, warmup = (
            frames.column(name).to_numpy() for name in ("start_ns", "end_ns", "frame", "warmup")
        )
        run = np.array(frames.column("run").to_pylist(), object)
        return cls(run, frame, end - start, warmup, phase_times(frames, frame_phases))

    def __len__(self) -> int:
        return len(self.frame)

    def rows(self, chosen: Array) -> FrameTimes:
        """Some of the frames, by a mask."""
        phases = {name: ns[chosen] for name, ns in self.phases.items()}
        return FrameTimes(self.run[chosen], self.frame[chosen], self.wall_ns[chosen], self.warmup[chosen], phases)

    def of_runs(self, runs: Collection[str]) -> FrameTimes:
        """The frames of some runs."""
        return self.rows(np.isin(self.run, list(runs)))

    def kept(self) -> FrameTimes:
        """Without warm-up."""
        return self.rows(~self.warmup)

    def phase_ns(self, phase: str) -> Array:
        """Time of a phase in each frame; 0 where it has none."""
        return self.phases.get(phase, np.zeros(len(self), np.int64))


def phase_times(frames: pa.Table, frame_phases: pa.Table) -> dict[str, Array]:
    """For each phase its time in each row of ``frames``, ns (int64, 0 where it has none); phases sorted by name."""
    runs = pc.unique(frames.column("run").cast("string"))
    rows, keys = _keys(frames, runs), _keys(frame_phases, runs)
    order = np.argsort(rows, kind="stable")
    place = np.searchsorted(rows[order], keys)
    place = np.minimum(place, max(0, len(rows) - 1))
    known = (rows[order][place] == keys) if len(rows) else np.zeros(len(keys), bool)
    phase = frame_phases.column("phase").cast("string")
    words = sorted(set(pc.unique(phase).to_pylist()))
    code = pc.index_in(phase, pa.array(words, pa.string())).to_numpy()
    ns = frame_phases.column("ns").to_numpy()
    out: dict[str, Array] = {}
    for number, word in enumerate(words):
        mine = known & (code == number)
        out[word] = np.zeros(len(rows), np.int64)
        out[word][order[place[mine]]] = ns[mine]
    return out


def _keys(table: pa.Table, runs: pa.Array) -> Array:
    """One number for each (run, frame); -1 for a run that is not among ``runs``."""
    run = pc.fill_null(pc.index_in(table.column("run").cast("string"), runs), -1).to_numpy().astype(np.int64)
    return np.where(run >= 0, run << 40 | table.column("frame").to_numpy(), -1)


def wide(frames: pa.Table, frame_phases: pa.Table) -> pa.Table:
    """``frames`` with a column for each phase that occurs, ns: the view for people; see ``phase_column``."""
    for phase, ns in phase_times(frames, frame_phases).items():
        frames = frames.append_column(phase_column(phase), pa.array(ns))
    return frames


def phase_column(phase: str) -> str:
    """The column of a phase in the wide view: its name, which programs choose, set apart from our own columns'."""
    return f"{PREFIX}{phase}" if phase in SCHEMAS["frames"].names or phase.startswith(PREFIX) else phase
