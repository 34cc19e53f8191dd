"""Recordings made here with the real Nsight Systems."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import PROGRAMS

IMPORTERS = ("/usr/lib/nsight-systems/host-linux-x64/QdstrmImporter",)
"""Debian's nsys looks for the importer in another folder than Debian puts it into."""
ENVIRONMENT = {
    "WGPU_DEBUG": "1",
    "MOTRACE_TEST_SECRET": "sesame-open-1234567",
    "LOGNAME": "ali-baba",
    "HOSTNAME": "cave-of-wonders",
}


def nsys() -> str:
    """The tool, or skip."""
    found = shutil.which("nsys")
    if found is None:
        pytest.skip("nsys is not installed (make nsys)")
    return found


def run(*words: object, timeout: float = 120, **environment: str) -> str:
    """Run a tool to its end; what it printed."""
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def record(folder: Path, program: str = "nvtx_ranges.py", trace: str = "nvtx,osrt") -> Path:
    """Record a program under nsys; returns the ``.nsys-rep``."""
    report = folder / "recorded.nsys-rep"
    command = (nsys(), "profile", "-t", trace, "-s", "none", "--cpuctxsw=none", "-f", "true")
    session = f"--session-new=t{uuid.uuid4().hex[:12]}"
    run(*command, session, "-o", folder / "recorded", sys.executable, PROGRAMS / program, **ENVIRONMENT)
    if not report.exists():
        importer = next((path for path in IMPORTERS if Path(path).exists()), None)
        if importer is None:
            pytest.skip("nsys can't import what it recorded: QdstrmImporter is not here")
        run(importer, "-f", "-i", folder / "recorded.qdstrm", "-o", report)
    return report


def export(report: Path, folder: Path, kind: str = "sqlite") -> Path:
    """Export a report."""
    target = folder / f"{report.stem}.{kind}"
    run(nsys(), "export", "-t", kind, "-f", "true", "-o", target, report)
    return target
