"""Names, reasons and paths that would act on a terminal, in Markdown or in HTML are shown as text."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import motrace
from motrace.commands import analyze, compare, sweep
from motrace.escape import visible
from tests.programs import launched

POISON = "[/x] dtype[float] \x1b[31m \x9b1m <script>alert(1)</script> | `a` \n## no :smile: \u202e\u2066 ![i](http://x)"
PATH = POISON.replace("/", "-")[:60]
SHOWN = r"[/x] dtype[float] \x1b[31m \x9b1m"


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three points of a sweep, one run completed and one that crashed in each; every text of them is poisoned."""
    out = tmp_path_factory.mktemp("traces")
    for number, status in ((1, "completed"), (2, "completed"), (3, "crashed")):
        run = out / "point" / f"{number:02d}-custom"
        launched.begin(run, cpu_clocks=False)
        for _ in range(4):
            with motrace.frame(), motrace.span(POISON):
                sum(range(20_000))
        launched.end(run)
        path = run / "run.json"
        manifest = json.loads(path.read_text())
        told = {"run_id": f"{number} {POISON}", "status": status, "status_reason": POISON if number == 3 else None}
        path.write_text(json.dumps({**manifest, **told}))
    for envs in (1, 2, 4):
        home = out / "sweep" / f"e{envs} {PATH}"
        shutil.copytree(out / "point", home)
        options = {"workload": POISON, "num_envs": envs, "width": 64, "height": 48, "workload_args": [POISON]}
        command = {"argv": ["python", POISON, "```"], "options": options}  # no `chosen`, as sweeps left it out
        facts = {"experiment": f"e{envs} {POISON}", "command": command, "environment": {"os": POISON}}
        (home / "experiment.json").write_text(json.dumps(facts))
    shutil.rmtree(out / "point")
    return out / "sweep"


def check_terminal(text: str) -> None:
    assert all(char.isprintable() or char == "\n" for char in text), text
    words = " ".join(text.split())  # a table may have folded them
    assert "[/x] dtype[float]" in words and r"\x1b[31m" in words and ":smile:" in words


def check_files(folder: Path, name: str) -> None:
    page, text = (folder / f"{name}.html").read_text(), (folder / f"{name}.md").read_text()
    text, command, rest = text.split("\n```\n")  # a fenced block shows what it holds
    assert "\n" not in command.strip()
    text += rest
    for form in (page, text):
        assert all(char.isprintable() or char in "\n\xa0" for char in form)
        assert "<script" not in form and SHOWN in form
    assert "](" not in text.replace("]\\(", "")
    assert not re.search(r"^## no", text, re.MULTILINE)
    width = None
    for line in text.splitlines():  # every row of a table has as many cells as its head
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert cells is None or width is None or cells == width, line
        width = cells


def test_analyze(poisoned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = min(poisoned.iterdir())
    assert analyze.main([str(poisoned)]) == 0
    check_terminal(capsys.readouterr().out)
    check_files(home / "analysis", "report")


def test_compare(poisoned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, _ = sorted(poisoned.iterdir())
    assert compare.main([str(one), str(two)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert visible(line) == line and "environments: 1 against 2" in line
    assert compare.main([str(one), str(two), "--unlike"]) == 0
    check_terminal(capsys.readouterr().out)


def test_sweep(poisoned: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copytree(poisoned, tmp_path / "again")
    assert sweep.main(["--analyze", str(tmp_path / "again")]) == 0
    check_terminal(capsys.readouterr().out)
    page, text = (tmp_path / "again/sweep.html").read_text(), (tmp_path / "again/sweep.md").read_text()
    for form in (page, text):
        assert "<script" not in form and SHOWN in form and visible(form.replace("\n", "")) == form.replace("\n", "")


@pytest.mark.parametrize("command", [analyze, compare, sweep])
def test_errors(command: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(tmp_path / PATH) + "\udcff"
    words = {analyze: [where], compare: [where, where], sweep: ["--analyze", where]}[command]
    assert command.main(words) == 1  # type: ignore[attr-defined]
    (line,) = capsys.readouterr().err.splitlines()
    assert visible(line) == line and "no such file or folder" in line


def test_record(run_program: Callable, tmp_path: Path) -> None:
    words = ("-m", "tools.run_record", "--mode", "none", "--frames", 2, "--out", tmp_path / PATH[:50], "--name", "x")
    workload = "tests.programs.workloads:RaisesWhatItIsGiven"
    done = run_program(*words, "--workload", workload, "--", POISON, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and visible(line) == line and SHOWN in line
    assert all(char.isprintable() or char == "\n" for char in done.stdout) and "[-x]" in done.stdout
