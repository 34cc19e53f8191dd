"""Numbers and words as people read them; shared by every form of the report."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup

from ..escape import markdown, visible
from ..vocabulary import BUCKETS, CAUSES


def ms(ns: float | None) -> str:
    """Milliseconds, three decimals."""
    return "–" if ns is None else f"{ns / 1e6:,.3f}"


def short_ms(ns: float | None) -> str:
    """Milliseconds, four digits or so: three decimals below 10, none from 1000 on."""
    if ns is None:
        return "–"
    decimals = sum(abs(ns) < limit for limit in (1e7, 1e8, 1e9))
    return f"{ns / 1e6:,.{decimals}f}"


def seconds(ns: float | None) -> str:
    """Seconds, two decimals."""
    return "–" if ns is None else f"{ns / 1e9:,.2f}"


def percent(share: float | None) -> str:
    """A share in percent, one decimal."""
    return "–" if share is None else f"{share * 100:.1f} %"


def number(value: float | None, digits: int = 2) -> str:
    """A plain number."""
    return "–" if value is None else f"{value:,.{digits}f}"


def signed_ms(ns: float | None) -> str:
    """Milliseconds with a sign."""
    return "–" if ns is None else f"{ns / 1e6:+,.3f}"


def size(count: float | None) -> str:
    """Bytes, in a fitting unit."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def sentence(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def indent(phase: str, phases: dict[str, Any]) -> int:
    """How many phases stand around a phase."""
    depth, parent = 0, _parent(phase, phases)
    while parent is not None:
        depth += 1
        parent = _parent(parent, phases)
    return depth


def nested(phases: dict[str, Any]) -> list[str]:
    """Phases with each behind its parent, otherwise in their order."""

    def below(parent: str | None) -> list[str]:
        return [name for phase in phases if _parent(phase, phases) == parent for name in (phase, *below(phase))]

    return below(None)


def _parent(phase: str, phases: dict[str, Any]) -> str | None:
    """The phase around a phase; None at the top, and for phases that stand around each other."""
    parent = at = phases[phase].get("parent")
    seen: set[str] = set()
    while at in phases and at not in seen:
        if at == phase:
            return None
        seen.add(at)
        at = phases[at].get("parent")
    return parent if parent in phases else None


def environment_rows(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """The environment as label and value, what is not known with its reason."""
    unknown = environment.get("unknown", {})
    rows = []
    for key, label, show in _ENVIRONMENT:
        value = environment.get(key)
        if value is not None:
            rows.append((label, show(value)))
        elif key in unknown:
            rows.append((label, f"not known: {unknown[key]}"))
    return rows or [("environment", f"not known: {unknown.get('environment', 'not recorded')}")]


def _commit(project: dict[str, Any]) -> str:
    if not project.get("commit"):
        return f"{project['version']}, commit not known: {project.get('commit_unknown')}"
    return (
        f"{project['version']}, commit {project['commit'][:12]}{' with local changes' if project.get('dirty') else ''}"
    )


def _gpus(gpus: list[dict[str, Any]]) -> str:
    return (
        "; ".join(f"{gpu['name']}, {size(gpu['memory_bytes'])}, compute {gpu['compute_capability']}" for gpu in gpus)
        or "none"
    )


def _foreign(found: dict[str, Any]) -> str:
    """The environment of a program that has its own, and what was run in it."""
    packages = [f"{name} {version}" for name, version in found["packages"].items() if version]
    words = [f"Python {found['python']}", *packages]
    build = found.get("motrixsim_build")
    if build:
        words.append(f"Motrix build id {build['build_id']}")
    if found.get("command"):
        words += [f"command: {' '.join(found['command'])}", f"Hydra overrides: {' '.join(found['overrides'])}"]
    return ", ".join(words)


_ENVIRONMENT: tuple[tuple[str, str, Any], ...] = (
    ("os", "OS", str),
    ("kernel", "Kernel", str),
    ("architecture", "Architecture", str),
    ("cpu_model", "CPU", str),
    ("cpu_physical_cores", "Physical cores", str),
    ("cpu_logical_cores", "Usable cores", str),
    ("memory_bytes", "Memory", size),
    ("gpus", "GPU", _gpus),
    ("gpu_driver", "GPU driver", str),
    ("cuda_driver", "CUDA (driver)", str),
    ("python", "Python", str),
    (
        "motrixsim_build",
        "Motrix",
        lambda build: f"{build['version']}, build id {build['build_id']}, {size(build['library_bytes'])}",
    ),
    ("packages", "Packages", lambda packages: ", ".join(f"{name} {version}" for name, version in packages.items())),
    ("unilab", "UniLab's environment", _foreign),
    ("program", "The program's environment", _foreign),
    ("ffmpeg", "ffmpeg", str),
    ("h264_encoder", "H.264 encoder", str),
    ("motrace", "motrace", _commit),
    ("disk_free_bytes", "Free disk", size),
)


def adapter_line(adapter: dict[str, str] | None, unknown: str | None) -> str:
    """The Vulkan adapter in one line."""
    if adapter is None:
        return f"not known: {unknown or 'not recorded'}"
    driver = f"driver {adapter['driver']} {adapter['driver_info']}"
    return f"{adapter['name']} ({adapter['device_type']}, {driver}, {adapter['backend']})"


@jinja2.pass_context
def _escaped(context: Any, value: Any) -> Any:
    """What is put out of a value: nothing in it is Markdown or HTML, or acts unseen."""
    if isinstance(value, Markup):
        return value
    return Markup(markdown(str(value))) if str(context.name).endswith(".md") else visible(str(value))


def code(text: str) -> str:
    """A line of a fenced block in Markdown, which shows everything as it is but its own end."""
    return Markup(visible(text).replace("```", "\\`\\`\\`"))


def templates() -> jinja2.Environment:
    """The template engine with these functions as filters."""
    engine = jinja2.Environment(
        loader=jinja2.PackageLoader("motrace.report"),
        autoescape=True,
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    engine.filters.update(
        ms=ms,
        s=seconds,
        percent=percent,
        number=number,
        signed_ms=signed_ms,
        size=size,
        nested=nested,
        sentence=sentence,
        code=code,
    )
    engine.globals.update(
        indent=indent, environment_rows=environment_rows, adapter_line=adapter_line, BUCKETS=BUCKETS, CAUSES=CAUSES
    )
    return engine
