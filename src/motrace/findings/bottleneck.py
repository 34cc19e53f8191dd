"""The verdict: which bucket holds the recording's time, by what margin, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..attribution.aggregate import PYTHON, UNSPLIT
from ..attribution.run import PROFILER_ONLY
from ..dataset.estimate import Estimate
from ..dataset.facts import Environment
from ..dataset.times import BucketTime, CauseTime
from ..vocabulary import Tool
from .bottleneck_rules import TRACE_RULES, leading_rule, rules_of
from .codes import Action, Advice, Doubt, Meaning, Owner, Use
from .contention import MUCH, contention_share
from .model import Claim, ProfilerOverhead, Verdict
from .pools import sum_buckets, sum_causes
from .profile_model import GpuCover
from .run_model import Pool, RunSummary
from .setup_findings import judged_runs, motrix_drew, setup_findings, starved

MOST = 0.5
"""A GPU that copies, or computes, for so much of a run leads the answer."""
AMD = re.compile(r"\b(AMD|Radeon|radv)\b", re.IGNORECASE)
ON_AMD = {
    Action.RECORD_WITH_NSYS: Action.RECORD_WITH_ROCPROF,
    Action.FIND_PASSES_WITH_NSYS: Action.RECORD_WITH_ROCPROF,
    Action.SAMPLE_STATES_OR_SCHEDULING: Action.SAMPLE_THREAD_STATES,
}
"""What takes the place of advice that needs an NVIDIA GPU."""


def judge(
    runs: Sequence[RunSummary],
    environment: Environment,
    pools: Sequence[Pool] = (),
    overhead: Sequence[ProfilerOverhead] = (),
) -> Verdict:
    """The verdict over ``judged_runs``.

    Where a composition of profiled runs was transferred to them (``pools``), it stands on that; where it was
    refused (``overhead``), it says so.

    The lead is certain where its lower bound lies above the runner-up's upper bound, and that of the
    cause it speaks of above everything else's; otherwise the verdict abstains and says what would settle
    it. Unexplained time is never certain: it may be anybody's.
    """
    chosen, setup = judged_runs(runs), setup_findings(runs, environment)
    if not chosen:
        return Verdict(setup=setup, doubt=Doubt.NO_COMPLETED_RUN, settle=Advice(Action.RECORD_AGAIN))
    wall = sum(run.recording_wall_ns for run in chosen)
    pool = next((pool for pool in pools if pool.key == chosen[0].key), None)
    composed = None if pool is None else pool.composed
    causes = sum_causes(chosen, wall) if composed is None else composed.causes
    buckets = sum_buckets(chosen, causes, wall) if composed is None else composed.buckets
    first, second = sorted(buckets, key=lambda one: (-one.time.ns, one.bucket))[:2]
    gpus, leading = _gpus(first.bucket, chosen), first
    if any(covers(one, first.bucket) for one in gpus):  # the device's own clock shows it, whatever the thread did
        leading = replace(first, guess=False)
    software = any(run.software for run in chosen)
    rule = leading_rule(first.bucket, software, causes)
    if all(run.mode == PROFILER_ONLY for run in chosen):
        rule = TRACE_RULES.get(first.bucket, rule)
    doubt, claims = _doubt(first, second, buckets, _parts(first, software, causes, wall))
    tools = {tool for run in runs if run.trace is not None for tool in run.trace.tools}
    nothing_known = rule.advice(tools) if doubt is Doubt.NO_EVIDENCE else None
    settle = None if doubt is None else _settle(chosen, overhead, tools, nothing_known)
    if settle is not None and Tool.PYSPY not in tools and _unsplit(claims, causes):
        settle = Advice(Action.SPLIT_RUNNING)
    if composed is None and starved(first.bucket, chosen):
        doubt, claims, settle = Doubt.STARVED, (), Advice(Action.RECORD_ON_IDLE_MACHINE)
    owner = rule.owner
    if owner is Owner.RENDERER and not motrix_drew(chosen, environment):
        owner = Owner.OTHER_RENDERER
    return Verdict(
        runs=tuple(run.run_id for run in chosen),
        composed_from=() if composed is None else composed.runs,
        setup=setup,
        leading=leading,
        runner_up=second,
        margin=first.share - second.share,
        certain=doubt is None,
        software_adapter=software,
        meaning=rule.meaning,
        owner=owner,
        advice=suited(rule.advice(tools), chosen),
        doubt=doubt,
        claims=claims,
        settle=None if settle is None else suited(settle, chosen),
        gpus=gpus,
    )


def _gpus(bucket: str, runs: Sequence[RunSummary]) -> tuple[GpuCover, ...]:
    """What the GPUs did in the first run that shows it, where that is part of the answer."""
    shown = next((run.trace.gpu_covers for run in runs if run.trace is not None and run.trace.gpu_covers), ())
    leads = bucket in ("gpu_compute", "gpu_copies") or all(run.mode == PROFILER_ONLY for run in runs)
    return shown if leads else ()


def covers(one: GpuCover, bucket: str) -> bool:
    """Whether a device did what a bucket is of for most of the run."""
    busy = {"gpu_compute": one.kernels_ns, "gpu_copies": one.copies_ns}
    return busy.get(bucket, 0) >= MOST * one.extent_ns


def suited(advice: Advice, runs: Sequence[RunSummary]) -> Advice:
    """The same for an AMD GPU, which Nsight Systems does not see."""
    amd = any(run.adapter is not None and AMD.search(f"{run.adapter.name} {run.adapter.driver}") for run in runs)
    return replace(advice, action=ON_AMD.get(advice.action, advice.action)) if amd else advice


def _parts(leading: BucketTime, software: bool, causes: Sequence[CauseTime], wall_ns: int) -> list[Claim]:
    """What of a bucket each of its rules speaks of, as shares with bounds, the largest first."""
    mine = [one for one in causes if one.bucket == leading.bucket]
    spoken = rules_of(leading.bucket, software, [one.cause for one in mine])
    if len(spoken) == 1:
        return [_claim(leading, meaning=rule.meaning) for rule in spoken]
    sums = {
        rule.meaning: Estimate.total(one.time for one in mine if one.cause in names) for rule, names in spoken.items()
    }
    lo, hi = (sum(bounds) for bounds in zip(*((time.lo_ns, time.hi_ns) for time in sums.values())))
    parts = []
    for meaning, time in sorted(sums.items(), key=lambda part: -part[1].ns):
        least = min(time.ns, max(time.lo_ns, leading.time.lo_ns - (hi - time.hi_ns)))
        most = max(time.ns, min(time.hi_ns, leading.time.hi_ns - (lo - time.lo_ns)))
        share = Estimate(time.ns, least, most).of(wall_ns)
        parts.append(Claim(leading.bucket, meaning, share.lo, share.hi))
    return parts


def _claim(one: BucketTime, meaning: Meaning | None = None) -> Claim:
    return Claim(one.bucket, meaning, one.lo_share, one.hi_share)


def _doubt(
    first: BucketTime, second: BucketTime, buckets: Sequence[BucketTime], parts: Sequence[Claim]
) -> tuple[Doubt | None, tuple[Claim, ...]]:
    """Why the lead is not certain, and what the doubt is about; None if it is certain."""
    if first.bucket == "unexplained":
        return Doubt.NO_EVIDENCE, ()
    rival = max((one for one in buckets if one is not first), key=lambda one: (one.hi_share, one.bucket))
    if first.lo_share <= rival.hi_share:
        other = second if first.lo_share <= second.hi_share else rival
        return Doubt.BUCKETS_OVERLAP, (_claim(first), _claim(other))
    lead, *others = parts
    other_part = next((part for part in others if part.hi >= lead.lo), None)
    if other_part is not None:
        return Doubt.PARTS_OVERLAP, (lead, other_part)
    if lead.lo <= rival.hi_share:
        return Doubt.PART_MAY_NOT_LEAD, (lead, _claim(rival))
    return None, ()


def _unsplit(claims: Sequence[Claim], causes: Sequence[CauseTime]) -> bool:
    """Whether the doubt is how much of the running time is Python's, which only samples of stacks can tell."""
    buckets = {one.bucket for one in claims}
    mine = [one for one in causes if one.bucket in buckets - {PYTHON}]
    running = sum(one.time.ns for one in mine if one.cause == UNSPLIT)
    return PYTHON in buckets and 2 * running > sum(one.time.ns for one in mine)


def _settle(
    runs: Sequence[RunSummary], overhead: Sequence[ProfilerOverhead], tools: set[Tool], nothing_known: Advice | None
) -> Advice:
    """What would settle it; ``tools`` are those that recorded something already.

    ``nothing_known`` is what to do where unexplained time leads; None where it does not.
    """
    share = max(contention_share(run) for run in runs)
    if share > MUCH:
        return Advice(Action.RECORD_WITHOUT_CONTENTION, {"share": share})
    refused: dict[tuple[str, ...], list[str]] = {}
    for row in overhead:
        if row.use is Use.REFUSED and row.phase is not None:
            refused.setdefault(row.key.profilers, []).append(row.phase)
    for profilers, phases in refused.items():
        if {"wait", "capture"} & set(phases):
            return Advice(Action.REPEAT_PROFILED_PASS, {"profilers": profilers, "phases": tuple(phases)})
    if nothing_known is not None:
        return nothing_known
    if all(run.mode == PROFILER_ONLY for run in runs):
        return Advice(Action.RECORD_WITH_MOTRACE)
    return Advice(Action.SAMPLE_THREAD_STATES if Tool.NSYS in tools else Action.SAMPLE_STATES_OR_SCHEDULING)
