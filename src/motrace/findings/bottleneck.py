"""The verdict: which bucket holds the recording's time, by what margin, and what to do about it.

Rules are data. Findings that can make every number misleading come first.
"""

from __future__ import annotations

from typing import Any

from ..attribution.attribute import COUNTERS
from ..attribution.run import FOREIGN
from ..vocabulary import BUCKETS
from ..vulkan_adapter import is_software
from .bottleneck_rules import NO_ACTION, NSYS, RECORD_IT, RULES, SETUP, TRACE_RULES, leading_rule, rules_of
from .compare import is_profiled
from .contention import MUCH, crowded_share
from .run_groups import mode_order

__all__ = ["BUSY", "RULES", "judge", "judged_runs", "preflight", "waited_for_a_core"]

Json = dict[str, Any]
Bounds = list[float]

_STARVED = "the machine was so busy that the renderer's threads may have waited for a core: counters call that a stall"
_QUIET = "record again while nothing else runs, or with --collect threads, which sees threads that want a core"

BUSY = 0.5
"""Above this share of waiting in the time that the loop thread wanted a core, the machine is too busy."""


def preflight(runs: list[Json], environment: Json) -> list[Json]:
    """Findings about the set-up that come before any number."""
    findings: list[Json] = []
    gpus = environment.get("gpus") or []
    software = [run for run in runs if is_software(run["adapter"])]
    if software and gpus:
        findings.append(
            {
                "finding": "software adapter on a GPU machine",
                "detail": f"the renderer drew with {software[0]['adapter']['name']} though {gpus[0]['name']} is there",
                "owner": SETUP,
                "action": "install the NVIDIA driver's Vulkan part (libnvidia-gl); "
                "in a container: NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility",
            }
        )
    elif software:
        findings.append(
            {
                "finding": "software adapter",
                "detail": f"no GPU here: the renderer drew with {software[0]['adapter']['name']}",
                "owner": SETUP,
                "action": "read shares, not milliseconds; a GPU's would be others",
            }
        )
    chosen = judged_runs(runs)
    if chosen and all(map(is_profiled, chosen)):
        findings.append(
            {
                "finding": "only profiled runs",
                "detail": f"a profiler disturbed every run that completed; {', '.join(r['run_id'] for r in chosen)} "
                "is judged with what that cost",
                "owner": NO_ACTION,
                "action": "record once without a profiler",
            }
        )
    waited = waited_for_a_core(chosen)
    if waited > BUSY:
        findings.append(
            {
                "finding": "busy machine",
                "detail": f"the loop thread waited for a core {waited:.0%} of the time that it wanted one",
                "owner": SETUP,
                "action": "stop what competes with it and record again: other threads waited too, "
                "and counters can't tell that from idling",
            }
        )
    if gpus and not any(gpu.get("nvenc") for gpu in gpus):
        findings.append(
            {
                "finding": "no NVENC",
                "detail": f"{gpus[0]['name']} has no video encoder: encoding is work of the CPU",
                "owner": NO_ACTION,
                "action": "plan cores for the encoder",
            }
        )
    return findings


def waited_for_a_core(runs: list[Json]) -> float:
    """The loop thread's time in the run queue as a share of the time it ran or was in it, loop and drain; 0 of none."""
    causes = [row for run in runs for row in run["causes"]]
    running, runnable = (sum(row["ns"] for row in causes if row["state"] == state) for state in ("running", "runnable"))
    return runnable / (running + runnable) if runnable else 0.0


def _starved(first: str, runs: list[Json]) -> bool:
    """Whether the leading bucket says that nobody worked, where threads that waited for a core look the same."""
    stalls = [row for run in runs for row in run["causes"] if row["bucket"] == "renderer_stall" and row["ns"]]
    blind = any(row["evidence"] == COUNTERS for row in stalls)
    return first == "renderer_stall" and blind and waited_for_a_core(runs) > BUSY


def judge(
    runs: list[Json], environment: Json, modes: dict[str, Json] | None = None, cost: list[Json] | None = None
) -> Json:
    """The verdict over ``judged_runs``.

    Where an observer's runs lend their composition (``modes``), it stands on that; where they were
    refused (``cost``), it says so.

    The lead is certain where its lower bound lies above the runner-up's upper bound, and that of the
    cause it speaks of above everything else's; otherwise the verdict abstains and says what would settle
    it. Unexplained time is never certain: it may be anybody's.
    """
    chosen = judged_runs(runs)
    findings = preflight(runs, environment)
    if not chosen:
        return {
            "preflight": findings,
            "bucket": None,
            "abstains": True,
            "why": "no completed run with a loop",
            "next": "record again",
        }
    base = sum(run["recording_wall_ns"] for run in chosen)
    composed = ((modes or {}).get(chosen[0]["mode"]) or {}).get("composed")
    totals = _totals(chosen, composed, base)
    causes = composed["causes"] if composed is not None else [row for run in chosen for row in run["causes"]]
    order = sorted(totals, key=lambda bucket: (-totals[bucket][0], bucket))
    first, second = order[:2]
    software = any(is_software(run["adapter"]) for run in chosen)
    rule = leading_rule(first, software, causes)
    if all(run["mode"] == FOREIGN for run in chosen):
        rule = TRACE_RULES.get(first, rule)
    starved = composed is None and _starved(first, chosen)
    open_question = _open(first, second, totals, _parts(first, software, causes, base, totals[first]))
    certain = open_question is None and not starved
    given = {source.split()[0] for run in runs for source in (run["trace"] or {}).get("sources", [])}
    return {
        "preflight": findings,
        "runs": [run["run_id"] for run in chosen],
        "lent_by": composed["lent_by"] if composed is not None else [],
        "of": "loop and drain",
        "bucket": first,
        "label": BUCKETS[first],
        "share": totals[first][0],
        "lo": totals[first][1],
        "hi": totals[first][2],
        "runner_up": second,
        "runner_up_label": BUCKETS[second],
        "runner_up_share": totals[second][0],
        "runner_up_lo": totals[second][1],
        "runner_up_hi": totals[second][2],
        "margin": totals[first][0] - totals[second][0],
        "abstains": not certain,
        "sentence": rule.sentence,
        "owner": rule.owner,
        "action": rule.advice(given),
        "starved": starved,
        "why": None if certain else _STARVED if starved else open_question,
        "next": None if certain else _QUIET if starved else _next(chosen, cost or [], given),
    }


