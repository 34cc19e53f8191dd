"""Whether two experiments did the same work, so that a difference of their times says what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..dataset.facts import OptionValue
from .compare import usable
from .model import Report

NAMES = {
    "num_envs": "environments",
    "warmup": "warm-up frames",
    "workload_args": "arguments of the workload",
    "command": "program",
    "instrument": "instrument file",
    "video_per_env": "video per environment",
}
"""Options that are not called as a person would."""
OTHERWISE = ("mode", "python", "width", "height", "checkpoint")
"""Options that say nothing of the work, or that ``_work`` gives in another form."""


@dataclass(frozen=True)
class WorkDifference:
    """Something in which two experiments differ, in words."""

    name: str
    base: str
    new: str

    def __str__(self) -> str:
        return f"{self.name}: {self.base} against {self.new}"


def differences(base: Report, new: Report, modes: Sequence[str]) -> list[WorkDifference]:
    """What two experiments did otherwise, in the runs of ``modes``.

    Versions, drivers and the machine are not among it: they are what a comparison is made for.
    """
    before, after = _work(base, modes), _work(new, modes)
    names = dict.fromkeys((*before, *after))
    pairs = ((name, before.get(name, "none"), after.get(name, "none")) for name in names)
    return [WorkDifference(name, old, now) for name, old, now in pairs if old != now and {old, now} - {"none", "0"}]


def versions(base: Report, new: Report) -> list[WorkDifference]:
    """Versions of software, driver and machine in which two experiments differ, where both are known."""
    before, after = _versions(base), _versions(new)
    return [WorkDifference(name, old, after[name]) for name, old in before.items() if after.get(name, old) != old]


def _versions(report: Report) -> dict[str, str]:
    machine = report.environment
    measured, build = machine.measured, machine.measured.motrixsim_build
    adapter = next((run.adapter for run in report.runs if run.adapter is not None), None)
    known = {
        "Vulkan driver": adapter and f"{adapter.driver} {adapter.driver_info}".strip(),
        "OS": machine.os, "kernel": machine.kernel, "CPU": machine.cpu_model, "GPU": "; ".join(machine.gpu_names),
        "GPU driver": machine.gpu_driver, "CUDA driver": machine.cuda_driver, "Python": measured.python,
        "Motrix build": build and build.build_id, "motrace": machine.motrace and machine.motrace.version,
        "ffmpeg": machine.ffmpeg, "H.264 encoder": machine.h264_encoder, **(measured.packages or {}),
    }  # fmt: skip
    return {name: value for name, value in known.items() if value}


def _work(report: Report, modes: Sequence[str]) -> dict[str, str]:
    """What an experiment was asked to do, in words, by the name of each field."""
    options = {} if report.command is None else report.command.options
    chosen = [run for mode in modes for run in usable(report.runs, mode)]
    work = {
        NAMES.get(key, key.replace("_", " ")): _words(value) for key, value in options.items() if key not in OTHERWISE
    }
    program = options.get("command")
    if isinstance(program, list):
        work["program"] = _words(program[1:])  # the interpreter may be another
    if "frames" not in options:
        work["frames"] = _each(run.frames for run in chosen)
    if "width" in options and "height" in options:
        work["size"] = f"{options['width']}x{options['height']}"
    checkpoints = [run.workload.checkpoint for run in chosen if options.get("checkpoint")]
    digests = [one.sha256 for one in checkpoints if one is not None and one.sha256 is not None]
    work["checkpoint"] = _each(digests) if digests else _words(options.get("checkpoint"))
    adapters = [run.adapter for run in chosen if run.adapter is not None]
    work["Vulkan adapter"] = _each(f"{adapter.name} ({adapter.device_type})" for adapter in adapters)
    work["collectors"] = _each(name for run in chosen for name in run.collectors)
    work["profiler around it"] = _words(any(run.profiler_attached for run in chosen))
    return work


def _each(values: Iterable[str | int]) -> str:
    """The values, each once."""
    return " ".join(map(str, sorted(set(values), key=str))) or "none"


def _words(value: OptionValue) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    if value is None or value is False or value == "":
        return "none"
    return "yes" if value is True else str(value)
