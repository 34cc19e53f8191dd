"""Times named functions of an installed program from outside: no edit there, and nothing left behind.

    with Instrument(table):
        ...  # functions in the table are spans from the moment their modules are imported

What a table says is in ``table``; ``wrap`` puts spans around functions, ``sites`` finds them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..run_folder import JsonObject, JsonValue
from . import annotate
from .changes import ObservedFacts, changed, observer, step_observer, value_of
from .episodes import EpisodeLog
from .importhook import ImportHook
from .named_threads import NamedThreads
from .sites import MAIN, Call, Patches, Site, find, of_constructor, replaced
from .table import START, InstrumentTable
from .torch_hook import TorchHook
from .wrap import Hook, Hooks, Opened, regardless, wrapped

if TYPE_CHECKING:
    from types import TracebackType


class _Held:
    """A span that is opened by one call and closed by another, on the thread that made this."""

    def __init__(self, span: Opened) -> None:
        self._span = span
        self._thread = threading.get_ident()
        self.is_open = False
        self.times = 0

    @property
    def here(self) -> bool:
        """Whether this is the thread that opens and closes it."""
        return threading.get_ident() == self._thread

    def open(self) -> None:
        """Begin the span, if it is not open; other threads' calls do nothing."""
        if not self.is_open and self.here:
            self.is_open = True
            self.times += 1
            self._span.__enter__()

    def close(self) -> None:
        """End the span, if it is open."""
        if self.is_open and self.here:
            self.is_open = False
            self._span.__exit__(None, None, None)


