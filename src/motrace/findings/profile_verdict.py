"""The verdict of a profile that stands alone, from the time of the thread that matters; right, or an abstention."""

from __future__ import annotations

from collections.abc import Sequence

from ..attribution.run import PROFILER_ONLY
from ..dataset.estimate import Estimate
from ..dataset.thread_time import Basis, ThreadPart, ThreadTime
from ..dataset.times import BucketTime
from ..vocabulary import CAUSES, EvidenceKind, IntervalKind, bucket_of
from .bottleneck_rules import TRACE_RULES, BucketRule, rules_of
from .codes import Action, Advice, Doubt, Meaning, Whole
from .model import Claim, Verdict
from .profile_model import UserProfile
from .run_model import RunSummary

NO_PROFILE = Verdict(doubt=Doubt.PROFILE_ALONE, settle=Advice(Action.RECORD_AND_PROFILE_THAT))
"""Of profiles that show no time of a thread."""
EVIDENCE = {
    Basis.STACKS: EvidenceKind.STACK_SAMPLES, Basis.LINES: EvidenceKind.STACK_SAMPLES,
    Basis.CALLS: EvidenceKind.WAITING_CALLS, Basis.OPERATORS: EvidenceKind.WAITING_CALLS,
    Basis.HINTS: EvidenceKind.NONE,
}  # fmt: skip
WHOLES = {Basis.CALLS: Whole.TRACED, Basis.OPERATORS: Whole.TRACED, Basis.HINTS: Whole.HINTED}
MORE = {
    Basis.STACKS: Action.RECORD_AND_PROFILE_THAT, Basis.LINES: Action.ADD_NATIVE_AND_IDLE,
    Basis.CALLS: Action.RECORD_WITH_MOTRACE, Basis.OPERATORS: Action.ADD_STACKS,
    Basis.HINTS: Action.SAMPLE_NATIVE_AND_IDLE,
}  # fmt: skip
"""What settles a doubt, beyond what the profile has."""
PHASE = "glue"
"""A profile alone has no phases: its causes count as those outside of any."""


def of_profiles(verdict: Verdict, runs: Sequence[RunSummary], profiles: Sequence[UserProfile]) -> Verdict:
    """The verdict, or that of a profile where there is no run but what a profiler alone recorded."""
    chosen = [run for run in runs if run.run_id in verdict.runs]
    if not all(run.mode == PROFILER_ONLY for run in (chosen or runs)):
        return verdict
    times = [one.thread for one in profiles if one.thread is not None and one.run in (None, *verdict.runs)]
    if not times:
        return verdict
    order = list(Basis)
    best = min(times, key=lambda one: order.index(one.basis))
    return profile_verdict(best, verdict)


def profile_verdict(time: ThreadTime, before: Verdict = NO_PROFILE) -> Verdict:
    """Of a thread's time; ``before`` gives what else a verdict says."""
    whole = _whole(time)
    buckets = sorted((_bucket(time, name, parts) for name, parts in _by_bucket(time).items()),
                     key=lambda one: (-one.share, one.bucket))  # fmt: skip
    first, second = buckets[0], (buckets[1] if len(buckets) > 1 else None)
    lead = max(_by_bucket(time)[first.bucket], key=lambda part: part.share)
    doubt, claims = _doubt(time, first, buckets)
    settle = None if doubt is None else Advice(_more(time, doubt))
    unseen = not time.waits_seen and (time.started_only or CAUSES[lead.cause].state == "blocked")
    if first.bucket == "unexplained" or unseen:
        return Verdict(
            runs=before.runs, setup=before.setup, doubt=doubt, settle=settle, whole=whole, heaviest=lead.heaviest
        )
    rule = _rule(first.bucket, lead.cause)
    advice = Advice(Action.READ_HEAVIEST) if rule.meaning in (Meaning.THREAD_RUNS, Meaning.WAITS_WHILE_IDLE) else None
    return Verdict(
        runs=before.runs, setup=before.setup, leading=first, runner_up=second,
        margin=None if second is None else first.share - second.share, certain=doubt is None, meaning=rule.meaning,
        owner=rule.owner, advice=advice or rule.advice(()), doubt=doubt, claims=claims, settle=settle, whole=whole,
        heaviest=lead.heaviest,
    )  # fmt: skip


def _rule(bucket: str, cause: str) -> BucketRule:
    if CAUSES[cause].state == "running":
        return TRACE_RULES[bucket]
    return next(iter(rules_of(bucket, False, [cause])))


def _whole(time: ThreadTime) -> Whole:
    return WHOLES.get(time.basis) or (Whole.SAMPLED if time.waits_seen else Whole.RUNNING)


def _by_bucket(time: ThreadTime) -> dict[str, list[ThreadPart]]:
    found: dict[str, list[ThreadPart]] = {}
    for part in time.parts:
        found.setdefault(bucket_of(part.cause, PHASE), []).append(part)
    return found


def _bucket(time: ThreadTime, name: str, parts: Sequence[ThreadPart]) -> BucketTime:
    ns = round((time.seconds or 0.0) * 1e9)
    share, lo = (min(1.0, sum(getattr(part, key) for part in parts)) for key in ("share", "lo"))
    hi = max(share, min(1.0, sum(part.hi for part in parts)))
    lo = min(lo, share)
    estimate = Estimate(round(share * ns), min(round(lo * ns), round(share * ns)), round(hi * ns))
    sampled = time.basis in (Basis.STACKS, Basis.LINES)
    kind = IntervalKind.SAMPLED if sampled else IntervalKind.MEASURED
    return BucketTime(name, estimate, share, lo, hi, evidence=(EVIDENCE[time.basis],), interval=kind)


def _doubt(
    time: ThreadTime, first: BucketTime, buckets: Sequence[BucketTime]
) -> tuple[Doubt | None, tuple[Claim, ...]]:
    """Why it is not certain; None if it is. What no lower bound covers may be any bucket's."""
    if time.basis is Basis.HINTS:
        return Doubt.HINTS_ALONE, ()
    if not time.waits_seen:
        return Doubt.RUNNING_ALONE, ()
    if time.basis is Basis.LINES:
        return Doubt.LINES_ALONE, ()
    if first.bucket == "unexplained":
        return Doubt.NO_EVIDENCE, ()
    rival = max((one for one in buckets if one is not first), key=lambda one: one.hi_share, default=None)
    hidden = max(0.0, 1.0 - sum(one.lo_share for one in buckets))
    if first.lo_share > max(hidden, 0.0 if rival is None else rival.hi_share):
        return None, ()
    if rival is None or first.lo_share <= hidden:
        return Doubt.CALLS_ALONE if time.basis in (Basis.CALLS, Basis.OPERATORS) else Doubt.NO_EVIDENCE, ()
    return Doubt.BUCKETS_OVERLAP, tuple(Claim(one.bucket, None, one.lo_share, one.hi_share) for one in (first, rival))


def _more(time: ThreadTime, doubt: Doubt) -> Action:
    return Action.ADD_NATIVE_AND_IDLE if doubt is Doubt.RUNNING_ALONE else MORE[time.basis]
