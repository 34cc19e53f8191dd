"""One clock out of two: from a profiler's times to the run's CLOCK_MONOTONIC, with a stated error.

The recorder writes each span twice: into its log, on the run's clock, and as an NVTX range, which
the profiler stamps on its own. The range begins before the span's begin is read and ends after its
end is read, so for every pair the offset between the clocks lies in a bracket:

    end_span - end_range  <=  offset  <=  begin_span - begin_range

An interruption between the two stamps makes a bracket wide, never wrong; so neighbours narrow each
other: of some pairs in a row the least upper end and the greatest lower end count. Where the
brackets of neighbours exclude each other, a clock has jumped, and a new stretch begins. A
least-squares line through the middles gives each stretch's offset and drift. The stated error is
the 95th percentile, over the groups of pairs, of how far the farther end of their common bracket
lies from the line: for 95 % of them the true offset is no farther.

Sync marks carry the run's clock as payload, read just before the mark: one-sided brackets, hence a
larger error. UTC alone is worse still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Array
from ..dataset.ranges import Ranges
from ..vocabulary import ClockMethod

MARK_DELAY_NS = 10_000  # between the clock's reading and the mark's stamp (0.3 to 1.5 us measured, 10 allowed)
UTC_ERROR_NS, UTC_DRIFT = 1_000_000, 50e-6  # measured: 12 to 66 us and 12 ppm; another machine may be worse
FEW_PAIRS = 8
MOST_GROUPS = 200
ROUNDS = 4
JUMP_PAIRS = 3
"""So many pairs on either side of a jump may be on its wrong side."""
MOST_DRIFT = 500e-6
"""Crystals differ by less, and no kernel slews a clock faster: a steeper line is one through noise."""
JUMP_NS = 20_000
"""A step of the offset smaller than this is left in the error."""


@dataclass(frozen=True)
class ClockFit:
    """A map from trace times to run times: ``run = trace + offset(trace) - origin``, in straight stretches.

    Stretch i begins at ``knots_ns[i]`` (the first one reaches back for ever); its offset is
    ``offsets_ns[i] + slopes[i] * (trace - knots_ns[i])``. 95 % of mapped times are within
    ``error_ns`` of the truth.
    """

    knots_ns: Array
    offsets_ns: Array
    slopes: Array
    error_ns: int
    pairs: int
    method: ClockMethod
    origin_ns: int = 0

    @classmethod
    def constant(cls, offset_ns: float, error_ns: int, pairs: int, method: ClockMethod, origin_ns: int = 0) -> ClockFit:
        """One offset, no drift."""
        knots, offsets = np.zeros(1, np.int64), np.array([float(offset_ns)])
        return cls(knots, offsets, np.zeros(1), error_ns, pairs, method, origin_ns)

    def offset_at(self, trace_ns: Array) -> Array:
        """The offset at trace times, float64 ns."""
        stretch = np.maximum(np.searchsorted(self.knots_ns, trace_ns, side="right") - 1, 0)
        return np.asarray(self.offsets_ns[stretch] + self.slopes[stretch] * (trace_ns - self.knots_ns[stretch]))

    def to_run(self, trace_ns: Array) -> Array:
        """Run times, int64 ns."""
        trace_ns = np.asarray(trace_ns, np.int64)
        return trace_ns + (np.round(self.offset_at(trace_ns)).astype(np.int64) - self.origin_ns)

    def since(self, origin_ns: int) -> ClockFit:
        """The same map to times that count from ``origin_ns``."""
        return replace(self, origin_ns=self.origin_ns + origin_ns)

    @property
    def offset_ns(self) -> int:
        """Run time minus trace time where its first stretch begins."""
        return round(float(self.offset_at(self.knots_ns[:1])[0])) - self.origin_ns

    @property
    def drift_ppm(self) -> float:
        """How much faster the run's clock runs than the trace's, in the longest-lived stretch."""
        return float(self.slopes[0] * 1e6)


def align(spans: Ranges, ranges: Ranges, marks: tuple[Array, Array], utc_offset_ns: int | None) -> ClockFit | None:
    """The best fit that the evidence allows; None where there is none at all.

    ``spans`` are on the run's clock, ``ranges`` on the trace's. ``marks`` are the sync marks'
    trace times and their payloads. ``utc_offset_ns`` is run time minus trace time by way of UTC.
    """
    marked = fit_marks(*marks)
    rough = marked or (None if utc_offset_ns is None else _by_utc(utc_offset_ns, ranges))
    if rough is not None and len(spans) and len(ranges):
        chosen_spans, chosen_ranges = match(spans, ranges, rough)
        if len(chosen_spans) >= FEW_PAIRS:
            return fit_brackets(
                ranges.start_ns[chosen_ranges],
                ranges.end_ns[chosen_ranges],
                spans.start_ns[chosen_spans],
                spans.end_ns[chosen_spans],
            )
    return rough


def _by_utc(offset_ns: int, ranges: Ranges) -> ClockFit:
    length = int(ranges.end_ns.max() - ranges.start_ns.min()) if len(ranges) else 0
    return ClockFit.constant(offset_ns, round(UTC_ERROR_NS + UTC_DRIFT * length), 1, ClockMethod.UTC)


def fit_marks(trace_ns: Array, payload_ns: Array) -> ClockFit | None:
    """From sync marks alone: straight lines from mark to mark, where there are two or more."""
    order = np.argsort(trace_ns, kind="stable")
    trace_ns, payload_ns = np.asarray(trace_ns, np.int64)[order], np.asarray(payload_ns, np.int64)[order]
    if not len(trace_ns):
        return None
    offsets = (payload_ns - trace_ns).astype(float)
    if len(trace_ns) == 1:
        return ClockFit.constant(offsets[0], UTC_ERROR_NS, 1, ClockMethod.ONE_MARK)
    slopes = np.diff(offsets) / np.maximum(np.diff(trace_ns), 1)
    bends = (
        np.abs(np.diff(offsets[[0, *range(len(offsets)), -1]], 2)) / 2
    )  # how far each mark is from its neighbours' line
    error = round(MARK_DELAY_NS + 3 * float(np.percentile(bends, 95)))
    return ClockFit(trace_ns, offsets, np.append(slopes, slopes[-1]), error, len(trace_ns), ClockMethod.MARKS)


def match(spans: Ranges, ranges: Ranges, rough: ClockFit) -> tuple[Array, Array]:
    """Indices of spans and ranges that are the same: of one name, and nearest to each other both ways."""
    picked_spans: list[Array] = []
    picked_ranges: list[Array] = []
    mapped_start, mapped_end = rough.to_run(ranges.start_ns), rough.to_run(ranges.end_ns)
    for name in np.intersect1d(np.unique(spans.name), np.unique(ranges.name)):
        mine, theirs = np.flatnonzero(spans.name == name), np.flatnonzero(ranges.name == name)
        nearest_range = _nearest(mapped_start[theirs], spans.start_ns[mine])
        nearest_span = _nearest(spans.start_ns[mine], mapped_start[theirs])
        mutual = nearest_span[nearest_range] == np.arange(len(mine))
        one, other = mine[mutual], theirs[nearest_range[mutual]]
        # Their lengths are alike too, or they are not the same: a lost range shifts no other.
        slack = 2 * rough.error_ns + 0.1 * (spans.end_ns[one] - spans.start_ns[one])
        alike = np.abs((mapped_end[other] - mapped_start[other]) - (spans.end_ns[one] - spans.start_ns[one])) <= slack
        picked_spans.append(one[alike])
        picked_ranges.append(other[alike])
    if not picked_spans:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(picked_spans), np.concatenate(picked_ranges)


def _nearest(sorted_times: Array, wanted: Array) -> Array:
    """Index of the nearest of ``sorted_times`` to each wanted one."""
    after = np.clip(np.searchsorted(sorted_times, wanted), 1, max(1, len(sorted_times) - 1))
    if len(sorted_times) == 1:
        return np.zeros(len(wanted), np.int64)
    before_is_nearer = wanted - sorted_times[after - 1] <= sorted_times[after] - wanted
    return np.asarray(after - before_is_nearer)


def fit_brackets(trace_start: Array, trace_end: Array, run_start: Array, run_end: Array) -> ClockFit:
    """From pairs of the same range on both clocks; see the module's text. Needs two pairs at least."""
    order = np.argsort(trace_start, kind="stable")
    start, end = trace_start[order], trace_end[order]
    high, low = (run_start - trace_start)[order].astype(float), (run_end - trace_end)[order].astype(float)
    cuts = _jumps(high, low)
    knots, offsets, slopes = [], [], []
    reaches: list[Array] = []
    for first, last in zip([0, *cuts], [*cuts, len(start)]):
        rows = slice(first, last)
        offset, slope, reach = _stretch(start[rows], end[rows], high[rows], low[rows])
        knots.append(start[first])
        offsets.append(offset)
        slopes.append(slope)
        reaches.append(reach)
    for cut, before, after in zip(cuts, reaches, reaches[1:]):  # where exactly it jumped is not known
        step = abs(float(np.median(high[cut : cut + FEW_PAIRS]) - np.median(high[max(0, cut - FEW_PAIRS) : cut])))
        before[-JUMP_PAIRS:], after[:JUMP_PAIRS] = step, step
    error = int(np.ceil(np.percentile(np.concatenate(reaches), 95)))
    method = ClockMethod.RANGES_WITH_JUMPS if len(cuts) else ClockMethod.RANGES
    return ClockFit(np.array(knots, np.int64), np.array(offsets), np.array(slopes), error, len(start), method)


