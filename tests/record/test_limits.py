"""What the recorder loads, what it does when there is no room, and what it says to a profiler."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from motrace.readers.run import load_run
from motrace.workloads.process import ENTERS
from tests.conftest import ROOT

HEAVY = ("numpy", "torch", "pandas", "pyarrow", "nvtx", "rich", "jinja2", "scipy", "motrixsim")

LIMITED = """
import resource, sys, signal
import motrace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
motrace.start(sys.argv[1])
for _ in range(10_000):
    with motrace.frame(), motrace.span("step"):
        pass
print("dropped", motrace.stop())
"""


def test_importing_motrace_loads_nothing_heavy(run_program: Callable) -> None:
    code = f"import motrace, sys; print([name for name in {HEAVY} if name in sys.modules])"
    assert run_program("-c", code).stdout.strip() == "[]"


def test_recording_loads_nothing_heavy(run_program: Callable, tmp_path: Path) -> None:
    code = (
        "import motrace, sys\nmotrace.start(sys.argv[1])\n"
        "with motrace.frame(), motrace.span('x'): pass\nmotrace.stop()\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert run_program("-c", code, tmp_path / "run").stdout.strip() == "[]"


def test_the_recorder_imports_only_the_standard_library_and_itself() -> None:
    """Whatever is imported in record/ and what it needs is standard, motrace's own, or nvtx."""
    import ast
    import sys

    top = [ROOT / "src/motrace" / name for name in ENTERS if name.endswith(".py")]
    files = [*(ROOT / "src/motrace/record").glob("*.py"), *top]
    allowed_own = {"record", *(path.stem for path in files)}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    assert alias.name.split(".")[0] in {*sys.stdlib_module_names, "nvtx"}, (path, alias.name)
            elif isinstance(node, ast.ImportFrom):
                if node.level == 0:
                    assert (node.module or "").split(".")[0] in {*sys.stdlib_module_names, "__future__"}, (
                        path,
                        node.module,
                    )
                else:
                    modules = [node.module] if node.module else [alias.name for alias in node.names]
                    assert {str(module).split(".")[0] for module in modules} <= allowed_own, (path, modules)


def test_a_full_disk_is_counted_and_reported(run_program: Callable, tmp_path: Path) -> None:
    """A limit on file size stands in for the full disk: writing beyond it fails as there, in the same place."""
    done = run_program("-c", LIMITED, tmp_path / "run")
    dropped = int(re.search(r"dropped (\d+)", done.stdout)[1])  # type: ignore[index]
    recording = load_run(tmp_path / "run" / "01")
    kept = sum(len(log.records) for log in recording.span_logs)
    assert dropped > 10_000
    assert 1_000 < kept < 20_000
    assert any(f"{dropped} records found no room" in text for text in recording.warnings)


def test_a_profiler_with_a_dummy_domain_is_told_loudly(run_program: Callable, tmp_path: Path) -> None:
    """MOTRACE_NVTX makes the recorder believe that a profiler is attached; none is, so nvtx gives its dummy."""
    code = "import motrace, sys; motrace.start(sys.argv[1])\nwith motrace.span('x'): pass\nmotrace.stop()"
    done = run_program("-c", code, tmp_path / "run", MOTRACE_NVTX="1")
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert "DummyDomain" in warnings[0] and "nvtx==0.2.11" in warnings[0]
    assert len(load_run(tmp_path / "run" / "01").span_logs) == 1


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
def test_other_pythons(version: str, tmp_path: Path) -> None:
    """The recorder runs on Python 3.10 to 3.13, where those are installed."""
    import glob
    import os
    import shutil
    import subprocess

    candidates = sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python")))
    found = shutil.which(f"python{version}")
    if found and "shims" not in found:
        candidates.append(found)
    if not candidates:
        pytest.skip(f"no Python {version} here")
    code = (
        "import motrace, sys, threading, time\n"
        "motrace.start(sys.argv[1])\n"
        "motrace.segment('loop')\n"
        "for _ in range(5):\n"
        "    with motrace.frame(), motrace.span('sleep'):\n"
        "        time.sleep(0.002)\n"
        "motrace.segment('shutdown')\n"
        "print(motrace.stop())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([candidates[-1], "-c", code, tmp_path / "run"], check=True, env=environment)
    recording = load_run(tmp_path / "run" / "01")
    assert recording.cpu_log is not None and len(recording.cpu_log.boundaries) > 20
    assert recording.manifest.status == "completed"
