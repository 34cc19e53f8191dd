"""Measuring from outside: what is called is a span, what is returned is untouched, nothing stays behind."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import importlib
import inspect
import json
import subprocess
import sys
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

import motrace
from motrace.attribution.pieces import collect_segments
from motrace.errors import UsageError
from motrace.readers.recording import read_recording
from motrace.record.instrument import Instrument
from motrace.record.table import parse
from tests.programs import target
from tests.record.test_spans import names

HERE = "tests.programs.target"


def instrument(mode: str = "record", values: dict[str, Any] | None = None, **data: Any) -> Instrument:
    """An instrument of names in the target; a name without a dot is one of its own."""
    phases = {
        name if name.count(".") > 2 else f"{HERE}.{name}": phase for name, phase in data.pop("phases", {}).items()
    }
    return Instrument(parse({"phases": phases, **data}, "the test"), mode, values)


def everything() -> dict[str, Any]:
    """Every attribute of the target and of its classes, by identity."""
    found = {name: id(value) for name, value in vars(target).items()}
    for cls in (target.Base, target.Robot, target.Robot.Part):
        found |= {f"{cls.__name__}.{name}": id(value) for name, value in vars(cls).items()}
    return found


def test_a_function_keeps_its_arguments_result_and_exception(recording: Path) -> None:
    with instrument(phases={"add": "sum", "fails": "failure"}):
        assert target.add(1, b=2, c=3) == 6
        with pytest.raises(LookupError, match="as it should"):
            target.fails()
    target.add(1)
    motrace.stop()
    assert names(recording) == [("sum", None, True), ("failure", None, True)]


def test_a_measured_function_looks_like_itself() -> None:
    original = target.add
    with instrument(phases={"add": "sum", "Robot.step": "step"}):
        assert target.add is not original and target.add.__wrapped__ is original
        assert inspect.signature(target.add) == inspect.signature(original)
        assert (target.add.__doc__, target.add.__qualname__, target.add.__module__) == ("Adds.", "add", HERE)
        assert inspect.signature(target.Robot.step).parameters["by"].default == 1


def test_methods_of_every_kind(recording: Path) -> None:
    kinds = ("step", "still", "make", "title", "costly", "inherited")
    with instrument(phases={**{f"Robot.{name}": name for name in kinds}, "Robot.Part.turn": "turn"}):
        robot = target.Robot.make()
        assert isinstance(vars(target.Robot)["still"], staticmethod)
        assert isinstance(vars(target.Robot)["make"], classmethod)
        assert (
            isinstance(vars(target.Robot)["title"], property)
            and target.Robot.title.__doc__ == "Its name, written large."
        )
        assert isinstance(vars(target.Robot)["costly"], functools.cached_property)
        assert (robot.step(by=3), robot.still(4), target.Robot.still(5)) == ("made3", 4, 5)
        assert (robot.title, robot.costly, robot.costly, robot.inherited()) == ("MADE", 4, 4, "Robot")
        assert target.Robot.Part().turn() == 360
        assert target.Base().inherited() == "Base"
    motrace.stop()
    called = ["make", "step", "still", "still", "title", "costly", "inherited", "turn"]
    assert [name for name, _, _ in names(recording)] == called


def test_calling_a_class_is_its_constructor(recording: Path) -> None:
    with instrument(phases={"Robot": "construct"}):
        robot = target.Robot("x")
        assert isinstance(robot, target.Robot) and inspect.isclass(target.Robot)
    motrace.stop()
    assert names(recording) == [("construct", None, True)]


def test_a_generator_is_measured_while_its_body_runs(recording: Path) -> None:
    with instrument(phases={"count": "count"}):
        assert inspect.isgeneratorfunction(target.count)
        numbers = target.count(3)
        assert next(numbers) == 0
        with motrace.span("between"):
            functools.reduce(lambda a, b: a + b, range(200_000))
        assert numbers.send("heard") == 1
        assert numbers.throw(KeyError("thrown")) == 2
        with pytest.raises(StopIteration) as stop:
            numbers.send(None)
        left_alone = target.count(3)
        next(left_alone)
        left_alone.close()
    motrace.stop()
    assert stop.value.value == "['heard', \"KeyError('thrown')\", None]"
    found = names(recording)
    assert found.count(("count", None, True)) == 6, "four resumptions, one and the close of the second"
    assert ("between", None, True) in found, "nobody is inside the generator between two resumptions"


async def meanwhile() -> None:
    """What others do while a coroutine sleeps."""
    with motrace.span("meanwhile"):
        pass


def test_a_coroutine_is_measured_while_its_body_runs(recording: Path) -> None:
    async def main() -> list[int]:
        first, second, _ = await asyncio.gather(target.fetch(1), target.fetch(2), meanwhile())
        return [first, second]

    with instrument(phases={"fetch": "fetch"}):
        assert inspect.iscoroutinefunction(target.fetch)
        assert asyncio.run(main()) == [1, 2]
    motrace.stop()
    fetch, other = ("fetch", None, True), ("meanwhile", None, True)
    assert names(recording) == [fetch, fetch, other, fetch, fetch], "up to its sleep, and after it, but not asleep"


def test_an_asynchronous_generator_is_measured_while_its_body_runs(recording: Path) -> None:
    async def main() -> list[int]:
        other = asyncio.create_task(meanwhile())
        found = [number async for number in target.stream(3)]
        await other
        return found

    with instrument(phases={"stream": "stream"}):
        assert inspect.isasyncgenfunction(target.stream)
        assert asyncio.run(main()) == [0, 1, 2]
    motrace.stop()
    found = names(recording)
    assert found[:2] == [("stream", None, True), ("meanwhile", None, True)] and ("stream", None, True) in found[2:]


def test_a_name_that_another_module_bound_is_measured_there(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "binds_add.py").write_text(f"from {HERE} import add as plus\ndef twice(x): return plus(plus(x))\n")
    sys.path.insert(0, str(tmp_path))
    try:
        import binds_add  # type: ignore[import-not-found]

        with Instrument(parse({"phases": {"binds_add.plus": "plus"}}, "x")):
            assert binds_add.twice(1) == 3
            target.add(1)
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["binds_add"]
    motrace.stop()
    assert [name for name, _, _ in names(recording)] == ["plus", "plus"]


def test_nothing_is_imported_early_and_modules_are_patched_when_they_come(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "comes_late.py").write_text("import importlib.util\nLOADER = __spec__.loader\ndef work(): return 7\n")
    (tmp_path / "binds_late.py").write_text("from comes_late import work\n")
    sys.path.insert(0, str(tmp_path))
    before = list(sys.meta_path)
    try:
        with Instrument(parse({"phases": {"comes_late.work": "work"}}, "x")):
            assert "comes_late" not in sys.modules
            late, binds = importlib.import_module("comes_late"), importlib.import_module("binds_late")
            assert (late.work(), binds.work()) == (7, 7)
            assert late.LOADER is late.__spec__.loader is late.__loader__
            assert type(late.LOADER) is SourceFileLoader, "the module sees its own loader"
        assert late.work is binds.work and not hasattr(late.work, "__wrapped__"), "copies are put back too"
    finally:
        sys.path.remove(str(tmp_path))
        for name in ("comes_late", "binds_late"):
            sys.modules.pop(name, None)
    motrace.stop()
    assert sys.meta_path == before
    assert [name for name, _, _ in names(recording)] == ["work", "work"]


def test_everything_is_put_back() -> None:
    before = everything()
    kinds = ("step", "still", "make", "title", "costly", "inherited", "__init__")
    functions = ("add", "count", "fetch", "stream", "capture")
    phases = {**{f"Robot.{name}": "x" for name in kinds}, **{name: "x" for name in functions}, "Robot.Part.turn": "x"}
    made = instrument(phases=phases, change=[{"name": f"{HERE}.capture", "call": False}])
    for _ in range(2):
        with made:
            assert everything() != before
        assert everything() == before
        made = instrument(phases=phases)
    with pytest.raises(KeyError), made:
        raise KeyError
    assert everything() == before


def test_what_the_program_puts_there_stays() -> None:
    original = target.add
    try:
        with instrument(phases={"add": "sum"}):
            target.add = len  # type: ignore[assignment]
        assert target.add is len
    finally:
        target.add = original


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"{HERE}.not_there", f"{HERE} has no not_there"),
        (f"{HERE}.Robot.not_there", f"{HERE}.Robot has no not_there"),
        ("tests.programs.nowhere.f", "tests.programs has no nowhere"),
        ("no_such_package.module.f", "no_such_package.module was not imported"),
        (f"{HERE}.NAP_S", "it is a float, which can't be called"),
        ("builtins.int.bit_length", "its attributes can't be set"),
    ],
)
def test_a_name_that_can_not_be_measured_is_one_warning(name: str, reason: str) -> None:
    data = {
        "program": {"distribution": "pytest", "versions": "all of them"},
        "phases": {name: {"phase": "x", "versions": "pytest 99"}},
    }
    with Instrument(parse(data, "x")) as made:
        pass
    (warning,) = made.warnings
    assert warning.startswith(f"{name} is not measured: ") and reason in warning
    if "can't be" not in reason:
        assert f"in pytest {pytest.__version__} (versions that have it: pytest 99)" in warning


def test_an_optional_name_may_be_missing() -> None:
    with instrument(phases={"not_there": {"phase": "x", "optional": True}}) as made:
        pass
    assert made.warnings == []


LOOP: dict[str, Any] = {
    "phases": {"act": "step", "capture": "capture", "encode": "encode"},
    "frame": {"begins": f"{HERE}.act", "ends": f"{HERE}.loop", "warmup": "$warmup"},
    "segments": {"drain": f"{HERE}.encode", "shutdown": {"after": f"{HERE}.loop"}},
    "between": [
        {"phase": "imports", "after": "start", "until": f"{HERE}.loop"},
        {"phase": "copy", "after": f"{HERE}.capture"},
    ],
}


def test_turns_segments_and_the_time_between_calls(recording: Path) -> None:
    with instrument(values={"warmup": 1}, **LOOP) as made:
        assert target.loop(3) == [0, 4, 8]
        assert made.iterations == 3
    motrace.stop()
    turn = [("frame", None, True), ("step", "frame", True), ("capture", "frame", True), ("copy", "frame", True)]
    assert names(recording) == [("imports", None, True), *turn, *turn, *turn, ("encode", None, True)]
    segments = [segment.name for segment in collect_segments(read_recording(recording))]
    assert segments == ["startup", "warmup", "loop", "drain", "shutdown"]


def test_a_call_can_be_the_turn(recording: Path) -> None:
    with instrument(phases={"act": "step"}, frame=f"{HERE}.act") as made:
        target.loop(2)
    motrace.stop()
    assert made.iterations == 2
    assert names(recording) == [("frame", None, True), ("step", "frame", True)] * 2


def test_a_turn_ends_where_its_loop_fails(recording: Path) -> None:
    with instrument(values={"warmup": 0}, **LOOP), pytest.raises(TypeError):
        target.loop("three")  # type: ignore[arg-type]
    motrace.stop()
    assert all(closed for _, _, closed in names(recording))


@pytest.mark.parametrize(
    ("mode", "kept", "phases"),
    [
        ("none", [1, 1], {"imports", "frame", "step", "encode"}),
        ("capture", [1, 1], {"imports", "frame", "step", "capture", "encode"}),
        ("record", [0, 7], {"imports", "frame", "step", "capture", "copy", "encode"}),
    ],
)
def test_calls_that_are_made_otherwise(recording: Path, mode: str, kept: list[int], phases: set[str]) -> None:
    capture = f"{HERE}.capture"
    change = [
        {"name": capture, "arguments": {"width": "$width"}},
        {"name": capture, "modes": ["none"], "call": False, "result": 1},
        {"name": capture, "modes": ["capture"], "result": 1},
    ]
    with instrument(mode, {"warmup": 0, "width": 7}, **LOOP, change=change):
        assert target.loop(2) == kept
    motrace.stop()
    assert {name for name, _, _ in names(recording)} == phases


def test_arguments_are_changed_however_they_are_passed() -> None:
    change = [{"name": f"{HERE}.add", "arguments": {"b": 100}}]
    with instrument(change=change):
        assert (target.add(1, 2), target.add(1, b=2), target.add(a=1), target.add(1, c=1)) == (101, 101, 101, 102)


def test_facts_are_kept_from_calls(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(b"weights")
    at = f"{HERE}.Robot.step"
    observe = [
        {"fact": "who", "at": at, "value": "self.name"},
        {"fact": "by", "at": at, "value": "by"},
        {"fact": "state", "at": at, "value": "self.state", "as": "digest", "when": "return"},
        {"fact": "model", "at": f"{HERE}.parse", "value": "text", "as": "file"},
        {"fact": "no such", "at": at, "value": "self.nothing.below"},
    ]
    robot = target.Robot("r2")
    robot.state = memoryview(b"12")  # type: ignore[attr-defined]
    with instrument(observe=observe) as made:
        robot.step(by=5)
        robot.step()
        with pytest.raises(json.JSONDecodeError):
            target.parse(str(file))
    assert made.facts == {
        "who": "r2",
        "by": 5,
        "state": hashlib.sha256(b"1212").hexdigest(),
        "model": {"path": "model.pt", "sha256": hashlib.sha256(b"weights").hexdigest()},
    }
    assert len(made.warnings) == 1, made.warnings
    (problem,) = made.warnings
    assert problem.startswith("no such is not known: self.nothing.below of") and "AttributeError" in problem


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "names nothing to measure"),
        ({"phase": {}}, "there is no key 'phase'; choose from program, phases"),
        (
            {"phases": {"a.b": "x", "frame": "a.b"}},
            "frame stands below [phases]: move it above",
        ),
        ({"phases": {"plain": "x"}}, "'plain' is not a dotted name"),
        ({"phases": {"a.b-c": "x"}}, "'a.b-c' is not a dotted name"),
        ({"phases": {"a.b": 3}}, "[phases] a.b: must be a table, not int"),
        ({"phases": {"a.b": {"versions": "1"}}}, "[phases] a.b: phase is missing"),
        ({"phases": {"a.b": {"phase": "x", "of": "y"}}}, "[phases] a.b: there is no key 'of'"),
        ({"phases": {"a.b": "x"}, "frame": 3}, "frame can't be a int"),
        ({"between": [{"phase": "x"}]}, "[[between]] after is missing"),
        ({"change": [{"name": "a.b", "modes": "none"}]}, "[[change]] modes can't be a str"),
        ({"observe": [{"fact": "f", "at": "a.b", "value": "c", "as": "picture"}]}, "as is one of text, file, digest"),
        ({"segments": {"loop": {"before": "a.b"}}}, "[segments] loop: there is no key 'before'"),
    ],
)
def test_a_table_that_makes_no_sense_is_one_line(data: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(data, "file.toml")
    text = str(error.value)
    assert text.startswith("file.toml: ") and message in text and "\n" not in text


@pytest.mark.motrix
def test_native_classes(recording: Path) -> None:
    """pyo3's classes: methods, attributes, and a class that a module has bound by name."""
    from motrixsim import render

    from motrace.workloads import motrix_camera

    classes = (render.RenderApp, render.Image, render.SystemCamera, render.CaptureTask)
    before = [{name: id(value) for name, value in vars(cls).items()} for cls in classes]
    bound = motrix_camera.RenderSettings
    where = "motrace.workloads.motrix_camera.RenderSettings"
    phases = {
        "motrixsim.render.RenderApp.sync": "wait",
        "motrixsim.render.Image.pixels": "take",
        "motrixsim.render.RenderSettings.performance": "settings",
        where: "construct",
    }
    with Instrument(parse({"phases": phases}, "x")) as made:
        assert isinstance(vars(render.Image)["pixels"], property) and "numpy" in render.Image.pixels.__doc__
        assert "wait" in inspect.signature(render.RenderApp.sync).parameters
        with pytest.raises(TypeError):
            render.RenderApp.sync(3)
        settings = [False] * 5
        stands_for = motrix_camera.RenderSettings
        assert not isinstance(stands_for, type) and stands_for == bound
        assert isinstance(stands_for(*settings), bound) and isinstance(bound(*settings), stands_for)
        assert isinstance(stands_for.performance(), bound), "attributes of the class are there"
    assert made.warnings == []
    assert motrix_camera.RenderSettings is bound
    assert [{name: id(value) for name, value in vars(cls).items()} for cls in classes] == before
    assert isinstance(vars(render.Image)["pixels"], types.GetSetDescriptorType)
    motrace.stop()
    assert {"wait", "construct", "settings"} <= {name for name, _, _ in names(recording)}


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
def test_other_pythons(version: str, tmp_path: Path) -> None:
    """What enters the interpreter of another program needs nothing but its standard library."""
    from motrace.workloads.process import program_command
    from motrace.workloads.program import write_plan

    python = _python(version)
    (tmp_path / "run.json").write_text(json.dumps({"run_id": "x", "status": "running"}))
    table = {
        "phases": {"json.loads": "parse", "__main__.Thing.work": "work", "__main__.numbers": "numbers"},
        "frame": "__main__.Thing.work",
    }
    write_plan(tmp_path, table, "custom", {})
    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys\n"
        "class Thing:\n    def work(self): return json.loads('[1]') + list(numbers())\n"
        "def numbers():\n    yield 2\n"
        "assert Thing().work() == [1, 2] and sys.argv[1:] == ['--its', 'own']\n"
        "assert 'numpy' not in sys.modules and sys.path[0] == __file__.rpartition('/')[0]\n"
    )
    command = program_command((python,), (str(program), "--its", "own"), tmp_path)
    done = subprocess.run(command.argv, env=command.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run.json").read_text())
    assert manifest["status"] == "completed" and manifest["instrument"]["warnings"] == []
    found = [name for name, _, _ in names(tmp_path)]
    assert found == ["frame", "work", "parse", "numbers", "numbers"]


def _python(version: str) -> str:
    """An interpreter of a version that works, wherever this machine has it; skips where there is none."""
    import shutil

    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}"))
    for found in (shutil.which(f"python{version}"), *map(str, beside)):
        if found and subprocess.run([found, "-c", "import nothing_such"], capture_output=True).returncode == 1:
            return found
    pytest.skip(f"no Python {version} here")
