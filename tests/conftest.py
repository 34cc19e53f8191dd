"""What all tests share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import motrace

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "tests" / "programs"
SHARED = Path(os.environ.get("MOTRACE_SHARED", ROOT.parent / "shared"))

# How long an example takes says how busy the machine is, nothing of what it tests.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("untimed", untimed)
settings.load_profile("untimed")


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true value that ``condition()`` gives; a test waits for what must come, never for a length of time."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < limit, f"it did not happen within {seconds:g} s"
        time.sleep(0.02)
    return value


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Where CI is true, a test of a real tool may not skip: it fails, and the others go on."""
    report = yield
    real = [name for name in ("motrix", "nsys") if item.get_closest_marker(name)]
    if os.environ.get("CI") == "true" and real and report.skipped and call.excinfo is not None:
        report.outcome = "failed"
        report.longrepr = f"a test of a real tool ({', '.join(real)}) may not skip in CI: {call.excinfo.value}"
    return report


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Path]:
    """A folder into which this process records, without CPU clocks, during the test."""
    yield motrace.start(tmp_path / "run", cpu_clocks=False)
    motrace.stop()


@pytest.fixture
def run_program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python program to its end; its output is text."""

    def run(
        *words: object, check: bool = True, timeout: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
        if check and done.returncode:
            raise AssertionError(f"{words}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of our own; only root can make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("a small file system can't be mounted here: not root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
