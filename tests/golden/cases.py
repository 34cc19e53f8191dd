"""What the golden numbers are of, and where they are kept."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from motrace.analysis import load
from tests.conftest import ROOT, SHARED
from tests.golden.numbers import Number, numbers
from tests.simulator import Config, simulate

FILE = Path(__file__).with_name("numbers.json.gz")
SIMULATED: dict[str, dict[str, Any]] = {
    "gpu-async": {"capture": "async"},
    "clocks-alone": {"scheduling": False, "waits": False, "workload": False},
    "waits-alone": {"scheduling": False},
    "trace-alone": {"cpu_log": False, "span_log": False},
}
SHARED_EXPORTS = ("a100_saxpy", "h100_2gpu_1s")
"""Exports that come with the workplace, not with the project."""
CASES = (*SHARED_EXPORTS, "demo-llvmpipe", "nsys-llvmpipe", *SIMULATED)


def taken(name: str, scratch: Path) -> dict[str, Number]:
    """The numbers of a case as the program takes them now."""
    if name in SHARED_EXPORTS:
        return numbers(load(SHARED / "fixtures" / f"{name}.sqlite").report)
    if name not in SIMULATED:
        return numbers(load(ROOT / "traces" / name).report)
    simulate(scratch / name, Config(frames=6, warmup=2, num_envs=2, seed=7, **SIMULATED[name]))
    return numbers(load(scratch / name).report)


def recorded() -> dict[str, dict[str, Number]]:
    """The golden numbers, by case."""
    return json.loads(gzip.decompress(FILE.read_bytes()))  # type: ignore[no-any-return]