def _totals(chosen: list[Json], composed: Json | None, base: int) -> dict[str, Bounds]:
    """Share of each bucket in loop and drain, with bounds; of the composition that was lent, where one was."""
    if composed is not None:
        return {bucket: [entry["share"], entry["lo"], entry["hi"]] for bucket, entry in composed["buckets"].items()}
    keys = ("ns", "lo_ns", "hi_ns")
    return {bucket: [sum(run["buckets"][bucket][key] for run in chosen) / base for key in keys] for bucket in BUCKETS}


def judged_runs(runs: list[Json]) -> list[Json]:
    """Completed runs of mode record, else of the mode that does most; those with frames before those without.

    A run that a profiler disturbed counts only where there is no other.
    """
    completed = [run for run in runs if run["status"] == "completed" and run["recording_wall_ns"]]
    calm = [run for run in completed if not is_profiled(run)] or completed
    framed = [run for run in calm if run["frames"]] or calm
    mode = min((run["mode"] for run in framed), key=mode_order, default=None)
    mine = [run for run in framed if run["mode"] == mode]
    return [run for run in mine if not run.get("observer_failed")] or mine


def _parts(bucket: str, software: bool, causes: list[Json], base: int, whole: Bounds) -> list[tuple[str, Bounds]]:
    """What of a bucket each of its rules speaks of, as shares with bounds, the largest first."""
    mine = [row for row in causes if row["bucket"] == bucket]
    spoken = rules_of(bucket, software, [row["cause"] for row in mine])
    if len(spoken) == 1:
        return [(rule.sentence, whole) for rule in spoken]
    keys = ("ns", "lo_ns", "hi_ns")
    sums = {
        rule.sentence: [sum(row[key] for row in mine if row["cause"] in names) / base for key in keys]
        for rule, names in spoken.items()
    }
    all_lo, all_hi = sum(lo for _, lo, _ in sums.values()), sum(hi for _, _, hi in sums.values())
    parts = [
        (
            sentence,
            [share, min(share, max(lo, whole[1] - (all_hi - hi))), max(share, min(hi, whole[2] - (all_lo - lo)))],
        )
        for sentence, (share, lo, hi) in sums.items()
    ]
    return sorted(parts, key=lambda part: -part[1][0])


def _open(first: str, second: str, totals: dict[str, Bounds], parts: list[tuple[str, Bounds]]) -> str | None:
    """Why the lead is not certain; None if it is."""
    if first == "unexplained":
        return "no evidence says whose most of the time is"
    hi, rival = max((bounds[2], bucket) for bucket, bounds in totals.items() if bucket != first)
    if totals[first][1] <= hi:
        return _why(first, second if totals[first][1] <= totals[second][2] else rival, totals)
    (sentence, lead), *others = parts
    rivals = [(other, bounds) for other, bounds in others if bounds[2] >= lead[1]]
    if rivals:
        return (
            f"{BUCKETS[first]} holds several things, and the evidence can't tell which leads: {sentence} "
            f"({lead[1]:.0%} to {lead[2]:.0%}); or {rivals[0][0]} ({rivals[0][1][1]:.0%} to {rivals[0][1][2]:.0%})"
        )
    if lead[1] <= hi:
        return (
            f"{BUCKETS[first]} leads as a whole; its largest part ({sentence}: {lead[1]:.0%} to {lead[2]:.0%}) "
            f"need not exceed {BUCKETS[rival]} (up to {hi:.0%})"
        )
    return None


def _next(runs: list[Json], cost: list[Json], given: set[str]) -> str:
    """What would settle it; ``given`` are the tools that recorded something already."""
    crowded = max(crowded_share(run) for run in runs)
    if crowded > MUCH:
        return f"record again on a quieter machine: other processes used up to {crowded:.0%} of the cores"
    refused: dict[str, list[str]] = {}
    for row in cost:
        if row["use"] == "refused" and not row.get("whole_frame"):
            refused.setdefault(row["observer"], []).append(row["phase"])
    for observer, phases in refused.items():
        if {"wait", "capture"} & set(phases):
            return (
                f"{', '.join(phases)} took over 30 % more or less under {observer}: what it saw there is not used; "
                "record its pass again on a quieter machine, or with fewer events"
            )
    if all(run["mode"] == FOREIGN for run in runs):
        return RECORD_IT
    if NSYS in given:
        return "narrow the bounds: samples of thread states (--collect threads), or a trace with scheduling"
    return "narrow the bounds: samples of thread states, or a recording under Nsight Systems with scheduling"


def _why(first: str, second: str, totals: dict[str, list[float]]) -> str:
    return (
        f"the evidence at hand can't tell {BUCKETS[first]} ({totals[first][1]:.0%} to {totals[first][2]:.0%}) "
        f"from {BUCKETS[second]} ({totals[second][1]:.0%} to {totals[second][2]:.0%})"
    )
