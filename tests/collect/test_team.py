"""A collector that does not work is a warning; one that works sees the run from its start to its end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from motrace import run_folder
from motrace.collect.base import Collector
from motrace.collect.registry import COLLECTORS, Settings, make, names
from motrace.collect.team import Team
from motrace.commands.passes import plan_runs
from motrace.errors import UsageError
from motrace.workloads.launch import launch
from motrace.workloads.options import Options
from motrace.workloads.watch import Interrupts
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("_in_the_repository")
PLAIN = "tests.programs.workloads:Plain"


@pytest.fixture
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # workloads are searched in the current folder


class Notes(Collector):
    """Rides along and notes what it is told."""

    name = "notes"
    intrusive = False

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def missing(self) -> str | None:
        return None

    def command(self, command: list[str], run_dir: Path) -> list[str]:
        return command

    def environment(self, run_dir: Path) -> dict[str, str]:
        return {"MOTRACE_TEST_NOTE": "x"}

    def attach(self, pid: int, run_dir: Path) -> None:
        self.seen.append((pid, b"MOTRACE_TEST_NOTE=x" in Path(f"/proc/{pid}/environ").read_bytes()))
        (run_dir / "attached").touch()

    def finish(self, run_dir: Path) -> list[str]:
        self.seen.append(Path(f"/proc/{self.seen[0][0]}").exists())
        return ["a warning of its own"]

    def facts(self) -> dict[str, Any]:
        return {"version": "1"}


class Wraps(Notes):
    """Starts the process itself: env(1) replaces itself, sh(1) stays."""

    def command(self, command: list[str], run_dir: Path) -> list[str]:
        return ["/bin/sh", "-c", '"$@"; echo a line of its own; exit $?', "sh", *command]


class Broken(Notes):
    """Raises whatever it is asked."""

    name = "broken"

    def __getattribute__(self, name: str) -> Any:
        if name in ("command", "environment", "attach", "finish", "facts"):
            return self._raise
        return super().__getattribute__(name)

    def _raise(self, *args: Any) -> Any:
        raise ValueError("it always does")


def run(tmp_path: Path, *collectors: Any, workload: str = PLAIN) -> tuple[Any, dict[str, Any]]:
    ended = launch(
        tmp_path / "01-none",
        Options(workload=workload, mode="none", frames=100),
        {"run_id": "01-none"},
        Interrupts(),
        lambda frames: None,
        60.0,
        collectors,
    )
    return ended, json.loads((tmp_path / "01-none" / run_folder.RUN_FILE).read_text())


@pytest.mark.parametrize("kind", [Notes, Wraps])
def test_a_collector_sees_the_measured_process(tmp_path: Path, kind: type[Notes]) -> None:
    collector = kind()
    ended, manifest = run(tmp_path, collector, workload="tests.programs.workloads:Awaits")
    assert ended.status == run_folder.COMPLETED and manifest["exit_code"] == 0
    pid = manifest["process"]["pid"]
    assert collector.seen == [(pid, True), False], "attached to the worker while it ran, finished after it"
    assert manifest["collectors"] == ["notes"] and manifest["observer"] is False
    assert manifest["collect"] == {"notes": {"version": "1"}}
    assert manifest["collector_warnings"] == list(ended.warnings) == ["a warning of its own"]
    assert manifest["resources"]["cpu_ns"] > 10_000_000 and manifest["resources"]["max_rss_bytes"] > 10_000_000


def test_one_that_fails_is_a_warning_and_the_others_go_on(tmp_path: Path) -> None:
    good = Notes()
    ended, manifest = run(tmp_path, Broken(), good)
    assert ended.status == run_folder.COMPLETED and not ended.wrong_usage
    assert len(good.seen) == 2
    failures = [text for text in manifest["collector_warnings"] if text.startswith("broken failed")]
    assert len(failures) == 3 and all("ValueError: it always does" in text for text in failures)


@pytest.mark.parametrize(
    ("workload", "reason"),
    [("Exits", "the process ended with status 7: last words"), ("Killed", "killed by SIGKILL")],
)
def test_the_measured_process_decides_how_the_run_ended(tmp_path: Path, workload: str, reason: str) -> None:
    """Not the tool around it: here a shell, whose own last words come later."""

    class Passes(Wraps):
        def command(self, command: list[str], run_dir: Path) -> list[str]:
            wait = f'while [ ! -e "{run_dir}/finishing" ]; do sleep 0.02; done'
            return ["/bin/sh", "-c", f'"$@"; code=$?; {wait}; echo mine; exit $code', "sh", *command]

        def finish(self, run_dir: Path) -> list[str]:
            (run_dir / "finishing").touch()
            return super().finish(run_dir)

    ended, manifest = run(tmp_path, Passes(), workload=f"tests.programs.workloads:{workload}")
    assert ended.status == run_folder.CRASHED and reason in ended.reason
    assert manifest["exit_code"] == (7 if workload == "Exits" else -9)


def test_a_tool_that_does_not_start_the_process(tmp_path: Path) -> None:
    class Refuses(Notes):
        def command(self, command: list[str], run_dir: Path) -> list[str]:
            return [sys.executable, "-c", "print('no such flag'); print('usage'); raise SystemExit(2)"]

        def finish(self, run_dir: Path) -> list[str]:
            return []

    ended, manifest = run(tmp_path, Refuses())
    assert ended.status == run_folder.CRASHED
    assert ended.reason == "the tool that should start the process did not: no such flag"
    assert manifest["exit_code"] == 2


def test_a_tool_that_is_not_there(tmp_path: Path) -> None:
    class Gone(Notes):
        def command(self, command: list[str], run_dir: Path) -> list[str]:
            return [str(tmp_path / "gone"), *command]

        def finish(self, run_dir: Path) -> list[str]:
            return []

    ended, manifest = run(tmp_path, Gone())
    assert ended.status == manifest["status"] == run_folder.CRASHED
    assert "could not be started (No such file or directory)" in ended.reason


def test_unprofiled_runs_come_first_and_each_intrusive_collector_has_a_pass() -> None:
    class Disturbs(Notes):
        name = "disturbs"
        intrusive = True

    planned = plan_runs(["record", "none", "none", "record"], [Disturbs(), Notes()])
    assert [one.run_id for one in planned] == ["01-record", "02-none", "03-none", "04-record", "05-record-disturbs"]
    assert [one.collectors for one in planned] == [("notes",)] * 4 + [("notes", "disturbs")]
    assert [one.intrusive for one in planned] == [False] * 4 + [True]
    assert [one.run_id for one in plan_runs(["none"], [Disturbs()])] == ["01-none", "02-none-disturbs"]


def test_names_are_checked() -> None:
    assert names(" nsys ,nsys") == ("nsys",)
    for wrong in ("", ",", "nsys,none"):
        with pytest.raises(UsageError, match="choose from"):
            names(wrong)


@pytest.mark.parametrize("name", COLLECTORS)
def test_every_collector_bears_its_name(name: str) -> None:
    collector = make(name, Settings())
    assert collector.name == name and isinstance(collector.intrusive, bool)
    assert Team([collector], Path()).described() == {"collectors": [name], "observer": collector.intrusive}
