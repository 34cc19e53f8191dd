"""The collectors of one run, as the launcher sees them: whatever one of them does wrong is a warning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..run_folder import JsonObject
from .base import Collector

Result = TypeVar("Result")


class Team:
    """Calls each collector in turn. One that raises is left out from then on, but for its ``finish``."""

    def __init__(self, collectors: Sequence[Collector], run_dir: Path) -> None:
        self.collectors = tuple(collectors)
        self.warnings: list[str] = []
        self._run_dir = run_dir
        self._left_out: set[str] = set()

    def _ask(self, collector: Collector, what: str, call: Callable[[], Result], otherwise: Result) -> Result:
        try:
            return call()
        except Exception as error:  # noqa: BLE001  (a failing collector never ends the experiment)
            self._left_out.add(collector.name)
            self.warnings.append(f"{collector.name} failed ({what}): {type(error).__name__}: {error}")
            return otherwise

    def command(self, command: list[str]) -> list[str]:
        """The measured process's command, wrapped by each tool that must start it; the first is innermost."""
        for collector in self.collectors:
            command = self._ask(collector, "command", partial(collector.command, command, self._run_dir), command)
        return command

    def environment(self) -> dict[str, str]:
        """What the tools add to the environment."""
        merged: dict[str, str] = {}
        nothing: dict[str, str] = {}
        for collector in self._in():
            merged |= self._ask(collector, "environment", partial(collector.environment, self._run_dir), nothing)
        return merged

    def attach(self, pid: int) -> None:
        """The measured process runs."""
        for collector in self._in():
            self._ask(collector, "attach", partial(collector.attach, pid, self._run_dir), None)

    def finish(self) -> None:
        """The measured process has ended. Ctrl-C gives up the collector that is finishing."""
        for collector in self.collectors:
            try:
                self.warnings += self._ask(collector, "finish", partial(collector.finish, self._run_dir), [])
            except KeyboardInterrupt:
                self.warnings.append(f"{collector.name}: interrupted before it had finished; its files are incomplete")

    def _in(self) -> list[Collector]:
        return [collector for collector in self.collectors if collector.name not in self._left_out]

    def described(self) -> JsonObject:
        """Fields of the run's manifest: the collectors."""
        return {
            "collectors": [collector.name for collector in self.collectors],
            "observer": any(collector.intrusive for collector in self.collectors),
        }

    def outcome(self) -> JsonObject:
        """Fields of the run's manifest: what became of it."""
        nothing: JsonObject | None = {}
        said = {one.name: self._ask(one, "facts", one.facts, nothing) for one in self.collectors}
        facts: JsonObject = {name: its for name, its in said.items() if its is not None}
        return {"collect": facts, "collector_warnings": list(self.warnings)}

    def calmer(self) -> tuple[Collector, ...] | None:
        """The collectors with which the run is worth another try, None if it is not."""
        calmer = {
            collector.name: gentler
            for collector in self.collectors
            if (gentler := self._ask(collector, "retry", collector.calmer, None)) is not None
        }
        return tuple(calmer.get(one.name, one) for one in self.collectors) if calmer else None
