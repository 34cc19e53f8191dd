"""What was asked for, and where it ran."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ...dataset.facts import Adapter, Environment, Gpu, MotrixBuild, ProgramEnvironment, ProjectVersion
from ...findings.model import Report
from ..blocks import Block, Column, Section, Table, Text, Tone, section, table, words
from ..format import size

FactRow = tuple[str, str]
_FACTS: list[Column[FactRow]] = [words("", lambda fact: fact[0]), words("", lambda fact: fact[1])]


def facts(rows: list[FactRow]) -> Table:
    """Names and values."""
    return table("", _FACTS, rows)


def command(report: Report) -> list[Section]:
    """The command, its options and what was chosen."""
    if report.command is None or not report.command.argv:
        return section("command", "Command", Text("There is no experiment.json.", lead="Not known."))
    return section(
        "command", "Command", Text(shlex.join(report.command.argv), Tone.CODE), facts(list(_options(report)))
    )


def _options(report: Report) -> Iterator[FactRow]:
    assert report.command is not None
    for key, value in report.command.options.items():
        if value is not None and value != []:
            yield key, str(value)
    for text in report.command.chosen:
        yield "chosen", text
    run = next((run for run in report.runs if run.workload.checkpoint), None)
    if run is not None and (checkpoint := run.workload.checkpoint) is not None:
        origin = f" ({checkpoint.origin})" if checkpoint.origin else ""
        yield "checkpoint", f"{checkpoint.path}{origin}, sha256 {checkpoint.sha256}"
        yield "policy device", run.workload.device or "not known"


def environment(report: Report) -> list[Section]:
    """The machine and its software; what is not known, with its reason."""
    rows = environment_facts(report.environment)
    drew = next((run for run in report.runs if run.mode != "none"), None)
    if drew is not None:
        rows.insert(0, ("Vulkan adapter", adapter_line(drew.adapter, drew.adapter_unknown)))
    made = report.environment.motrace
    version = f" {made.version}" if made is not None else ""
    blocks: list[Block] = [facts(rows), Text(
        f"Made by motrace{version} from {report.experiment} (id {report.experiment_id}). The same numbers are in "
        "report.json; docs/ of motrace explain them.", Tone.NOTE,
    )]  # fmt: skip
    return section("environment", "Environment", *blocks)


def adapter_line(adapter: Adapter | None, unknown: str | None) -> str:
    """The Vulkan adapter in one line."""
    if adapter is None:
        return f"not known: {unknown or 'not recorded'}"
    driver = f"driver {adapter.driver} {adapter.driver_info}"
    return f"{adapter.name} ({adapter.device_type}, {driver}, {adapter.backend})"


def environment_facts(of: Environment) -> list[FactRow]:
    """The environment as label and value, what is not known with its reason."""
    rows = []
    for key, label in _LABELS.items():
        value = getattr(of, key)
        if value is not None:
            rows.append((label, _fact(key, value)))
        elif key in of.unknown:
            rows.append((label, f"not known: {of.unknown[key]}"))
    return rows or [("environment", f"not known: {of.unknown.get('environment', 'not recorded')}")]


def _fact(key: str, value: KnownFact) -> str:
    match value:
        case ProjectVersion(commit=None):
            return f"{value.version}, commit not known: {value.commit_unknown}"
        case ProjectVersion(commit=str(commit)):
            return f"{value.version}, commit {commit[:12]}{' with local changes' if value.dirty else ''}"
        case MotrixBuild():
            return f"{value.version}, build id {value.build_id}, {size(value.library_bytes)}"
        case ProgramEnvironment():
            return ", ".join(_program(value))
        case dict():
            return ", ".join(f"{name} {version}" for name, version in value.items() if version)
        case list():
            cards = (f"{gpu.name}, {size(gpu.memory_bytes)}, compute {gpu.compute_capability}" for gpu in value)
            return "; ".join(cards) or "none"
        case int() if key.endswith("_bytes"):
            return size(value)
    return str(value)


def _program(one: ProgramEnvironment) -> Iterator[str]:
    """The environment of a program that has its own, and what was run in it."""
    yield f"Python {one.python}"
    if one.packages:
        yield _fact("packages", one.packages)
    if one.motrixsim_build is not None:
        yield f"Motrix build id {one.motrixsim_build.build_id}"
    if one.command:
        yield from (f"command: {shlex.join(one.command)}", f"Hydra overrides: {' '.join(one.overrides)}")


KnownFact = str | int | ProjectVersion | MotrixBuild | ProgramEnvironment | dict[str, str | None] | list[Gpu]
_LABELS = {
    "os": "OS", "kernel": "Kernel", "architecture": "Architecture", "cpu_model": "CPU",
    "cpu_physical_cores": "Physical cores", "cpu_logical_cores": "Usable cores", "memory_bytes": "Memory",
    "gpus": "GPU", "gpu_driver": "GPU driver", "cuda_driver": "CUDA (driver)", "python": "Python",
    "motrixsim_build": "Motrix", "packages": "Packages", "unilab": "UniLab's environment",
    "program": "The program's environment", "ffmpeg": "ffmpeg", "h264_encoder": "H.264 encoder", "motrace": "motrace",
    "disk_free_bytes": "Free disk",
}  # fmt: skip
