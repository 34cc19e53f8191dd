"""What was asked for, and where it ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...dataset.facts import Adapter, Environment, Gpu, MotrixBuild, ProgramEnvironment, ProjectVersion
from ...findings.model import Report
from ..blocks import Block, Column, Section, Table, Text, Tone, section, table, words
from ..format import size

Fact = tuple[str, str]
_FACTS: list[Column[Fact]] = [words("", lambda fact: fact[0]), words("", lambda fact: fact[1])]


def facts(rows: list[Fact]) -> Table:
    """Names and values."""
    return table("", _FACTS, rows)


def command(report: Report) -> list[Section]:
    """The command, its options and what was chosen."""
    if report.command is None or not report.command.argv:
        return section("command", "Command", Text("There is no experiment.json.", lead="Not known."))
    return section("command", "Command", Text(" ".join(report.command.argv), Tone.CODE), facts(list(_options(report))))


def _options(report: Report) -> Iterator[Fact]:
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
        f"Made by motrace{version} from {report.experiment}. The same numbers are in report.json; docs/ of motrace "
        "says what they mean.", Tone.NOTE,
    )]  # fmt: skip
    return section("environment", "Environment", *blocks)


def adapter_line(adapter: Adapter | None, unknown: str | None) -> str:
    """The Vulkan adapter in one line."""
    if adapter is None:
        return f"not known: {unknown or 'not recorded'}"
    driver = f"driver {adapter.driver} {adapter.driver_info}"
    return f"{adapter.name} ({adapter.device_type}, {driver}, {adapter.backend})"


def environment_facts(of: Environment) -> list[Fact]:
    """The environment as label and value, what is not known with its reason."""
    rows = []
    for key, label, show in _ENVIRONMENT:
        value = show(of)
        if value is not None:
            rows.append((label, value))
        elif key in of.unknown:
            rows.append((label, f"not known: {of.unknown[key]}"))
    return rows or [("environment", f"not known: {of.unknown.get('environment', 'not recorded')}")]


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def _bytes(value: int | None) -> str | None:
    return None if value is None else size(value)


def _commit(project: ProjectVersion | None) -> str | None:
    if project is None:
        return None
    if not project.commit:
        return f"{project.version}, commit not known: {project.commit_unknown}"
    return f"{project.version}, commit {project.commit[:12]}{' with local changes' if project.dirty else ''}"


def _gpus(gpus: list[Gpu] | None) -> str | None:
    if gpus is None:
        return None
    return "; ".join(f"{g.name}, {size(g.memory_bytes)}, compute {g.compute_capability}" for g in gpus) or "none"


def _build(build: MotrixBuild | None) -> str | None:
    return None if build is None else f"{build.version}, build id {build.build_id}, {size(build.library_bytes)}"


def _packages(packages: dict[str, str] | dict[str, str | None] | None) -> str | None:
    known = (packages or {}).items()
    return None if packages is None else ", ".join(f"{name} {version}" for name, version in known if version)


def _program(one: ProgramEnvironment | None) -> str | None:
    """The environment of a program that has its own, and what was run in it."""
    if one is None:
        return None
    parts = [f"Python {one.python}", _packages(one.packages)]
    if one.motrixsim_build is not None:
        parts.append(f"Motrix build id {one.motrixsim_build.build_id}")
    if one.command:
        parts += [f"command: {' '.join(one.command)}", f"Hydra overrides: {' '.join(one.overrides)}"]
    return ", ".join(part for part in parts if part)


_ENVIRONMENT: tuple[tuple[str, str, Callable[[Environment], str | None]], ...] = (
    ("os", "OS", lambda of: of.os),
    ("kernel", "Kernel", lambda of: of.kernel),
    ("architecture", "Architecture", lambda of: of.architecture),
    ("cpu_model", "CPU", lambda of: of.cpu_model),
    ("cpu_physical_cores", "Physical cores", lambda of: _text(of.cpu_physical_cores)),
    ("cpu_logical_cores", "Usable cores", lambda of: _text(of.cpu_logical_cores)),
    ("memory_bytes", "Memory", lambda of: _bytes(of.memory_bytes)),
    ("gpus", "GPU", lambda of: _gpus(of.gpus)),
    ("gpu_driver", "GPU driver", lambda of: of.gpu_driver),
    ("cuda_driver", "CUDA (driver)", lambda of: of.cuda_driver),
    ("python", "Python", lambda of: of.python),
    ("motrixsim_build", "Motrix", lambda of: _build(of.motrixsim_build)),
    ("packages", "Packages", lambda of: _packages(of.packages)),
    ("unilab", "UniLab's environment", lambda of: _program(of.unilab)),
    ("program", "The program's environment", lambda of: _program(of.program)),
    ("ffmpeg", "ffmpeg", lambda of: of.ffmpeg),
    ("h264_encoder", "H.264 encoder", lambda of: of.h264_encoder),
    ("motrace", "motrace", lambda of: _commit(of.motrace)),
    ("disk_free_bytes", "Free disk", lambda of: _bytes(of.disk_free_bytes)),
)
