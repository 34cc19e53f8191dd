"""One simulated run: its folder, written chunk by chunk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .clock import TraceClock
from .config import CHILD_PID, ENCODER_PID, LOOP_PID, Config
from .cpu_events import Ranges, Switches, Waits
from .export import Export
from .gpu_events import GpuEvents
from .logs import UTC_START_NS, CpuLog, SpanLog
from .schema import Schema
from .tape import Tape, global_id
from .truth import Truth
from .world import chunks

START_NS = 500_000_000_000
"""When the process was started, on CLOCK_MONOTONIC."""
MARGIN_NS = 20_000_000
"""The profiler records for so long before and after the process."""
_GPU = {"name": "NVIDIA H200", "device_type": "DiscreteGpu", "driver": "NVIDIA", "driver_info": "", "backend": "Vulkan"}
_CPU = {"name": "llvmpipe", "device_type": "Cpu", "driver": "llvmpipe", "driver_info": "Mesa", "backend": "Vulkan"}


@dataclass(frozen=True)
class Simulated:
    """``path``: the run's folder. ``events``: rows of the trace, by table."""

    path: Path
    truth: Truth
    events: dict[str, int]
    end_ns: int


def trace_clock(config: Config) -> TraceClock:
    """The profiler's clock in a run."""
    return TraceClock(START_NS - MARGIN_NS - config.offset_ns % 1_000_000, config.drift_ppm)


def simulate(folder: Path, config: Config, lazy: bool = True) -> Simulated:
    """Write a run to a new folder: logs, ``nsys.sqlite``, ``truth/``. Raises OSError, ValueError.

    ``lazy``: as nsys does by default, tables without rows are left out of the export.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth").mkdir(exist_ok=True)
    random = np.random.default_rng(config.seed)
    clock = trace_clock(config)
    truth = Truth(config)
    export = Export(folder / "nsys.sqlite", Schema(config.schema), lazy)
    tape = Tape(config, random, export, clock, truth)
    ranges, switches = Ranges(tape), Switches(tape) if config.scheduling else None
    ranges.begin(START_NS)
    spans = SpanLog(folder, START_NS) if config.span_log else None
    cpu = CpuLog(folder, config, random, START_NS) if config.cpu_log and config.span_log else None
    writers = (spans, cpu, truth, ranges, switches, Waits(tape) if config.waits else None, GpuEvents(tape))
    end_ns = START_NS
    for chunk in chunks(config, random, START_NS):
        for writer in writers:
            if writer is not None:
                writer.add(chunk)
        end_ns = int(chunk.edges[-1])
    if switches is not None:
        switches.end(end_ns)
    _describe(export, config, clock, end_ns + MARGIN_NS)
    export.close()
    for log in (spans, cpu):
        if log is not None:
            log.close()
    if config.span_log:
        (folder / "run.json").write_text(json.dumps(_manifest(config, end_ns), indent=1))
    truth.write(folder / "truth")
    totals = {"config": asdict(config), "events": export.counts, **truth.totals()}
    (folder / "truth" / "truth.json").write_text(json.dumps(totals, indent=1))
    return Simulated(folder, truth, dict(export.counts), end_ns)


def _describe(export: Export, config: Config, clock: TraceClock, end_ns: int) -> None:
    """What an export says about itself, its processes and threads."""
    duration = int(clock(np.array([end_ns]))[0])
    times = {"startTime": [clock.origin_ns], "stopTime": [clock.origin_ns + duration]}
    export.add("ANALYSIS_DETAILS", {"globalVid": [global_id(0)], "duration": [duration], **times})
    utc = UTC_START_NS + clock.origin_ns
    export.add("TARGET_INFO_SESSION_START_TIME", {"utcEpochNs": [utc], "utcTime": ["2023-11-14 22:13:20"]})
    names = {
        LOOP_PID: "/usr/bin/python3",
        ENCODER_PID: "/usr/bin/ffmpeg",
        CHILD_PID: "/usr/bin/uploader",
        1: "/sbin/init",
    }
    for pid, name in names.items():
        export.add("PROCESSES", {"globalPid": [global_id(pid)], "pid": [pid], "name": [name]})
    threads = [(LOOP_PID, LOOP_PID, "python"), *((t.pid, t.tid, t.name) for t in config.threads())]
    threads += [(pid, pid + 9_000, "[NSys Comms]") for pid in (LOOP_PID, ENCODER_PID, CHILD_PID)]
    for pid, tid, name in threads:
        export.add("ThreadNames", {"nameId": [export.id(name)], "priority": [20], "globalTid": [global_id(pid, tid)]})
    if not config.software:
        export.add("TARGET_INFO_GPU", {"id": [0], "cuDevice": [0], "name": ["NVIDIA H200"], "smCount": [132]})
    text = {"text": ["Common injection library initialized successfully."], "globalPid": [global_id(LOOP_PID)]}
    export.add("DIAGNOSTIC_EVENT", {"timestamp": [-5], "severity": [1], **text})


def _manifest(config: Config, end_ns: int) -> dict[str, Any]:
    workload = {"device": "cuda" if config.cuda else "cpu", "frames": config.frames, "warmup_frames": config.warmup}
    return {
        "schema_version": "1.0",
        "run_id": config.run_id,
        "mode": "record",
        "status": "completed",
        "exit_code": 0,
        "process": {"pid": LOOP_PID},
        "options": {"frames": config.frames, "num_envs": config.num_envs, "seed": config.seed},
        "workload": workload,
        "clocks": {"spawn_monotonic_ns": START_NS, "exit_monotonic_ns": end_ns},
        "adapter": _CPU if config.software else _GPU,
    }
