"""What pip installs: help without any extra, one line where one is missing, no slow import before it is needed."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from motrace.cli import COMMANDS
from motrace.errors import EXTRAS
from tests.conftest import ROOT

SLOW = EXTRAS["analyze"].split() + EXTRAS["workload"].split()


@pytest.fixture(scope="module")
def motrace_command(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The wheel's ``motrace`` in a virtual environment without any other package."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "src/motrace", source / "src/motrace", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    options = ("--no-deps", "--no-index")
    subprocess.run((*pip, "wheel", *options, "--no-build-isolation", "-w", str(folder), str(source)), check=True)
    (wheel,) = folder.glob("motrace-*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv/bin/python"
    subprocess.run((*pip, "--python", str(python), "install", *options, str(wheel)), check=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = (str(folder / "venv/bin/motrace"), *words)
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60)

    return run


def test_help_needs_no_extra(motrace_command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    for words in (("--help",), ("--version",), *((name, "--help") for name in COMMANDS)):
        done = motrace_command(*words)
        assert done.returncode == 0 and not done.stderr and done.stdout, words


@pytest.mark.parametrize(
    "words",
    [
        ("analyze", "."),
        ("analyze", ".", "--sums"),
        ("compare", ".", "."),
        ("record",),
        ("record", "--mode", "none"),
        ("record", "--instrument", "x.toml", "--", "python", "x.py"),
        ("sweep",),
        ("sweep", "--analyze", "."),
    ],
)
def test_a_missing_extra_is_named(
    motrace_command: Callable[..., subprocess.CompletedProcess[str]], words: tuple[str, ...]
) -> None:
    done = motrace_command(*words)
    assert done.returncode == 1 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and "pip install 'motrace[analyze]'" in done.stderr


def test_wrong_usage_is_told_without_extras(
    motrace_command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = motrace_command("analyze", "--no-such-option")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_slow(run_program: Callable[..., subprocess.CompletedProcess[str]], name: str) -> None:
    program = (
        "import contextlib, sys; from motrace.cli import main\n"
        f"with contextlib.suppress(SystemExit): main([{name!r}, '--help'])\n"
        f"print('slow:', *sorted(set(sys.modules) & set({SLOW!r})))"
    )
    assert run_program("-c", program).stdout.splitlines()[-1] == "slow:"


def test_analyze_imports_scipy_only_where_it_is_needed(
    run_program: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    told = run_program("-c", "import sys, motrace.commands.analyze as a; print('scipy' in sys.modules)")
    assert told.stdout.split() == ["False"]


def test_reading_and_attributing_need_no_pandas(
    run_program: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """pyarrow would import it with its first array; where it is asked for, it works as ever."""
    program = """
import sys
from pathlib import Path
from motrace.attribution.run import analyse_run
from motrace.attribution.tables import build_tables
from motrace.dataset.dataset import Dataset
from motrace.ingest.discover import find
from motrace.ingest.load_run import read_run
imported = {"pandas", "scipy", "pyarrow.dataset"} & set(sys.modules)
from motrace.commands.pandas_later import pandas_later
pandas_later()
home, scratch = Path(sys.argv[1]), Path(sys.argv[2])
for number, run in enumerate(find([home], scratch)[home].runs):
    tables = build_tables(analyse_run(*read_run(run, scratch / str(number))))
needed = {"pandas", "scipy"} & set(sys.modules)
tables["frames"].to_pandas()
import pandas
import pyarrow
print(len(imported), len(needed), pyarrow.array(pandas.Series([1.0, None])).null_count)
"""
    done = run_program("-c", program, ROOT / "traces/nsys-llvmpipe", tmp_path)
    assert done.stdout.split() == ["0", "0", "1"]


def test_every_extra_that_is_told_brings_its_packages() -> None:
    """``EXTRAS`` is pyproject.toml's, by module."""
    if sys.version_info < (3, 11):
        pytest.skip("tomllib is newer")
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules = {"nvidia_ml_py": "pynvml", "motrixsim_core": "motrixsim"}
    for extra, told in EXTRAS.items():
        names = {name.split(">")[0].replace("-", "_") for name in declared[extra] if not name.startswith("motrace")}
        assert {modules.get(name, name) for name in names} == set(told.split())


def test_motrix_that_is_not_installed_is_no_driver_trouble(tmp_path: Path) -> None:
    from motrace.errors import MotraceError
    from motrace.workloads.probe import probe_adapter

    venv.create(tmp_path / "venv", with_pip=False)
    with pytest.raises(MotraceError, match="Motrix is not installed") as told:
        probe_adapter(str(tmp_path / "venv/bin/python"))
    assert "Vulkan" not in str(told.value)


def test_messages_name_the_command_that_is_there(tmp_path: Path) -> None:
    """A checkout's ``tools`` is in no wheel."""
    script = Path(sys.executable).with_name("motrace")
    for words, told in (
        ((script, "analyze", tmp_path), "`motrace record`"),
        ((script, "record", "--nonsense"), "`motrace record --help`"),
        ((sys.executable, "-m", "tools.analyze", tmp_path), "`python -m tools.run_record`"),
        ((sys.executable, "-m", "tools.run_record", "--nonsense"), "`python -m tools.run_record --help`"),
    ):
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
        assert told in done.stderr, done.stderr
    for path in (ROOT / "src").rglob("*.py"):
        texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        naming = [text for text in texts if isinstance(text, str) and "python -m tools." in text and "``" not in text]
        assert not naming or path.name == "errors.py", f"{path}: {naming}"


def test_a_wheel_names_its_own_command(motrace_command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = motrace_command("record", "--nonsense")
    assert done.returncode == 2 and "`motrace record --help`" in done.stderr