class Instrument:
    """Patches the names of a table while it is installed.

    ``mode`` chooses the table's changes, ``values`` are what ``$name`` stands for in their
    arguments. ``warnings`` and ``facts`` are complete after ``uninstall``.
    """

    def __init__(self, table: InstrumentTable, mode: str = "record", values: JsonObject | None = None) -> None:
        self.table = table
        self.mode = mode
        self.warnings: list[str] = []
        self.facts: JsonObject = {}
        self._seen = ObservedFacts()
        self.episodes = EpisodeLog(table.episodes.success, table.episodes.about) if table.episodes else EpisodeLog()
        self.measured: list[str] = []
        self._values = values or {}
        self._pending = list(table.names())
        self._patches = Patches()
        self._threads = NamedThreads(table.threads)
        self._hook: ImportHook | None = None
        self._frame = _Held(annotate.frame())
        self._warmup = _number(value_of(table.warmup, self._values))
        self.frame_hook: TorchHook | None = None
        """Called for every frame after the warm-up, before it begins."""
        self._gaps = [(gap, _Held(annotate.span(gap.phase))) for gap in table.between]

    @property
    def iterations(self) -> int:
        """How many frames of the loop have begun."""
        return self._frame.times

    def install(self) -> None:
        """Patch what is imported already, and the rest when it is."""
        wanted = {name[:at] for name in self._pending for at, letter in enumerate(name) if letter == "."}
        self._hook = ImportHook(wanted, self._imported)
        self._hook.install()
        self._threads.install()
        self._imported("")
        for gap, opened in self._gaps:
            if gap.after == START:
                opened.open()

    def uninstall(self) -> None:
        """Put everything back, end what is open, say what was not there."""
        if self._hook is None:
            return
        self._hook.uninstall()
        self._hook = None
        self._threads.uninstall()
        self._end_frame()
        for _, opened in self._gaps:
            opened.close()
        self._patches.undo()
        self.facts = self._seen.values()
        self.warnings += self._seen.problems
        optional = {phase.name for phase in self.table.phases if phase.optional}
        self.warnings += [self._missing(name) for name in self._pending if name not in optional]

    def __enter__(self) -> Instrument:
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.uninstall()

    def bound(self, name: str) -> None:
        """Tell that the main module has just bound ``name`` (boot does this; no import tells it)."""
        self._imported(MAIN, f"{MAIN}.{name}")

    def _imported(self, module: str, beginning: str = "") -> None:
        """Patch what can be patched now that ``module`` (any, if empty) has been imported."""
        for name in tuple(self._pending):
            if name.startswith(beginning or module):
                site = find(name)
                if isinstance(site, Site):
                    self._pending.remove(name)
                    self._patch(name, of_constructor(site))

    def _patch(self, name: str, site: Site) -> None:
        if self._patches.has(site.raw):
            return  # bound by name from a module where it is measured already
        try:
            self._patches.put(site, replaced(site, lambda call: self._around(name, call)))
            self.measured.append(name)
        except TypeError as error:
            self.warnings.append(f"{name} is not measured: {error}")

    def _missing(self, name: str) -> str:
        """Why a name was not measured, and who has it."""
        found = find(name)
        text = f"{name} is not measured: {found if isinstance(found, str) else 'it came too late'}"
        if self.table.distribution:
            text += f", in {self.table.distribution} {_version(self.table.distribution)}"
        phase = next((phase for phase in self.table.phases if phase.name == name), None)
        versions = (phase.versions if phase is not None else "") or self.table.versions
        return text + (f" (versions that have it: {versions})" if versions else "")

    # -- what happens around one call -----------------------------------------------------------

    def _around(self, name: str, call: Call) -> Call:
        """``call`` with everything that the table says about ``name``."""
        phase = next((phase.phase for phase in self.table.phases if phase.name == name), None)
        changes = [change for change in self.table.changes if change.name == name and change.applies(self.mode)]
        hooks = self._hooks(name, call, all(change.keeps_result for change in changes))
        made = call
        for change in changes:
            made = changed(made, change, self._values)
        if phase is None or not all(change.call for change in changes):
            return wrapped(made, None, hooks, like=call) if hooks else made
        return wrapped(made, annotate.span(phase), hooks, like=call)

    def _hooks(self, name: str, call: Call, keeps_result: bool) -> Hooks:
        table, hooks = self.table, Hooks()
        until = [regardless(opened.close) for gap, opened in self._gaps if gap.until == name]
        marks = [(self._mark(segment), late) for segment, at, late in table.segments if at == name]
        hooks.before += [*until, *(mark for mark, late in marks if not late)]
        hooks.closing += until
        if name in (table.frame, table.frame_begins):
            hooks.before.append(regardless(self._begin_frame))
        if name == table.frame:
            hooks.after.append(regardless(self._end_frame))
        if name == table.frame_ends:
            hooks.closing.append(regardless(self._end_frame))
        hooks.after += [mark for mark, late in marks if late]
        if keeps_result:  # what follows a call that was not made, or whose result is dropped, is another thing
            hooks.opening += [regardless(opened.open) for gap, opened in self._gaps if gap.after == name]
        for seen in table.observe:
            if seen.at == name:
                (hooks.before if seen.when == "call" else hooks.after).append(observer(seen, call, self._seen))
        if table.episodes is not None and name == table.episodes.at:
            hooks.opening.append(step_observer(table.episodes, call, self.episodes, self._seen))
        if table.episodes is not None and name == table.episodes.resets:
            hooks.before.append(regardless(self.episodes.reset))
        return hooks

    def _begin_frame(self) -> None:
        self._end_frame()
        if not self.table.has_segment("loop") and self.iterations in (0, self._warmup):
            annotate.segment("warmup" if self.iterations < self._warmup else "loop")
        if self.frame_hook is not None and self._frame.here and self.iterations >= self._warmup:
            self.frame_hook.frame(self.iterations - self._warmup)
        self._frame.open()

    def _end_frame(self) -> None:
        for gap, opened in self._gaps:
            if not gap.until:
                opened.close()
        self._frame.close()

    def _mark(self, segment: str) -> Hook:
        """Begins a segment, once."""
        begun = False

        def mark() -> None:
            nonlocal begun
            if not begun:
                begun = True
                self._end_frame()
                annotate.segment(segment)

        return regardless(mark)


def _number(value: JsonValue) -> int:
    return int(value) if isinstance(value, (int, float, str)) and value else 0


def _version(distribution: str) -> str:
    from importlib import metadata  # takes 20 ms, and is needed only where a name is missing

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed as a package)"
