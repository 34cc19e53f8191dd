"""Times of a run's segments and phases."""

from __future__ import annotations

import numpy as np

from ..attribution.run import RunAnalysis
from ..attribution.tables import inclusive_ns
from ..dataset.frames import FrameTimes
from ..statistics.intervals import Distribution
from ..vocabulary import SEGMENTS
from .values import PhaseTime, SegmentPhase, SegmentTime


def share_of(ns: float, whole_ns: int) -> float:
    """A share of a wall time; 0 where that is 0."""
    return float(ns / whole_ns) if whole_ns else 0.0


def segment_times(analysis: RunAnalysis) -> tuple[SegmentTime, ...]:
    """Wall time of each segment; they add up to the run's."""
    walls: dict[str, int] = {}
    for segment in analysis.segments:
        walls[segment.name] = walls.get(segment.name, 0) + segment.end_ns - segment.start_ns
    known = [name for name in SEGMENTS if name in walls]
    return tuple(SegmentTime(name, walls[name]) for name in dict.fromkeys((*known, *walls)))


def _span_parents(analysis: RunAnalysis) -> dict[str, str | None]:
    """The span that most often stands around each phase."""
    spans = analysis.spans
    votes: dict[str, dict[str | None, int]] = {}
    for name, parent in zip(spans.name, spans.parent.tolist()):
        around = None if parent < 0 or spans.is_frame[parent] else spans.name[parent]
        votes.setdefault(name, {}).setdefault(around, 0)
        votes[name][around] += 1
    return {name: max(sorted(mine, key=str), key=lambda key: mine[key]) for name, mine in votes.items()}


def phase_times(analysis: RunAnalysis, kept: FrameTimes, loop_ns: int) -> tuple[PhaseTime, ...]:
    """Per phase of the loop: distribution over the kept frames, children included, and own time; in order of time."""
    pieces = analysis.pieces
    wall = pieces.end_ns - pieces.start_ns
    inside = np.isin(pieces.frame, kept.frame)
    phases = np.array(pieces.phase, object)
    parents = _span_parents(analysis)
    first_seen = {name: int(np.flatnonzero(phases == name)[0]) for name in dict.fromkeys(pieces.phase)}
    out = []
    for name in sorted(kept.phases, key=lambda name: (name == "glue", first_seen.get(name, 0))):
        values = kept.phases[name]
        if values.any():
            self_ns = int(wall[inside & (phases == name)].sum())
            share = share_of(values.sum(), loop_ns)
            out.append(PhaseTime(name, parents.get(name), Distribution.of(values), share, self_ns))
    return tuple(out)


def segment_phases(analysis: RunAnalysis, segments: tuple[SegmentTime, ...]) -> tuple[SegmentPhase, ...]:
    """Per segment and phase: total (children included) and self time, and share of the segment."""
    pieces = analysis.pieces
    wall = pieces.end_ns - pieces.start_ns
    phases = np.array(pieces.phase, object)
    inclusive = inclusive_ns(analysis)
    names = np.array([segment.name for segment in analysis.segments], object)[pieces.segment]
    out: list[SegmentPhase] = []
    for one in segments:
        rows = names == one.segment
        mine = []
        for phase, ns in inclusive.items():
            if total := int(ns[rows].sum()):
                self_ns = int(wall[rows & (phases == phase)].sum())
                mine.append(SegmentPhase(one.segment, phase, total, self_ns, share_of(total, one.wall_ns)))
        out += sorted(mine, key=lambda row: (-row.total_ns, row.phase))
    return tuple(out)
