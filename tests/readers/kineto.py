"""Small traces of torch.profiler, made as torch writes them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.conftest import SHARED

CASES = Path(os.environ.get("MOTRACE_FIXTURES", SHARED / "fixtures")) / "cases"
UTC_US = 1_735_632_360_123_456
"""Some day in 2024."""


def event(cat: str, name: str, ts: Any, dur: Any, **args: Any) -> dict[str, Any]:
    """A complete event of process 100, or of GPU 0."""
    gpu = cat.startswith("gpu_") or cat == "kernel"
    who = {"pid": 0, "tid": 7} if gpu else {"pid": 100, "tid": 100}
    return {"ph": "X", "cat": cat, "name": name, **who, "ts": ts, "dur": dur, "args": args}


def frames(count: int = 6, vendor: str = "cuda") -> list[dict[str, Any]]:
    """Frames of 10 ms: a step of 9 ms in which a kernel of 7 ms is launched and waited for."""
    rows: list[dict[str, Any]] = []
    for number in range(count):
        start = UTC_US + 10_000 * number
        rows += [
            event("user_annotation", f"ProfilerStep#{number}", start, 9000),
            event("cpu_op", "aten::mm", start + 100, 400),
            event("cuda_runtime", f"{vendor}LaunchKernel", start + 200, 50, correlation=number),
            event("cuda_runtime", f"{vendor}DeviceSynchronize", start + 600, 7000, correlation=1000 + number),
            event("kernel", "gemm", start + 400, 7000, device=0, stream=7, correlation=number),
        ]
    return rows


def text(rows: list[dict[str, Any]], **header: Any) -> str:
    """A trace with these events."""
    return json.dumps({"schemaVersion": 1, **header, "traceEvents": rows}, indent=1)


def written(folder: Path, content: str | bytes) -> Path:
    """A file that holds it."""
    path = folder / "trace.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
