"""What the time inside one kind of span is made of, from samples, with its interval.

Samples give no times, only shares: of the samples that fell into spans of a kind and found the
thread running, this part was in the interpreter. The interval is Wilson's, for independent samples;
py-spy draws its moments from a Poisson process, so they are nearly that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from ..dataset.times import CauseTime
from .classify import BLOCKED_CLASSES, RUNNING_CLASSES, coarse, is_running

CONFIDENCE = 0.95
SYSTEMATIC = 0.03
"""Shares of running and of blocked time are wrong by up to so much however many samples there are: a sampler
prefers some places (it waits for the memory map where a program maps much), and a stack does not always tell whose
work it is. Measured on the program of known composition."""


@dataclass(frozen=True)
class ClassShare:
    """A class has ``count`` of ``total`` samples: ``share``, and the interval from ``lo`` to ``hi``, all of 1."""

    name: str
    count: int
    total: int
    share: float
    lo: float
    hi: float


def interval(count: int, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval of a share; 0 to 1 where there are no samples."""
    if not total:
        return 0.0, 1.0
    z, share = NormalDist().inv_cdf((1 + confidence) / 2), count / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    scale = 1 + z * z / total
    return (middle - half) / scale if count else 0.0, (middle + half) / scale if count < total else 1.0


def shares(counts: Mapping[str, int], confidence: float = CONFIDENCE) -> list[ClassShare]:
    """Shares of classes, the largest first; the order is total."""
    total = sum(counts.values())
    return [
        ClassShare(
            name,
            counts[name],
            total,
            counts[name] / total if total else 0.0,
            *interval(counts[name], total, confidence),
        )
        for name in sorted(counts, key=lambda name: (-counts[name], name))
    ]


def count_by_kind(kinds: Sequence[str], classes: Sequence[str]) -> dict[str, Counter[str]]:
    """Samples by span kind and class; the two are parallel, one entry for each sample."""
    counts: dict[str, Counter[str]] = {}
    for kind, name in zip(kinds, classes, strict=True):
        counts.setdefault(kind, Counter())[name] += 1
    return counts


def running(counts: Mapping[str, int], confidence: float = CONFIDENCE, queued: float = 0.0) -> list[ClassShare]:
    """How running time splits into interpreter, copying and native, whatever was blocked left out.

    All three are listed, also with no sample: their upper bound is not 0. The interval is Wilson's, and
    SYSTEMATIC more on either side. ``queued`` is the share of the time in which the thread could have
    run that it waited for a core: it is sampled then where it left it, which says nothing of where it
    runs. A share s of running time is seen as (1 - queued) s + queued u, with any u from 0 to 1.
    """
    merged = dict.fromkeys(RUNNING_CLASSES, 0)
    for name, count in counts.items():
        if is_running(name):
            merged[coarse(name)] += count
    runs = max(1e-9, 1 - queued)
    return [
        replace(
            one,
            lo=min(one.share, max(0.0, (one.lo - queued) / runs - SYSTEMATIC)),
            hi=max(one.share, min(1.0, one.hi / runs + SYSTEMATIC)),
        )
        for one in shares(merged, confidence)
    ]


def queued_shares(causes: Iterable[CauseTime]) -> dict[str, float]:
    """By phase: of the time in which the loop thread could run, the share in which it waited for a core."""
    ns: dict[str, Counter[str]] = {}
    for one in causes:
        ns.setdefault(one.phase, Counter())[one.state] += one.time.ns
    return {
        phase: states["runnable"] / (states["running"] + states["runnable"])
        for phase, states in ns.items()
        if states["runnable"]
    }


def blocked(counts: Mapping[str, int], confidence: float = CONFIDENCE) -> list[ClassShare]:
    """How blocked time splits by what was waited for, whatever ran left out, with the margin of running shares.

    All classes are listed, also with no sample: their upper bound is not 0.
    """
    return [
        replace(one, lo=max(0.0, one.lo - SYSTEMATIC), hi=min(1.0, one.hi + SYSTEMATIC))
        for one in shares({name: counts.get(name, 0) for name in BLOCKED_CLASSES}, confidence)
    ]
