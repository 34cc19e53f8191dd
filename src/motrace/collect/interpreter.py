"""What the interpreter of the measured process can import; it may differ from motrace's."""

from __future__ import annotations

import importlib.util
import subprocess

_PROBE = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
PATIENCE_S = 30.0


def has_module(python: tuple[str, ...], name: str) -> bool:
    """Whether ``name`` is installed for ``python`` (an interpreter and its options; empty: our own)."""
    if not python:
        return importlib.util.find_spec(name) is not None
    try:
        done = subprocess.run((*python, "-c", _PROBE, name), capture_output=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
