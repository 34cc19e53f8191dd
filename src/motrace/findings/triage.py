"""Whether a recording's slowness is expected for its capture path, or a problem of the renderer; and whose it is.

Rules are data. They rest on the verdict's buckets and their bounds: where the buckets that may lead
disagree, the question stays open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..vocabulary import BUCKETS
from ..vulkan_adapter import is_software
from .bottleneck_rules import APPLICATION, ENCODER, NO_ACTION, RENDERER, SETUP, Rule, leading_rule
from .run_groups import pool_of

Json = dict[str, Any]

EXPECTED = "expected for this capture path"
PROBLEM = "a renderer problem"
NEITHER = "neither: the time is outside the renderer"
HERE = "neither: the set-up of this machine"
NOT_SLOW = "not slow: recording adds little"
OPEN = "not decided"
LITTLE = 0.1
"""A recording that adds less than this share of its frame's time is not slow."""
OWNERS = {
    RENDERER: "Motrix renderer issue",
    APPLICATION: "{application} optimisation",
    ENCODER: "{application} optimisation",
    SETUP: "no action",
    NO_ACTION: "no action",
}


@dataclass(frozen=True)
class Judgement:
    """What it means for the renderer when a bucket leads; ``software`` as in ``verdict.Rule``."""

    bucket: str
    software: bool | None
    answer: str
    reason: str


_DREW_ON_CPU = "the renderer drew on the CPU ({adapter}); that says nothing of its speed on a GPU"
JUDGEMENTS = (
    Judgement("renderer_gpu", True, HERE, _DREW_ON_CPU),
    Judgement("renderer_cpu", True, HERE, _DREW_ON_CPU),
    Judgement("renderer_stall", True, HERE, _DREW_ON_CPU),
    Judgement("renderer_gpu", False, PROBLEM, "the GPU itself works: this is no latency of waiting"),
    Judgement("renderer_cpu", False, PROBLEM, "the renderer's own threads work while the loop waits"),
    Judgement("renderer_stall", False, EXPECTED,
              "each frame blocks on capture() and sync(wait=True), which lasts three ticks of the renderer's pipeline "
              "while nobody works; the same pictures taken when they are done cost 1.8 to 2.7 times less (raw API)"),
    Judgement("python_overhead", None, NEITHER, "the loop thread itself copies and converts frames"),
    Judgement("encoder", None, NEITHER, "the video encoder takes the time"),
    Judgement("simulation", None, NEITHER, "the simulation step takes the time"),
    Judgement("policy", None, NEITHER, "the policy takes the time"),
    Judgement("system", None, HERE, "the loop waits for a core"),
    Judgement("unexplained", None, OPEN, "no evidence says what the loop waited for"),
)  # fmt: skip


def judgement(report: Json) -> Json:
    """``answer``, ``reason``, ``owner`` and ``action`` for a report that has its verdict and its comparison."""
    verdict = report["verdict"]
    added = _added_share(report["comparison"])
    if added is not None and added[1] < LITTLE:
        reason = f"recording adds {added[0]:.1%} to a frame (at most {added[1]:.1%})"
        return _made(NOT_SLOW, reason, NO_ACTION, "none", report)
    if verdict["bucket"] is None or verdict["starved"]:
        return _made(OPEN, verdict["why"], None, verdict["next"], report)
    runs = {run["run_id"]: run for run in report["runs"]}
    chosen = [runs[run_id] for run_id in verdict["runs"]]
    if not any("capture" in run["phases"] for run in chosen):
        return _made(OPEN, "no completed run captured a picture", None, "record with --mode both", report)
    adapter = next((run["adapter"]["name"] for run in chosen if is_software(run["adapter"])), None)
    pool = report["modes"][pool_of(chosen[0])]
    pool = pool["composed"] or pool
    found = [_rules(bucket, adapter is not None, pool["causes"]) for bucket in _may_lead(report, pool["buckets"])]
    answers = {(judged.answer, OWNERS[rule.owner]) for judged, rule in found}
    judged, rule = found[0]
    reason = judged.reason.format(adapter=adapter)
    if judged.answer == OPEN:
        return _made(OPEN, reason, None, verdict["action"], report)
    if len(answers) > 1:
        labels = ", ".join(BUCKETS[one.bucket] for one, _ in found)
        why = f"within their bounds any of {labels} may lead, and they say different things; the likeliest: {reason}"
        return _made(OPEN, why, None, verdict["next"] or verdict["action"], report)
    fix = next((found["action"] for found in verdict["preflight"] if found["owner"] == SETUP), rule.action)
    missing_driver = adapter is not None and bool(report["environment"].get("gpus"))
    return _made(judged.answer, reason, rule.owner, fix if missing_driver else verdict["action"], report)


def _made(answer: str, reason: str, owner: str | None, action: str, report: Json) -> Json:
    application = "UniLab" if "unilab" in report["environment"] else "application"
    name = OPEN if owner is None else OWNERS[owner].format(application=application)
    return {"answer": answer, "reason": reason, "owner": name, "action": action}


def _may_lead(report: Json, buckets: dict[str, Json]) -> list[str]:
    """The buckets that may be the largest within their bounds, the likeliest first."""
    first = report["verdict"]["bucket"]
    rest = [name for name in BUCKETS if name != first and buckets[name]["hi"] >= buckets[first]["lo"]]
    return [first, *sorted(rest, key=lambda name: (-buckets[name]["share"], name))]


def _rules(bucket: str, software: bool, causes: list[Json]) -> tuple[Judgement, Rule]:
    judged = next(one for one in JUDGEMENTS if one.bucket == bucket and one.software in (None, software))
    rule = leading_rule(bucket, software, causes)
    if judged.answer == HERE and bucket == "system" and rule.owner != SETUP:
        judged = Judgement(bucket, None, NEITHER, rule.sentence)
    return judged, rule


def _added_share(comparison: Json) -> tuple[float, float] | None:
    """What recording adds, as a share of a recorded frame, drain included, and at most; None if not known."""
    if comparison["unknown"]:
        return None
    entry = comparison["frame_with_drain_ns"]
    if not entry["new"]:
        return None
    most = entry["hi"] if entry["hi"] is not None else entry["difference"]
    return entry["difference"] / entry["new"], most / entry["new"]
