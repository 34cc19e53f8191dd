"""What about the set-up makes numbers misleading, before any of them; and which runs a verdict is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..dataset.facts import Environment
from ..vocabulary import EvidenceKind
from .codes import Action, Advice, Owner, SetupCode
from .model import SetupFinding
from .pools import mode_order
from .run_model import RunSummary

BUSY = 0.5
"""Above this share of waiting in the time that the loop thread wanted a core, the machine is too busy."""


def judged_runs(runs: Iterable[RunSummary]) -> list[RunSummary]:
    """Completed runs of mode record, else of the mode that does most; those with frames before those without.

    A run that a profiler disturbed counts only where there is no other, and passes under different profilers are
    never taken together.
    """
    completed = [run for run in runs if run.completed and run.recording_wall_ns]
    calm = [run for run in completed if not run.disturbed] or completed
    framed = [run for run in calm if run.frames] or calm
    mode = min((run.mode for run in framed), key=mode_order, default=None)
    mine = [run for run in framed if run.mode == mode]
    mine = [run for run in mine if not run.profiler_failed] or mine
    profilers = min((run.profilers for run in mine), key=lambda names: (len(names), names), default=())
    return [run for run in mine if run.profilers == profilers]


def setup_findings(runs: Sequence[RunSummary], environment: Environment) -> tuple[SetupFinding, ...]:
    """Findings about the set-up that come before any number."""
    findings: list[SetupFinding] = []
    gpus = environment.gpus or []
    adapter = next((run.software_name for run in runs if run.software), None)

    def say(code: SetupCode, owner: Owner, action: Action, **values: str | float | tuple[str, ...]) -> None:
        findings.append(SetupFinding(code, owner, Advice(action), {**values}))

    if adapter is not None and gpus:
        code = SetupCode.SOFTWARE_ADAPTER_DESPITE_GPU
        say(code, Owner.SETUP, Action.INSTALL_VULKAN_DRIVER, adapter=adapter, gpu=gpus[0].name)
    elif adapter is not None:
        say(SetupCode.SOFTWARE_ADAPTER, Owner.SETUP, Action.READ_SHARES, adapter=adapter)
    chosen = judged_runs(runs)
    if chosen and all(run.disturbed for run in chosen):
        names = tuple(run.run_id for run in chosen)
        say(SetupCode.ONLY_PROFILED_RUNS, Owner.NONE, Action.RECORD_UNPROFILED, runs=names)
    waited = waited_for_a_core(chosen)
    if waited > BUSY:
        say(SetupCode.BUSY_MACHINE, Owner.SETUP, Action.STOP_COMPETITORS, share=waited)
    if gpus and not any(gpu.nvenc for gpu in gpus):
        say(SetupCode.NO_NVENC, Owner.NONE, Action.PLAN_ENCODER_CORES, gpu=gpus[0].name)
    return tuple(findings)


def waited_for_a_core(runs: Iterable[RunSummary]) -> float:
    """The loop thread's time in the run queue as a share of the time it ran or was in it, loop and drain; 0 of none."""
    causes = [one for run in runs for one in run.causes]
    running, runnable = (sum(one.time.ns for one in causes if one.state == state) for state in ("running", "runnable"))
    return runnable / (running + runnable) if runnable else 0.0


def motrix_drew(runs: Iterable[RunSummary], environment: Environment) -> bool:
    """Whether the renderer was Motrix: its adapter line was recorded, or it is among the program's packages."""
    measured = environment.measured
    installed = (measured.packages or {}).get("motrixsim-core") or measured.motrixsim_build
    return bool(installed) or any(run.adapter is not None for run in runs)


def starved(leading: str, runs: Sequence[RunSummary]) -> bool:
    """Whether the leading bucket is idle time, which threads that waited for a core look like."""
    stalls = [one for run in runs for one in run.causes if one.bucket == "renderer_stall" and one.time.ns]
    blind = any(set(one.evidence) <= {EvidenceKind.CPU_COUNTERS, EvidenceKind.TURN_TAKING} for one in stalls)
    return leading == "renderer_stall" and blind and waited_for_a_core(runs) > BUSY
