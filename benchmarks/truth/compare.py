"""Claims beside the truth: rows that are covered or not, verdicts that are right, wrong or abstain."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from motrace.dataset.estimate import Estimate
from motrace.dataset.times import CauseTime
from motrace.findings.bottleneck_rules import leading_rule
from motrace.findings.codes import Meaning
from motrace.findings.model import Verdict
from motrace.vocabulary import BUCKETS, CAUSES, bucket_of

from .claims import Interval, RowClaim, claims
from .groups import ANY, TrueRun, TrueShare, share
from .recordings import Recorded

RELEVANT = 0.01
"""Rows of less than that, in truth and by claim, are left out."""
ROUNDING = 1e-4
"""Of the wall time: what readings of two clocks, one after the other, differ by."""


@dataclass(frozen=True)
class Compared:
    """A claim and its truth. ``edge``: what the recorder's loop holds that the oracle's does not, a share."""

    program: str
    evidence: str
    claim: RowClaim
    truth: TrueShare
    edge: float

    @property
    def covered(self) -> bool:
        """Whether the truth may lie inside the claim, within the oracle's error."""
        slack = self.edge + ROUNDING
        return self.claim.lo <= self.truth.hi + slack and self.truth.lo <= self.claim.hi + slack

    @property
    def width(self) -> float:
        """Of the claim."""
        return self.claim.hi - self.claim.lo

    @property
    def miss(self) -> float:
        """How far the point is from the truth's nearest value."""
        return max(0.0, self.truth.lo - self.claim.share, self.claim.share - self.truth.hi)


@dataclass(frozen=True)
class Judged:
    """A verdict: right, wrong or abstained; ``led`` says whether its leading bucket is the true one."""

    program: str
    evidence: str
    outcome: str
    led: bool
    said: str
    true: str

    @property
    def word(self) -> str:
        """The outcome; with a + where it abstained, but rightly leads."""
        return f"{self.outcome}{'+' if self.led and self.outcome == 'abstained' else ''}"


def compare(recorded: Recorded) -> list[Compared]:
    """Every relevant row of the unprofiled runs, and of passes that nothing stopped (py-spy stops what it samples)."""
    rows = []
    for pool in recorded.report.pools:
        truths = [recorded.truths[run] for run in pool.runs if run in recorded.truths]
        if len(truths) < len(pool.runs) or "pyspy" in pool.key.profilers:
            continue
        name = recorded.evidence if not pool.key.profiled else f"{recorded.evidence}: {'+'.join(pool.key.profilers)}"
        edge = abs(pool.recording_wall_ns / sum(one.wall_ns for one in truths) - 1)
        made = (Compared(recorded.program, name, one, share(truths, one.wanted), edge) for one in claims(pool))
        rows += [row for row in made if max(row.truth.middle, row.claim.share) > RELEVANT or not row.covered]
    return rows


def true_leads(runs: Sequence[TrueRun]) -> list[tuple[str, Meaning]]:
    """The bucket that truly leads, and what it means that it does: each that may be so within the oracle's error."""
    bounds: dict[tuple[str, str], list[int]] = {}
    for group in (group for run in runs for group in run.groups):
        for cause, (lo, hi) in group.causes.items():
            if cause != ANY:
                both = bounds.setdefault((group.phase, cause), [0, 0])
                both[0], both[1] = both[0] + lo, both[1] + hi
    return list(dict.fromkeys(_lead(bounds, favoured) for favoured in dict.fromkeys(cause for _, cause in bounds)))


def _lead(bounds: Mapping[tuple[str, str], Sequence[int]], favoured: str) -> tuple[str, Meaning]:
    """What leads if one cause had all that it may have, and the others what is in the middle of what they may."""
    causes = [
        CauseTime(phase, CAUSES[cause].state, cause, bucket_of(cause, phase), (), Estimate.exactly(ns), 0.0)
        for (phase, cause), (lo, hi) in bounds.items()
        for ns in (hi if cause == favoured else (lo + hi) // 2,)
    ]
    bucket = max(BUCKETS, key=lambda name: sum(one.time.ns for one in causes if one.bucket == name))
    return bucket, leading_rule(bucket, False, causes).meaning


def judge(recorded: Recorded) -> Judged:
    """Whether the verdict is right."""
    verdict: Verdict = recorded.report.verdict
    leads = true_leads([recorded.truths[run] for run in verdict.runs])
    said = "nothing" if verdict.leading is None else verdict.leading.bucket
    same = any(said == bucket and verdict.meaning is meaning for bucket, meaning in leads)
    outcome = "abstained" if not verdict.certain else "right" if same else "WRONG"
    words = "" if verdict.meaning is None else f" ({verdict.meaning.value})"
    true = " or ".join(f"{bucket} ({meaning.value})" for bucket, meaning in leads)
    return Judged(recorded.program, recorded.evidence, outcome, same, said + words, true)


def coverage(rows: Iterable[Compared], interval: Interval) -> tuple[int, int]:
    """How many rows of a kind are covered, and of how many."""
    mine = [row for row in rows if row.claim.interval is interval]
    return sum(row.covered for row in mine), len(mine)


def median_miss(rows: Sequence[Compared]) -> float:
    """The median absolute error of points."""
    return statistics.median(row.miss for row in rows) if rows else 0.0


def median_width(rows: Iterable[Compared], interval: Interval) -> float:
    """The median width of the claims of a kind."""
    widths = [row.width for row in rows if row.claim.interval is interval]
    return statistics.median(widths) if widths else 0.0
