"""The schemas of the tables that collectors fill: see ``schemas``."""

from __future__ import annotations

import pyarrow as pa

from .columns import END, EXPERIMENT, PID, RUN, START, TID, WORD, column

EVENT_SCHEMAS: dict[str, pa.Schema] = {
    "nvtx": pa.schema(
        [
            EXPERIMENT,
            RUN,
            PID,
            TID,
            column("end_tid", pa.int64(), "the thread that closed it; null unless it is another one", nullable=True),
            column("domain", WORD, "its domain; empty for the default one"),
            column("category", WORD, "its category; null if it has none", nullable=True),
            column("name", WORD, "its text"),
            column("kind", WORD, "range (push and pop), start_end, mark, or gpu_range (on the GPU)"),
            START,
            END,
            column("closed", pa.bool_(), "false if it was still open when the trace ended"),
            column("payload", pa.int64(), "its integer payload; null if it has none", nullable=True),
        ]
    ),
    "gpu_ops": pa.schema(
        [
            EXPERIMENT,
            RUN,
            column("device", pa.int64(), "number of the GPU in its trace"),
            column("queue", pa.int64(), "CUDA stream or Vulkan context"),
            column("kind", WORD, "kernel, memcpy, memset or graphics"),
            column("name", WORD, "kernel name, direction of a copy, or name of the submission"),
            START,
            END,
            PID,
            column("launch_ns", pa.int64(), "begin of the call that launched it; null if not in the trace", "ns", True),
            column("launch_tid", pa.int64(), "the thread that launched it; null if not in the trace", nullable=True),
            column("correlation", pa.int64(), "number that ties it to its call, within a process", nullable=True),
            column("bytes", pa.int64(), "bytes copied or set; null for others", "B", True),
            column("source", WORD, "which tool saw it"),
        ]
    ),
    "api_calls": pa.schema(
        [
            EXPERIMENT,
            RUN,
            PID,
            TID,
            column("api", WORD, "cuda, vulkan or osrt"),
            column("name", WORD, "name of the function"),
            START,
            END,
            column("correlation", pa.int64(), "number that ties it to what it launched", nullable=True),
            column("waits_on", WORD, "what it waits for, by its name; null if it does not wait", nullable=True),
            column("source", WORD, "which tool saw it"),
        ]
    ),
    "thread_states": pa.schema(
        [
            EXPERIMENT,
            RUN,
            PID,
            TID,
            START,
            END,
            column("state", WORD, "running (on a core), runnable, blocked, or unknown"),
            column("waits_on", WORD, "what a blocked thread waits on; null where not known", nullable=True),
            column("source", WORD, "which tool saw it"),
        ]
    ),
    "gpu_labels": pa.schema(
        [
            EXPERIMENT,
            RUN,
            PID,
            TID,
            column("context", pa.int64(), "command buffer"),
            column("name", WORD, "the debug label"),
            START,
            END,
        ]
    ),
    "samples": pa.schema(
        [
            EXPERIMENT,
            RUN,
            column("t_ns", pa.int64(), "when the sample was taken", "ns"),
            column("weight_ns", pa.int64(), "the time it stands for", "ns"),
            PID,
            TID,
            column("state", WORD, "what the thread did: running, blocked, unknown"),
            column("stack_id", pa.int64(), "its stack"),
            column("source", WORD, "which tool took it"),
        ]
    ),
    "stacks": pa.schema(
        [
            EXPERIMENT,
            RUN,
            column("stack_id", pa.int64(), "number of the stack in its run"),
            column("frames", pa.list_(pa.string()), "functions, the outermost first, as `function (module)`"),
        ]
    ),
    "gpu_metrics": pa.schema(
        [
            EXPERIMENT,
            RUN,
            column("t_ns", pa.int64(), "when it was read", "ns"),
            column("device", pa.int64(), "number of the GPU"),
            column("metric", WORD, "its name"),
            column("value", pa.float64(), "its value"),
            column("unit", WORD, "unit of the value"),
        ]
    ),
    "lines": pa.schema(
        [
            EXPERIMENT,
            RUN,
            column("file", WORD, "source file"),
            column("line", pa.int64(), "line number"),
            column("python_pct", pa.float64(), "share of the elapsed time in Python, a hint", "%"),
            column("native_pct", pa.float64(), "share in native code, a hint", "%"),
            column("system_pct", pa.float64(), "share in the system or waiting, a hint", "%"),
            column("copy_mb_s", pa.float64(), "bytes copied", "MB/s"),
            column("peak_mb", pa.float64(), "peak memory", "MB"),
        ]
    ),
}
