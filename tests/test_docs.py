"""The docs are true: every command and option is in them, every command in them parses, tables are as declared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from motrace.analysis import load
from motrace.cli import COMMANDS
from motrace.dataset import tables
from motrace.errors import MotraceError
from tests.conftest import ROOT
from tools import make_docs

PARSERS = {make().prog: make for make in COMMANDS.values()}
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def commands(text: str) -> list[str]:
    """Command lines of a page's code blocks."""
    blocks = re.findall(r"```(?:bash|sh)?\n(.*?)```", text, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def tool_commands() -> list[tuple[str, str]]:
    return [
        (page.name, line)
        for page in PAGES
        for line in commands(page.read_text())
        if re.match(r"(nsys profile .*)?python -m tools\.\w+", line) and not line.endswith("...")
    ]


def test_written_pages_are_up_to_date() -> None:
    """`python -m tools.make_docs` writes them."""
    for path, text in make_docs.pages().items():
        assert path.read_text() == text, f"{path.name} is stale: python -m tools.make_docs"


def test_every_table_has_a_page() -> None:
    assert {path.stem for path in (ROOT / "docs/tables").glob("*.md")} == {*tables.SCHEMAS, "frames"}


def test_no_nsys_command_hangs() -> None:
    """With its default flags nsys waits for ever at the stop, in about half of the tries."""
    lines = [line for page in PAGES for line in commands(page.read_text()) if line.startswith("nsys profile")]
    lines += re.findall(r"`nsys profile .*?`", "".join(path.read_text() for path in (ROOT / "src").rglob("*.py")))
    told = [line for line in lines if "--help" not in line]
    assert len(told) >= 4
    for line in told:
        assert "-s none --cpuctxsw=none" in line, line


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_is_documented(name: str) -> None:
    page = (ROOT / "docs/commands.md").read_text()
    section = re.split(r"\n## ", page)
    (text,) = [part for part in section if part.startswith(name)]
    for action in PARSERS[name]()._actions:
        for flag in action.option_strings:
            if flag not in ("-h", "--help"):
                assert f"`{flag}`" in text, f"{flag} is not in docs/commands.md"
        assert action.help, action


@pytest.mark.parametrize("name", PARSERS)
def test_every_documented_option_exists(name: str) -> None:
    page = (ROOT / "docs/commands.md").read_text()
    (text,) = [part for part in re.split(r"\n## ", page) if part.startswith(name)]
    flags = {flag for action in PARSERS[name]()._actions for flag in action.option_strings}
    assert set(re.findall(r"^\| `(--[\w-]+)`", text, re.MULTILINE)) <= flags


def test_there_are_commands_to_check() -> None:
    assert {line.split("tools.")[1].split()[0] for _, line in tool_commands()} >= set(PARSERS)


@pytest.mark.parametrize(("page", "line"), tool_commands())
def test_documented_commands_parse(page: str, line: str) -> None:
    tool, _, rest = line.split("python -m tools.", 1)[1].partition(" ")
    if tool not in PARSERS:
        assert (ROOT / "tools" / f"{tool}.py").exists(), f"{page}: {line}"
        return
    try:
        PARSERS[tool]().parse_args(shlex.split(rest))
    except MotraceError as error:
        pytest.fail(f"{page}: {line}: {error}")


def test_every_make_target_is_documented_and_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) - {"vulkan", "lint"}
    assert set(re.findall(r"`make (\w+)`", (ROOT / "docs/commands.md").read_text())) == targets
    for page in PAGES:
        assert set(re.findall(r"`make (\w+)`", page.read_text())) <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", page.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def code(page: str, beginning: str) -> str:
    """The Python of a page that begins so."""
    (found,) = (text for text in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
                if text.startswith(beginning))  # fmt: skip
    return str(found)


def test_the_recorder_of_the_readme_records_without_a_warning(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", code("README.md", "import motrace\n")], cwd=tmp_path, check=True)
    report = load(tmp_path / "traces/mine").report
    assert report.warnings == () and [run.frames for run in report.runs] == [100]


def test_the_python_of_the_page_on_instrumenting_measures(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def step(): pass\n")
    program = code("docs/instrument.md", "from motrace.record").replace("...", "import mine; mine.step()")
    lines = ("import motrace", f"motrace.start({str(tmp_path / 'out')!r})", "data = {'phases': {'mine.step': 'step'}}")
    done = "\n".join((*lines, program, "motrace.stop()"))
    subprocess.run([sys.executable, "-c", done], cwd=tmp_path, check=True)
    spans = load(tmp_path / "out").tables["spans"].column("phase").to_pylist()
    assert spans == ["step"]
