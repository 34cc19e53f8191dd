"""Whether a recording's slowness is expected for its capture path, or a problem of the renderer; and whose it is.

Rules are data. They rest on the verdict's buckets and their bounds: where the buckets that may lead
disagree, the question stays open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..cautions import Values
from ..dataset.facts import Environment
from ..dataset.times import BucketTime
from .bottleneck_rules import BucketRule, leading_rule
from .codes import Action, Advice, Answer, Meaning, Owner, Reason, Whole
from .model import Comparison, Triage, Verdict
from .run_model import Pool, RunSummary

LITTLE = 0.1
"""A recording that adds less than this share of its frame's time is not slow."""
REPORTED_TO = {
    Owner.RENDERER: Owner.RENDERER,
    Owner.APPLICATION: Owner.APPLICATION,
    Owner.ENCODER: Owner.APPLICATION,
    Owner.SETUP: Owner.SETUP,
    Owner.NONE: Owner.NONE,
}
"""Who should act, by the owner of the cause: the application chooses its encoder."""


@dataclass(frozen=True)
class TriageRule:
    """What it means for the renderer when a bucket leads; ``software`` as in ``BucketRule``."""

    bucket: str
    software: bool | None
    answer: Answer
    reason: Reason


RULES = (
    TriageRule("renderer_gpu", True, Answer.MACHINE_SETUP, Reason.DREW_ON_CPU),
    TriageRule("renderer_cpu", True, Answer.MACHINE_SETUP, Reason.DREW_ON_CPU),
    TriageRule("renderer_stall", True, Answer.MACHINE_SETUP, Reason.DREW_ON_CPU),
    TriageRule("renderer_gpu", False, Answer.RENDERER_PROBLEM, Reason.GPU_WORKS),
    TriageRule("renderer_cpu", False, Answer.RENDERER_PROBLEM, Reason.RENDERER_THREADS_WORK),
    TriageRule("renderer_stall", False, Answer.EXPECTED, Reason.BLOCKS_ON_CAPTURE),
    TriageRule("python_overhead", None, Answer.OUTSIDE_RENDERER, Reason.LOOP_THREAD_COPIES),
    TriageRule("encoder", None, Answer.OUTSIDE_RENDERER, Reason.ENCODER),
    TriageRule("simulation", None, Answer.OUTSIDE_RENDERER, Reason.SIMULATION),
    TriageRule("policy", None, Answer.OUTSIDE_RENDERER, Reason.POLICY),
    *(
        TriageRule(bucket, None, Answer.OUTSIDE_RENDERER, Reason.MEANING)
        for bucket in ("gpu_compute", "gpu_copies", "own_threads", "child_processes", "pipes", "io", "pacing")
    ),
    TriageRule("system", None, Answer.MACHINE_SETUP, Reason.WAITS_FOR_CORE),
    TriageRule("unexplained", None, Answer.UNDECIDED, Reason.NO_EVIDENCE),
)


def triage(
    runs: Sequence[RunSummary],
    pools: Iterable[Pool],
    comparison: Comparison,
    verdict: Verdict,
    environment: Environment,
) -> Triage:
    """The answer, its reason, who is to act, and what to do."""
    found = _triage(runs, pools, comparison, verdict, bool(environment.gpus))
    return replace(found, application="UniLab" if environment.unilab is not None else None)


def _open(reason: Reason, advice: Advice, values: Values | None = None, meaning: Meaning | None = None) -> Triage:
    return Triage(Answer.UNDECIDED, reason, None, advice, values or {}, meaning)


def _triage(
    runs: Sequence[RunSummary], pools: Iterable[Pool], comparison: Comparison, verdict: Verdict, has_gpu: bool
) -> Triage:
    added = _added_share(comparison)
    if added is not None and added[1] < LITTLE:
        values: Values = {"share": added[0], "at_most": added[1]}
        return Triage(Answer.NOT_SLOW, Reason.ADDS_LITTLE, Owner.NONE, Advice(Action.NONE), values)
    if verdict.leading is None or verdict.starved:
        return _open(Reason.VERDICT_DOUBT, verdict.next_step)
    chosen = [run for run in runs if run.run_id in verdict.runs]
    if not any(run.phase("capture") for run in chosen):
        both = Advice(Action.RECORD_BOTH_MODES)
        return _open(Reason.NO_PICTURE, both if verdict.whole is Whole.LOOP else verdict.next_step)
    adapter = next((run.software_name for run in chosen if run.software), None)
    best = next(pool for pool in pools if pool.key == chosen[0].key).best
    found = [
        (_rule(bucket, rule), rule)
        for bucket in _may_lead(verdict.leading, best.buckets)
        for rule in (leading_rule(bucket, adapter is not None, best.causes),)
    ]
    first, rule = found[0]
    about: Values = {} if adapter is None else {"adapter": adapter}
    if first.answer is Answer.UNDECIDED:
        assert verdict.advice is not None
        return _open(first.reason, verdict.advice, about)
    if len({(one.answer, REPORTED_TO[of.owner]) for one, of in found}) > 1:
        if verdict.open:
            return _open(Reason.VERDICT_DOUBT, verdict.next_step)
        about |= {"buckets": tuple(one.bucket for one, _ in found), "likeliest": first.reason.value}
        return _open(Reason.SEVERAL_MAY_LEAD, verdict.next_step, about, rule.meaning)
    fix = next((one.advice for one in verdict.setup if one.owner is Owner.SETUP), Advice(rule.action))
    advice = fix if adapter is not None and has_gpu else verdict.advice
    owner = verdict.owner if rule.owner is Owner.RENDERER else REPORTED_TO[rule.owner]
    return Triage(first.answer, first.reason, owner, advice, about, rule.meaning)


def _may_lead(leading: BucketTime, buckets: Iterable[BucketTime]) -> list[str]:
    """The buckets that may be the largest within their bounds, the likeliest first."""
    lead = next(one for one in buckets if one.bucket == leading.bucket)
    rest = [one for one in buckets if one is not lead and one.hi_share >= lead.lo_share]
    return [lead.bucket, *(one.bucket for one in sorted(rest, key=lambda one: (-one.share, one.bucket)))]


def _rule(bucket: str, rule: BucketRule) -> TriageRule:
    found = next(one for one in RULES if one.bucket == bucket and one.software in (None, rule.software))
    if bucket == "system" and rule.owner is not Owner.SETUP:
        return TriageRule(bucket, None, Answer.OUTSIDE_RENDERER, Reason.MEANING)
    return found


def _added_share(comparison: Comparison) -> tuple[float, float] | None:
    """What recording adds, as a share of a recorded frame, drain included, and at most; None if not known."""
    if comparison.record_against_none is None:
        return None
    entry = comparison.record_against_none.frame_with_drain_ns
    if not entry.new:
        return None
    most = entry.hi if entry.hi is not None else entry.difference
    return entry.difference / entry.new, most / entry.new
