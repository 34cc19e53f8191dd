"""What a label is, and how a verdict is graded by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from motrace.findings.model import Verdict


class Holder(Enum):
    """Who truly holds the time."""

    GPU_DRAWS = "the GPU draws"
    RASTERIZER = "a software rasterizer draws"
    RENDERER_THREADS = "the renderer's threads"
    STALL = "the renderer's latency"
    PYTHON = "the loop thread's own work"
    GIL = "the interpreter lock"
    ENCODER = "the encoder"
    SIMULATION = "the simulation"
    POLICY = "the policy"
    CORE = "waiting for a core"
    SLEEP = "a sleep"
    IO = "a pipe or a file"
    THREAD = "another thread"
    CHILD = "another process"
    GPU_COMPUTE = "kernels"
    GPU_COPIES = "copies between host and device"


Accepted = tuple[str, frozenset[str]]
"""A bucket, and which meanings of it; none: any."""


def _only(bucket: str, *meanings: str) -> Accepted:
    return bucket, frozenset(meanings)


ACCEPTED: Mapping[Holder, tuple[Accepted, ...]] = {
    Holder.GPU_DRAWS: (_only("renderer_gpu", "gpu_draws"),),
    Holder.RASTERIZER: (_only("renderer_gpu", "rasterizer_draws"),),
    Holder.RENDERER_THREADS: (_only("renderer_cpu"),),
    Holder.STALL: (_only("renderer_stall"),),
    Holder.PYTHON: (_only("python_overhead", "handles_frames", "thread_runs"),),
    Holder.GIL: (_only("python_overhead", "waits_for_gil"), _only("own_threads")),
    Holder.ENCODER: (_only("encoder"),),
    Holder.SIMULATION: (_only("simulation"),),
    Holder.POLICY: (_only("policy"),),
    Holder.CORE: (_only("system", "waits_for_core"),),
    Holder.SLEEP: (_only("pacing"), _only("system", "waits_while_idle")),
    Holder.IO: (_only("pipes"), _only("io"), _only("system", "waits_while_idle")),
    Holder.THREAD: (_only("own_threads"),),
    Holder.CHILD: (_only("child_processes"),),
    Holder.GPU_COMPUTE: (_only("gpu_compute"), _only("policy", "waits_for_cuda")),
    Holder.GPU_COPIES: (_only("gpu_copies"),),
}
"""The verdicts that are right. Meanings that say less than is known (``waits_while_idle`` of a sleep) are right too."""

CLEAR = 1.25
"""Planted time leads by this factor; where it does not, any of those so near to the first is right."""


@dataclass(frozen=True)
class Label:
    """``holders``: any of these is right; none: nothing can be known, and the verdict must abstain.

    ``motrix``: Motrix drew; where it did not, its owner is wrong whatever leads.
    """

    holders: frozenset[Holder]
    motrix: bool = False
    planted: str = ""

    @classmethod
    def of(cls, times_ns: Mapping[Holder, float], known: bool = True, motrix: bool = False) -> Label:
        """From planted time; ``known``: whether anything in the files shows it."""
        most = max(times_ns.values())
        total = sum(times_ns.values())
        near = frozenset(holder for holder, ns in times_ns.items() if ns * CLEAR >= most)
        order = sorted(times_ns.items(), key=lambda item: -item[1])
        text = ", ".join(f"{holder.name} {ns / total:.0%}" for holder, ns in order[:3] if ns)
        return cls(near if known else frozenset(), motrix, text)


class Outcome(Enum):
    """How a verdict did."""

    RIGHT = "right"
    WRONG = "wrong"
    CERTAIN_AND_WRONG = "wrong and certain"
    ABSTAINED = "abstained"


def speaks(verdict: Verdict | None) -> bool:
    """Whether it names a component, likely or certain; unexplained time is none."""
    return verdict is not None and verdict.leading is not None and verdict.leading.bucket != "unexplained"


def grade(label: Label, verdict: Verdict | None) -> Outcome:
    """Right: names one of the label's holders, or abstains where nothing can be known. None: no report was made."""
    if verdict is None or verdict.leading is None or not speaks(verdict):
        return Outcome.ABSTAINED if label.holders else Outcome.RIGHT
    meaning = "" if verdict.meaning is None else verdict.meaning.value
    owner = "" if verdict.owner is None else verdict.owner.value
    accepted = [one for holder in label.holders for one in ACCEPTED[holder]]
    named = any(verdict.leading.bucket == bucket and (not only or meaning in only) for bucket, only in accepted)
    if named and (label.motrix or owner != "renderer"):
        return Outcome.RIGHT
    return Outcome.CERTAIN_AND_WRONG if verdict.certain else Outcome.WRONG


def said(verdict: Verdict | None) -> str:
    """A verdict in short."""
    if verdict is None or verdict.leading is None:
        return "none" if verdict is None or verdict.doubt is None else f"none ({verdict.doubt.value})"
    first = verdict.leading
    words = [first.bucket, f"{first.share:.0%} [{first.lo_share:.0%}, {first.hi_share:.0%}]"]
    words += [one.value for one in (verdict.meaning, verdict.owner) if one is not None]
    words.append("certain" if verdict.doubt is None else f"not certain: {verdict.doubt.value}")
    return " ".join(words)


Make = Callable[[Path, np.random.Generator, int], Label | None]
"""Writes a case's files into a new folder; None: the tool that it needs is not installed."""


@dataclass(frozen=True)
class Kind:
    """A kind of case: ``make(folder, random, number)`` writes the one of that number. ``real``: real tools made it."""

    name: str
    cases: int
    make: Make
    real: bool = False
