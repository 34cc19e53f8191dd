"""What to measure in a program: a table from dotted names to phases, given as data.

Written as TOML (docs/instrument.md), handed to the measured process as JSON, because its Python
may be 3.10, which reads no TOML. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError

START = "start"  # the begin of the program, in the place of a name

_KEYS: dict[str, tuple[type, ...]] = {
    "program": (dict,),
    "phases": (dict,),
    "frame": (str, dict),
    "segments": (dict,),
    "between": (list,),
    "change": (list,),
    "observe": (list,),
    "episodes": (dict,),
}
_PROGRAM = {"name": str, "distribution": str, "versions": str}
_PHASE = {"phase": str, "versions": str, "optional": bool}
_FRAME = {"begins": str, "ends": str, "warmup": (int, str)}
_SEGMENT = {"after": str}
_BETWEEN = {"phase": str, "after": str, "until": str}
_CHANGE = {"name": str, "modes": list, "call": bool, "result": object, "arguments": dict}
_OBSERVE = {"fact": str, "at": str, "value": str, "as": str, "when": str}
_EPISODES = {"at": str, "reward": str, "terminated": str, "truncated": str, "resets": str, "success": str, "about": str}
AS = ("text", "file", "digest")
ENDINGS = ("terminated", "truncated")


@dataclass(frozen=True)
class Phase:
    """A call that is a span. ``versions`` says which versions of the program have the name."""

    name: str
    phase: str
    versions: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Between:
    """Time between two calls that is a span: from the return of ``after`` (or ``start``) to the begin of
    ``until`` or, if the call is inside it, its end; without ``until``, to the end of the turn."""

    phase: str
    after: str
    until: str = ""


@dataclass(frozen=True)
class Change:
    """A call that is made otherwise in some modes: not at all, with other arguments, with another result."""

    name: str
    modes: tuple[str, ...] = ()
    call: bool = True
    result: Any = None
    has_result: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)

    def applies(self, mode: str) -> bool:
        """Whether it is made in a mode; without ``modes`` it is in all."""
        return not self.modes or mode in self.modes

    @property
    def keeps_result(self) -> bool:
        """Whether the call is made and its own result is passed on."""
        return self.call and not self.has_result


@dataclass(frozen=True)
class Observe:
    """A value to keep as a fact: an argument of a call, or an attribute below one, as text, file or digest."""

    fact: str
    at: str
    value: str
    kind: str = "text"
    when: str = "call"


@dataclass(frozen=True)
class Episodes:
    """Where a step's rewards and endings are: arguments of the call ``at``, or attributes below one, read after it.

    A call of ``resets`` begins all episodes anew; ``success`` names the ending that counts as one.
    """

    at: str
    reward: str
    terminated: str
    truncated: str
    resets: str = ""
    success: str = ""
    about: str = ""


@dataclass(frozen=True)
class Table:
    """What a file says."""

    program: str
    distribution: str
    versions: str
    phases: tuple[Phase, ...]
    frame: str
    frame_begins: str
    frame_ends: str
    warmup: int | str  # turns that are warm-up; "$name" stands for a value
    segments: tuple[tuple[str, str, bool], ...]  # segment, name, whether it begins at the name's return
    between: tuple[Between, ...]
    changes: tuple[Change, ...]
    observe: tuple[Observe, ...]
    episodes: Episodes | None = None

    def has_segment(self, segment: str) -> bool:
        """Whether it says where a segment begins."""
        return any(name == segment for name, _, _ in self.segments)

    def names(self) -> tuple[str, ...]:
        """Every dotted name in it, once, in order of appearance."""
        every = [phase.name for phase in self.phases]
        every += [self.frame, self.frame_begins, self.frame_ends, *(name for _, name, _ in self.segments)]
        every += [name for gap in self.between for name in (gap.after, gap.until)]
        every += [change.name for change in self.changes] + [seen.at for seen in self.observe]
        every += [self.episodes.at, self.episodes.resets] if self.episodes is not None else []
        return tuple(dict.fromkeys(name for name in every if name and name != START))


def parse(data: dict[str, Any], where: str) -> Table:
    """The table in ``data`` (as TOML or JSON gives it); ``where`` names it in messages. Raises UsageError."""
    _check(data, {key: kinds for key, kinds in _KEYS.items()}, where, "")
    program = data.get("program", {})
    _check(program, _PROGRAM, where, "[program] ")
    frame = data.get("frame", {})
    if isinstance(frame, dict):
        _check(frame, _FRAME, where, "frame: ")
    table = Table(
        program=program.get("name", "the program"),
        distribution=program.get("distribution", ""),
        versions=program.get("versions", ""),
        phases=tuple(_phase(name, given, where) for name, given in data.get("phases", {}).items()),
        frame=frame if isinstance(frame, str) else "",
        frame_begins=frame.get("begins", "") if isinstance(frame, dict) else "",
        frame_ends=frame.get("ends", "") if isinstance(frame, dict) else "",
        warmup=frame.get("warmup", 0) if isinstance(frame, dict) else 0,
        segments=tuple(_segment(name, given, where) for name, given in data.get("segments", {}).items()),
        between=tuple(_row(Between, _BETWEEN, ("phase", "after"), row, where) for row in data.get("between", [])),
        changes=tuple(_change(row, where) for row in data.get("change", [])),
        observe=tuple(_observe(row, where) for row in data.get("observe", [])),
        episodes=_episodes(data["episodes"], where) if "episodes" in data else None,
    )
    for name in table.names():
        if "." not in name or not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"{where}: {name!r} is no dotted name; write it as package.module.function")
    if not table.names():
        raise UsageError(f'{where}: names nothing to measure; give [phases] with lines like "package.f" = "step"')
    return table


def _check(data: Any, allowed: dict[str, Any], where: str, inside: str) -> None:
    if not isinstance(data, dict):
        raise UsageError(f"{where}: {inside}must be a table, not {type(data).__name__}")
    for key, value in data.items():
        if key not in allowed:
            raise UsageError(f"{where}: {inside}there is no key {key!r}; choose from {', '.join(allowed)}")
        if not isinstance(value, allowed[key]):
            raise UsageError(f"{where}: {inside}{key} can't be a {type(value).__name__}")


def _need(data: dict[str, Any], keys: tuple[str, ...], where: str, inside: str) -> None:
    for key in keys:
        if not data.get(key):
            raise UsageError(f"{where}: {inside}{key} is missing")


def _phase(name: str, given: Any, where: str) -> Phase:
    if isinstance(given, str):
        given = {"phase": given}
    _check(given, _PHASE, where, f"[phases] {name}: ")
    _need(given, ("phase",), where, f"[phases] {name}: ")
    return Phase(name, **given)


def _segment(segment: str, given: Any, where: str) -> tuple[str, str, bool]:
    if isinstance(given, str):
        return segment, given, False
    _check(given, _SEGMENT, where, f"[segments] {segment}: ")
    _need(given, ("after",), where, f"[segments] {segment}: ")
    return segment, given["after"], True


def _row(kind: Any, allowed: dict[str, Any], needed: tuple[str, ...], row: Any, where: str) -> Any:
    inside = f"[[{kind.__name__.lower()}]] "
    _check(row, allowed, where, inside)
    _need(row, needed, where, inside)
    return kind(**row)


def _change(row: Any, where: str) -> Change:
    _check(row, _CHANGE, where, "[[change]] ")
    _need(row, ("name",), where, "[[change]] ")
    return Change(**{**row, "modes": tuple(row.get("modes", ())), "has_result": "result" in row})


def _observe(row: Any, where: str) -> Observe:
    _check(row, _OBSERVE, where, "[[observe]] ")
    _need(row, ("fact", "at", "value"), where, "[[observe]] ")
    kind, when = row.get("as", "text"), row.get("when", "call")
    if kind not in AS or when not in ("call", "return"):
        raise UsageError(f"{where}: [[observe]] {row['fact']}: as is one of {', '.join(AS)}, when call or return")
    return Observe(row["fact"], row["at"], row["value"], kind, when)


def _episodes(given: Any, where: str) -> Episodes:
    _check(given, _EPISODES, where, "[episodes] ")
    _need(given, ("at", "reward", *ENDINGS), where, "[episodes] ")
    if given.get("success", "") not in ("", *ENDINGS):
        raise UsageError(f"{where}: [episodes] success is one of {', '.join(ENDINGS)}")
    return Episodes(**given)
