"""Whether two experiments did the same work, so that a difference of their times says what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .compare import usable

Json = dict[str, Any]

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
class Difference:
    """Something in which two experiments differ, in words."""

    name: str
    base: str
    new: str

    def __str__(self) -> str:
        return f"{self.name}: {self.base} against {self.new}"


def differences(base: Json, new: Json, modes: list[str]) -> list[Difference]:
    """What two experiments (as report.json holds them) did otherwise, in the runs of ``modes``.

    Versions, drivers and the machine are not among it: they are what a comparison is made for.
    """
    before, after = _work(base, modes), _work(new, modes)
    found = []
    for name in dict.fromkeys((*before, *after)):
        old, now = before.get(name), after.get(name)
        if old != now and (old or now):
            found.append(Difference(name, _words(old), _words(now)))
    return found


def _work(report: Json, modes: list[str]) -> Json:
    """What an experiment was asked to do, by the name of each field."""
    options = report["command"].get("options") or {}
    chosen = [run for mode in modes for run in usable(report["runs"], mode)]
    work = {NAMES.get(key, key.replace("_", " ")): value for key, value in options.items() if key not in OTHERWISE}
    if "command" in options:
        work["program"] = options["command"][1:]  # the interpreter may be another
    if "frames" not in options:
        work["frames"] = _one(run["frames"] for run in chosen)
    if "width" in options and "height" in options:
        work["size"] = f"{options['width']}x{options['height']}"
    given = [run["workload"]["checkpoint"] for run in chosen if options.get("checkpoint")]
    work["checkpoint"] = _one(one["sha256"] for one in given if one) or options.get("checkpoint")
    adapters = [run["adapter"] for run in chosen if run["adapter"]]
    work["Vulkan adapter"] = _one(f"{adapter['name']} ({adapter['device_type']})" for adapter in adapters)
    work["collectors"] = _one(name for run in chosen for name in run["collectors"])
    work["profiler around it"] = any(run["profiler_attached"] for run in chosen)
    return work


def _one(values: Any) -> Any:
    """The values, each once; the value itself where it is one, None where there is none."""
    found = sorted(set(values))
    return found if len(found) > 1 else next(iter(found), None)


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    if value is None or value is False:
        return "none"
    return "yes" if value is True else str(value)
