"""What to measure in a program: a table from dotted names to phases, given as data.

Written as TOML (docs/instrument.md), handed to the measured process as JSON, because its Python
may be 3.10, which reads no TOML. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from ..errors import UsageError
from ..run_folder import JsonObject, JsonValue
from ..thread_roles import STATED_ROLES

START = "start"  # the begin of the program, in the place of a name

Allowed = Mapping[str, "type | tuple[type, ...]"]

_KEYS: Allowed = {
    "program": (dict,),
    "phases": (dict,),
    "frame": (str, dict),
    "segments": (dict,),
    "threads": (dict,),
    "between": (list,),
    "change": (list,),
    "observe": (list,),
    "episodes": (dict,),
}
_PROGRAM = {"name": str, "distribution": str, "versions": str}
_PHASE = {"phase": str, "versions": str, "optional": bool}
_FRAME: Allowed = {"begins": str, "ends": str, "warmup": (int, str)}
_SEGMENT = {"after": str}
_BETWEEN = {"phase": str, "after": str, "until": str}
_CHANGE = {"name": str, "modes": list, "call": bool, "result": object, "arguments": dict}
_OBSERVE = {"fact": str, "at": str, "value": str, "as": str, "when": str}
_EPISODES = {"at": str, "reward": str, "terminated": str, "truncated": str, "resets": str, "success": str, "about": str}
AS = ("text", "file", "digest")
ENDINGS = ("terminated", "truncated")


@dataclass(frozen=True)
class MeasuredCall:
    """A call that is a span. ``versions`` says which versions of the program have the name."""

    name: str
    phase: str
    versions: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Between:
    """Time between two calls that is a span: from the return of ``after`` (or ``start``) to the begin of
    ``until`` or, if the call is inside it, its end; without ``until``, to the end of the frame."""

    phase: str
    after: str
    until: str = ""


@dataclass(frozen=True)
class Change:
    """A call that is made otherwise in some modes: not at all, with other arguments, with another result."""

    name: str
    modes: tuple[str, ...] = ()
    call: bool = True
    result: JsonValue = None
    has_result: bool = False
    arguments: JsonObject = field(default_factory=dict)

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
class InstrumentTable:
    """What a file says."""

    program: str
    distribution: str
    versions: str
    phases: tuple[MeasuredCall, ...]
    frame: str
    frame_begins: str
    frame_ends: str
    warmup: int | str  # frames that are warm-up; "$name" stands for a value
    segments: tuple[tuple[str, str, bool], ...]  # segment, name, whether it begins at the name's return
    between: tuple[Between, ...]
    changes: tuple[Change, ...]
    observe: tuple[Observe, ...]
    episodes: Episodes | None = None
    threads: tuple[tuple[str, str], ...] = ()

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


def parse(data: JsonValue, where: str) -> InstrumentTable:
    """The table in ``data`` (as TOML or JSON gives it); ``where`` names it in messages. Raises UsageError."""
    whole = _Row(data, _KEYS, where, "")
    _top_level_keys_at_the_top(whole, where)
    program = _Row(whole.get("program", {}), _PROGRAM, where, "[program] ")
    frame = whole.get("frame", {})
    turn = _Row({} if isinstance(frame, str) else frame, _FRAME, where, "frame: ")
    table = InstrumentTable(
        program=program.text("name", "the program"),
        distribution=program.text("distribution"),
        versions=program.text("versions"),
        phases=tuple(_phase(name, given, where) for name, given in whole.table("phases").items()),
        frame=frame if isinstance(frame, str) else "",
        frame_begins=turn.text("begins"),
        frame_ends=turn.text("ends"),
        warmup=cast("int | str", turn.get("warmup", 0)),
        segments=tuple(_segment(name, given, where) for name, given in whole.table("segments").items()),
        between=tuple(_between(row, where) for row in whole.rows("between")),
        changes=tuple(_change(row, where) for row in whole.rows("change")),
        observe=tuple(_observe(row, where) for row in whole.rows("observe")),
        episodes=_episodes(whole.get("episodes"), where) if whole.has("episodes") else None,
        threads=tuple(_thread(pattern, role, where) for pattern, role in whole.table("threads").items()),
    )
    for name in table.names():
        if "." not in name or not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"{where}: {name!r} is not a dotted name; write it as package.module.function")
    if not table.names():
        raise UsageError(f'{where}: names nothing to measure; give [phases] with lines like "package.f" = "step"')
    return table


class _Row:
    """A table of the file whose keys and their types are checked; ``inside`` says where it stands."""

    def __init__(self, data: JsonValue, allowed: Allowed, where: str, inside: str, needed: Iterable[str] = ()) -> None:
        if not isinstance(data, Mapping):
            raise UsageError(f"{where}: {inside}must be a table, not {type(data).__name__}")
        for key, value in data.items():
            if key not in allowed:
                raise UsageError(f"{where}: {inside}there is no key {key!r}; choose from {', '.join(allowed)}")
            if not isinstance(value, allowed[key]):
                raise UsageError(f"{where}: {inside}{key} can't be a {type(value).__name__}")
        for key in needed:
            if not data.get(key):
                raise UsageError(f"{where}: {inside}{key} is missing")
        self._data = data

    def has(self, key: str) -> bool:
        """Whether it has a key."""
        return key in self._data

    def get(self, key: str, default: JsonValue = None) -> JsonValue:
        """A value of any type."""
        return self._data.get(key, default)

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        return cast(str, self._data.get(key, default))

    def flag(self, key: str, default: bool) -> bool:
        """A truth value."""
        return cast(bool, self._data.get(key, default))

    def table(self, key: str) -> JsonObject:
        """A table; empty where there is none."""
        return cast(JsonObject, self._data.get(key, {}))

    def rows(self, key: str) -> list[JsonValue]:
        """A list; empty where there is none."""
        return cast("list[JsonValue]", self._data.get(key, []))


def _top_level_keys_at_the_top(whole: _Row, where: str) -> None:
    for section in ("phases", "segments", "threads"):
        for key in whole.table(section):
            if key in _KEYS:
                raise UsageError(f"{where}: {key} stands below [{section}]: move it above the first line in brackets")


def _phase(name: str, given: JsonValue, where: str) -> MeasuredCall:
    row = _Row({"phase": given} if isinstance(given, str) else given, _PHASE, where, f"[phases] {name}: ", ("phase",))
    return MeasuredCall(name, row.text("phase"), row.text("versions"), row.flag("optional", False))


def _thread(pattern: str, role: JsonValue, where: str) -> tuple[str, str]:
    if role not in STATED_ROLES:
        raise UsageError(
            f"{where}: [threads] {pattern}: there is no role {role!r}; choose from {', '.join(STATED_ROLES)}"
        )
    return pattern, role


def _segment(segment: str, given: JsonValue, where: str) -> tuple[str, str, bool]:
    if isinstance(given, str):
        return segment, given, False
    return segment, _Row(given, _SEGMENT, where, f"[segments] {segment}: ", ("after",)).text("after"), True


def _between(given: JsonValue, where: str) -> Between:
    row = _Row(given, _BETWEEN, where, "[[between]] ", ("phase", "after"))
    return Between(row.text("phase"), row.text("after"), row.text("until"))


def _change(given: JsonValue, where: str) -> Change:
    row = _Row(given, _CHANGE, where, "[[change]] ", ("name",))
    modes, result = tuple(map(str, row.rows("modes"))), row.get("result")
    return Change(row.text("name"), modes, row.flag("call", True), result, row.has("result"), row.table("arguments"))


def _observe(given: JsonValue, where: str) -> Observe:
    row = _Row(given, _OBSERVE, where, "[[observe]] ", ("fact", "at", "value"))
    fact, kind, when = row.text("fact"), row.text("as", "text"), row.text("when", "call")
    if kind not in AS or when not in ("call", "return"):
        raise UsageError(f"{where}: [[observe]] {fact}: as is one of {', '.join(AS)}, when call or return")
    return Observe(fact, row.text("at"), row.text("value"), kind, when)


def _episodes(given: JsonValue, where: str) -> Episodes:
    row = _Row(given, _EPISODES, where, "[episodes] ", ("at", "reward", *ENDINGS))
    if row.text("success") not in ("", *ENDINGS):
        raise UsageError(f"{where}: [episodes] success is one of {', '.join(ENDINGS)}")
    return Episodes(**{key: row.text(key) for key in _EPISODES})
