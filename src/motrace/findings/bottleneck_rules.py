"""What a bucket means when it leads, by whose cause it is, and what to do about it. Rules are data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import command

Json = dict[str, Any]

RENDERER, APPLICATION, SETUP, ENCODER, NO_ACTION = (
    "Motrix renderer",
    "the application",
    "runtime set-up",
    "encoder settings",
    "no action",
)

NSYS, PYSPY = "nsys", "py-spy"
RECORD_IT = (
    "record the program with motrace, whose clocks and spans say what the loop did "
    f"({command('run_record')} --instrument WHAT.toml -- python PROGRAM)"
)
_ON_CPU = "run on a machine whose GPU has a Vulkan driver; on a CPU, fewer pixels or environments are all that helps"


@dataclass(frozen=True)
class Rule:
    """What a bucket means when it leads. ``software`` is a condition on the adapter, or None for any.

    ``causes``: what of the bucket it speaks of; empty for all that no other rule of the bucket names. Where
    ``tool`` recorded something already, ``instead`` is the action.
    """

    bucket: str
    software: bool | None
    sentence: str
    owner: str
    action: str
    causes: tuple[str, ...] = ()
    tool: str = ""
    instead: str = ""

    def advice(self, given: set[str]) -> str:
        """The action, or ``instead`` where its ``tool`` is among those that recorded something already."""
        return self.instead if self.tool and self.tool in given else self.action


RULES = (
    Rule("renderer_gpu", True, "a software rasterizer draws the frames on the CPU", SETUP,
         _ON_CPU),
    Rule("renderer_gpu", False, "the GPU draws while the loop waits", RENDERER,
         "see which passes take the time: record once under Nsight Systems", (), NSYS,
         "see which passes take the time: its GPU work and debug labels are in the tables gpu_ops and gpu_labels"),
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
    Rule("system", None, "the loop waits while nobody of the process works: it sleeps, or waits for a lock, a file "
         "or a device", APPLICATION, "see what it waits for: record once with samples of stacks (--collect pyspy)", (),
         PYSPY, "see what it waits for: the samples of stacks name the calls"),
    Rule("unexplained", None, "no evidence says what the loop did or waited for", NO_ACTION,
         "record once under Nsight Systems, which sees the GPU", (), NSYS, RECORD_IT),
)  # fmt: skip
"""One for each bucket: what it says of causes that CAUSE_RULES don't name."""

CAUSE_RULES = (
    Rule("python_overhead", None, "the loop waits for the interpreter lock, which another Python thread holds",
         APPLICATION, "move that thread's work into a process, or into code that gives up the lock", ("gil",)),
    Rule("system", None, "the loop is ready to run and waits for a core", SETUP,
         "give the process more cores, or stop what competes with it", ("run_queue",)),
    Rule("system", None, "the loop sleeps on purpose", APPLICATION,
         "look at what paces it: without the sleep it is faster by so much", ("pacing",)),
    Rule("system", None, "the loop waits for a file or a pipe", APPLICATION,
         "look at what it reads and writes, and at who is at the other end", ("io",)),
    Rule("system", None, "another thread of the process works while the loop waits: for its result, or for the "
         "interpreter lock", APPLICATION, "look at that thread (the table of threads names it)", ("other_threads",)),
    Rule("system", None, "a child process works while the loop waits", APPLICATION,
         "look at that process (the table of threads names it)", ("other_processes",)),
)  # fmt: skip


TRACE_RULES = {
    "policy": Rule("policy", None, "the thread waits for CUDA work", APPLICATION,
                   "see which kernels and copies take the time (the table gpu_ops names them)"),
    "python_overhead": Rule("python_overhead", None, "the thread itself runs, as far as is known", APPLICATION,
                            "see what it runs: record it with samples of stacks"),
}  # fmt: skip
"""Of a trace that another profiler made alone: nothing is known of capture and encoder there."""


def rules_of(bucket: str, software: bool, causes: Iterable[str]) -> dict[Rule, set[str]]:
    """The rules that speak of a bucket's causes, and of which each does."""
    general = next(rule for rule in RULES if rule.bucket == bucket and rule.software in (None, software))
    mine = [rule for rule in CAUSE_RULES if rule.bucket == bucket]
    spoken: dict[Rule, set[str]] = {}
    for cause in causes:
        spoken.setdefault(next((rule for rule in mine if cause in rule.causes), general), set()).add(cause)
    return spoken or {general: set()}


def leading_rule(bucket: str, software: bool, causes: list[Json]) -> Rule:
    """What to say of a bucket: the rule whose causes (rows of a run or a pool) hold most of it."""
    mine = [row for row in causes if row["bucket"] == bucket]
    spoken = rules_of(bucket, software, [row["cause"] for row in mine])
    return max(spoken, key=lambda rule: sum(row["ns"] for row in mine if row["cause"] in spoken[rule]))
