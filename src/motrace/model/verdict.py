"""The verdict: which bucket holds the recording's time, by what margin, and what to do about it.

Rules are data. Findings that can make every number misleading come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..adapter import is_software
from ..vocabulary import BUCKETS
from .attribution import COUNTERS
from .compare import usable
from .competition import MUCH, crowded_share

Json = dict[str, Any]

_STARVED = "the machine was so busy that the renderer's threads may have waited for a core: counters call that a stall"
_QUIET = "record again while nothing else runs, or with --collect threads, which sees threads that want a core"

RENDERER, APPLICATION, SETUP, ENCODER, NO_ACTION = (
    "Motrix renderer",
    "the application",
    "runtime set-up",
    "encoder settings",
    "no action",
)


BUSY = 0.5
"""Above this share of waiting in the time that the loop thread wanted a core, the machine is too busy."""
_ON_CPU = "run on a machine whose GPU has a Vulkan driver; on a CPU, fewer pixels or environments are all that helps"


@dataclass(frozen=True)
class Rule:
    """What a bucket means when it leads. ``when`` is a condition on the adapter, or None for any."""

    bucket: str
    software: bool | None
    sentence: str
    owner: str
    action: str


RULES = (
    Rule("renderer_gpu", True, "a software rasterizer draws the frames on the CPU", SETUP,
         _ON_CPU),
    Rule("renderer_gpu", False, "the GPU draws while the loop waits", RENDERER,
         "see which passes take the time: record once under Nsight Systems"),
    Rule("renderer_cpu", True, "the renderer's own threads, which feed a software rasterizer, work meanwhile", SETUP,
         _ON_CPU),
    Rule("renderer_cpu", False, "the renderer's own threads work while the loop waits", RENDERER,
         "see what they do: record once with native stacks of those threads"),
    Rule("renderer_stall", True, "the loop waits for a software rasterizer's picture while nobody works", SETUP,
         _ON_CPU),
    Rule("renderer_stall", False, "the loop waits for a picture while nobody works", APPLICATION,
         "overlap capture with the next step instead of blocking on each frame"),
    Rule("python_overhead", None, "the loop thread itself is busy handling frames", APPLICATION,
         "look at copies and conversions between capture and encoder"),
    Rule("encoder", None, "the loop waits for the video encoder", ENCODER,
         "encode while the loop runs, or choose a faster preset"),
    Rule("simulation", None, "the simulation step takes the time", APPLICATION,
         "profile the step; rendering is not the cost"),
    Rule("policy", None, "the policy takes the time", APPLICATION, "profile the policy; rendering is not the cost"),
    Rule("system", None, "the loop waits for a core or for the system", SETUP,
         "give the process more cores, or stop what competes with it"),
    Rule("unexplained", None, "no evidence says what the loop waited for", NO_ACTION,
         "record once under Nsight Systems, which sees the GPU"),
)  # fmt: skip


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
    waited = waited_for_a_core(usable(runs, "record") or _any_completed(runs))
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
    """The verdict over the completed runs of mode record (of any mode, where there is none).

    Where an observer's runs lend their composition (``modes``), it stands on that; where they were
    refused (``cost``), it says so.

    The lead is certain where its lower bound lies above the runner-up's upper bound; otherwise the
    verdict abstains and says what would settle it.
    """
    chosen = usable(runs, "record") or _any_completed(runs)
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
    totals = {
        bucket: [sum(run["buckets"][bucket][key] for run in chosen) / base for key in ("ns", "lo_ns", "hi_ns")]
        for bucket in BUCKETS
    }
    composed = ((modes or {}).get(chosen[0]["mode"]) or {}).get("composed")
    if composed is not None:
        totals = {bucket: [entry["share"], entry["lo"], entry["hi"]] for bucket, entry in composed["buckets"].items()}
    order = sorted(totals, key=lambda bucket: (-totals[bucket][0], bucket))
    first, second = order[:2]
    software = any(is_software(run["adapter"]) for run in chosen)
    rule = next(rule for rule in RULES if rule.bucket == first and rule.software in (None, software))
    starved = composed is None and _starved(first, chosen)
    certain = totals[first][1] > totals[second][2] and not starved
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
        "action": rule.action,
        "starved": starved,
        "why": None if certain else _STARVED if starved else _why(first, second, totals),
        "next": None if certain else _QUIET if starved else _next(chosen, cost or []),
    }


def _any_completed(runs: list[Json]) -> list[Json]:
    """Completed runs of any mode: those with frames, else those that lasted at all."""
    completed = [run for run in runs if run["status"] == "completed" and run["recording_wall_ns"]]
    return [run for run in completed if run["frames"]] or completed


def _next(runs: list[Json], cost: list[Json]) -> str:
    """What would settle it."""
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
    return "narrow the bounds: samples of thread states, or a recording under Nsight Systems with scheduling"


def _why(first: str, second: str, totals: dict[str, list[float]]) -> str:
    return (
        f"the evidence at hand can't tell {BUCKETS[first]} ({totals[first][1]:.0%} to {totals[first][2]:.0%}) "
        f"from {BUCKETS[second]} ({totals[second][1]:.0%} to {totals[second][2]:.0%})"
    )