def _stretch(start: Array, end: Array, high: Array, low: Array, drifts: bool = True) -> tuple[float, float, Array]:
    """Offset at the first begin, slope, and for each pair how far its group's bracket reaches from the line.

    A slope that moves less over the whole stretch than the brackets are wide is one through noise:
    it is left out, because it would stretch every interval.
    """
    origin = start[0]
    at_high, at_low = (start - origin).astype(float), (end - origin).astype(float)
    groups = max(1, min(MOST_GROUPS, len(start) // FEW_PAIRS))
    edges = np.quantile(at_high, np.linspace(0, 1, groups + 1)[1:-1])
    of_high, of_low = np.searchsorted(edges, at_high, side="right"), np.searchsorted(edges, at_low, side="right")
    offset, slope = float(np.median((high + low) / 2)), 0.0
    reach = np.abs(high - low)
    for _ in range(ROUNDS):  # a drift makes brackets of one group miss each other, so it is taken out first
        level_high, level_low = high - slope * at_high, low - slope * at_low
        top, bottom, middle_at, chosen = [], [], [], []
        for group in range(groups):
            highs, lows = np.flatnonzero(of_high == group), np.flatnonzero(of_low == group)
            if len(highs) and len(lows):
                best_high, best_low = highs[np.argmin(level_high[highs])], lows[np.argmax(level_low[lows])]
                top.append(level_high[best_high])
                bottom.append(level_low[best_low])
                chosen.append(group)
                middle_at.append((at_high[best_high] + at_low[best_low]) / 2)
        if not top:
            break
        tops, bottoms, at = np.array(top), np.array(bottom), np.array(middle_at)
        middles = (tops + bottoms) / 2
        offset, turn = _line(at, middles) if drifts and len(at) > 2 else (float(np.median(middles)), 0.0)
        slope += turn
        there = offset + turn * at
        found = np.full(groups, np.nan)
        found[chosen] = np.maximum(np.abs(tops - there), np.abs(bottoms - there))
        reach = np.where(np.isnan(found[of_high]), np.nanmax(found), found[of_high])
    moves = abs(slope) * (at_low[-1] - at_high[0])
    if moves and (abs(slope) > MOST_DRIFT or moves < float(np.median(reach))):
        return _stretch(start, end, high, low, drifts=False)
    return offset, slope, reach


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Offset at x = 0 and slope of a line, by least squares without outliers (over 4 MADs away)."""
    keep = np.ones(len(y), bool)
    offset, slope = float(np.median(y)), 0.0
    for _ in range(ROUNDS):
        xs, ys = x[keep], y[keep]
        spread = xs - xs.mean()
        variance = float((spread**2).sum())
        slope = float((spread * (ys - ys.mean())).sum() / variance) if variance else 0.0
        offset = float(ys.mean() - slope * xs.mean())
        away = np.abs(y - offset - slope * x)
        now = away <= max(4 * 1.4826 * float(np.median(away)), 1.0)
        if (now == keep).all():
            break
        keep = now
    return offset, slope


def _jumps(high: Array, low: Array) -> list[int]:
    """Pairs at which a clock has jumped: what comes before and what comes after exclude each other."""
    if len(high) < 2 * FEW_PAIRS:
        return []
    windows = np.lib.stride_tricks.sliding_window_view
    least_high, most_low = windows(high, FEW_PAIRS).min(axis=1), windows(low, FEW_PAIRS).max(axis=1)
    before_high, before_low = least_high[:-FEW_PAIRS], most_low[:-FEW_PAIRS]
    after_high, after_low = least_high[FEW_PAIRS:], most_low[FEW_PAIRS:]
    apart = np.flatnonzero(np.maximum(after_low - before_high, before_low - after_high) > JUMP_NS)
    if not len(apart):
        return []
    groups = np.split(apart, np.flatnonzero(np.diff(apart) > 1) + 1)
    return [int(group[len(group) // 2]) + FEW_PAIRS for group in groups]
