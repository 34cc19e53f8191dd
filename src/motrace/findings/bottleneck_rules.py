"""What it means when a bucket leads, by whose cause it is, and what to do about it. Rules are data."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..dataset.times import CauseTime
from ..vocabulary import Tool
from .codes import Action, Advice, Meaning, Owner


@dataclass(frozen=True)
class BucketRule:
    """What it means when a bucket leads. ``software`` is a condition on the adapter, or None for any.

    ``causes``: what of the bucket it speaks of; empty for all that no other rule of the bucket names. Where
    ``tool`` recorded something already, ``instead`` is the action.
    """

    bucket: str
    software: bool | None
    meaning: Meaning
    owner: Owner
    action: Action
    causes: tuple[str, ...] = ()
    tool: Tool | None = None
    instead: Action = Action.NONE

    def advice(self, tools: Collection[Tool]) -> Advice:
        """The action, or ``instead`` where its ``tool`` is among those that recorded something already."""
        return Advice(self.instead if self.tool in tools else self.action)


RULES = (
    BucketRule("renderer_gpu", True, Meaning.RASTERIZER_DRAWS, Owner.SETUP, Action.USE_GPU),
    BucketRule("renderer_gpu", False, Meaning.GPU_DRAWS, Owner.RENDERER, Action.FIND_PASSES_WITH_NSYS,
               tool=Tool.NSYS, instead=Action.READ_GPU_TABLES),
    BucketRule("renderer_cpu", True, Meaning.RASTERIZER_THREADS_WORK, Owner.SETUP, Action.USE_GPU),
    BucketRule("renderer_cpu", False, Meaning.RENDERER_THREADS_WORK, Owner.RENDERER, Action.SAMPLE_RENDERER_THREADS),
    BucketRule("renderer_stall", True, Meaning.WAITS_FOR_RASTERIZER, Owner.SETUP, Action.USE_GPU),
    BucketRule("renderer_stall", False, Meaning.WAITS_FOR_PICTURE, Owner.APPLICATION, Action.OVERLAP_CAPTURE),
    BucketRule("gpu_compute", None, Meaning.KERNELS_RUN, Owner.APPLICATION, Action.READ_KERNELS),
    BucketRule("gpu_copies", None, Meaning.GPU_COPIES, Owner.APPLICATION, Action.COPY_LESS),
    BucketRule("python_overhead", None, Meaning.HANDLES_FRAMES, Owner.APPLICATION, Action.REDUCE_COPIES),
    BucketRule("encoder", None, Meaning.WAITS_FOR_ENCODER, Owner.ENCODER, Action.STREAM_ENCODING),
    BucketRule("simulation", None, Meaning.SIMULATES, Owner.APPLICATION, Action.PROFILE_STEP),
    BucketRule("policy", None, Meaning.RUNS_POLICY, Owner.APPLICATION, Action.PROFILE_POLICY),
    BucketRule("own_threads", None, Meaning.OTHER_THREADS_WORK, Owner.APPLICATION, Action.CHECK_THREAD),
    BucketRule("child_processes", None, Meaning.CHILD_PROCESS_WORKS, Owner.APPLICATION, Action.CHECK_PROCESS),
    BucketRule("pipes", None, Meaning.WAITS_FOR_PIPE, Owner.APPLICATION, Action.CHECK_PIPE),
    BucketRule("io", None, Meaning.WAITS_FOR_IO, Owner.APPLICATION, Action.CHECK_IO),
    BucketRule("pacing", None, Meaning.SLEEPS, Owner.APPLICATION, Action.REMOVE_PACING),
    BucketRule("system", None, Meaning.WAITS_WHILE_IDLE, Owner.APPLICATION, Action.SAMPLE_STACKS,
               tool=Tool.PYSPY, instead=Action.READ_STACKS),
    BucketRule("unexplained", None, Meaning.UNEXPLAINED, Owner.NONE, Action.RECORD_WITH_NSYS,
               tool=Tool.NSYS, instead=Action.SAMPLE_THREAD_STATES),
)  # fmt: skip
"""One for each bucket: what it says of causes that CAUSE_RULES don't name."""

CAUSE_RULES = (
    BucketRule("python_overhead", None, Meaning.WAITS_FOR_GIL, Owner.APPLICATION, Action.RELEASE_GIL, ("gil",)),
    BucketRule("system", None, Meaning.WAITS_FOR_CORE, Owner.SETUP, Action.GIVE_CORES, ("run_queue",)),
)

TRACE_RULES = {
    "policy": BucketRule("policy", None, Meaning.WAITS_FOR_CUDA, Owner.APPLICATION, Action.READ_KERNELS),
    "python_overhead": BucketRule(
        "python_overhead", None, Meaning.THREAD_RUNS, Owner.APPLICATION, Action.SAMPLE_THIS_THREAD
    ),
    "unexplained": BucketRule("unexplained", None, Meaning.UNEXPLAINED, Owner.NONE, Action.RECORD_WITH_MOTRACE),
}
"""Of a profiler-only trace: nothing is known of capture and encoder there."""


def rules_of(bucket: str, software: bool, causes: Iterable[str]) -> dict[BucketRule, set[str]]:
    """The rules that speak of a bucket's causes, and of which each does."""
    general = next(rule for rule in RULES if rule.bucket == bucket and rule.software in (None, software))
    mine = [rule for rule in CAUSE_RULES if rule.bucket == bucket]
    spoken: dict[BucketRule, set[str]] = {}
    for cause in causes:
        spoken.setdefault(next((rule for rule in mine if cause in rule.causes), general), set()).add(cause)
    return spoken or {general: set()}


def leading_rule(bucket: str, software: bool, causes: Iterable[CauseTime]) -> BucketRule:
    """What to say of a bucket: the rule whose causes (of a run or a pool) hold most of it."""
    mine = [one for one in causes if one.bucket == bucket]
    spoken = rules_of(bucket, software, [one.cause for one in mine])
    return max(spoken, key=lambda rule: sum(one.time.ns for one in mine if one.cause in spoken[rule]))
