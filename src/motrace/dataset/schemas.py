"""The schemas of all tables, each declared once, with its units.

Times are int64 ns on the run's CLOCK_MONOTONIC, minus the run's start. Strings that repeat are
dictionary-encoded. ``docs/tables/`` has a page for each.
"""

from __future__ import annotations

import pyarrow as pa

_WORD = pa.dictionary(pa.int32(), pa.string())


def _field(name: str, kind: pa.DataType, about: str, unit: str = "", nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable, {"about": about, "unit": unit})


_RUN = _field("run", _WORD, "run id")
_PID = _field("pid", pa.int64(), "process id")
_TID = _field("tid", pa.int64(), "thread id of the kernel")
_START = _field("start_ns", pa.int64(), "begin", "ns")
_END = _field("end_ns", pa.int64(), "end", "ns")
_FRAME = _field("frame", pa.int64(), "frame number from 0, warm-up included; null outside frames", nullable=True)

SCHEMAS: dict[str, pa.Schema] = {
    "frames": pa.schema(
        [
            _RUN,
            _field("frame", pa.int64(), "frame number from 0, warm-up included"),
            _START,
            _END,
            _field("warmup", pa.bool_(), "true if the frame is kept out of the statistics"),
        ]
    ),
    "frame_phases": pa.schema(
        [
            _RUN,
            _field("frame", pa.int64(), "frame number from 0, warm-up included"),
            _field("phase", _WORD, "the phase"),
            _field("ns", pa.int64(), "time in the phase, its children included; no row where it is 0", "ns"),
        ]
    ),
    "spans": pa.schema(
        [
            _RUN,
            _field("span_id", pa.int64(), "number of the span within the run, in order of begin"),
            _field("parent_id", pa.int64(), "the span around it on its thread; null at the top", nullable=True),
            _FRAME,
            _field("depth", pa.int32(), "how many spans are around it"),
            _field("phase", _WORD, "the phase it counts for"),
            _field("name", _WORD, "its name"),
            _PID,
            _TID,
            _START,
            _END,
            _field("cpu_ns", pa.int64(), "CPU time of its thread inside it; null where no clock was read", "ns", True),
            _field(
                "runq_ns", pa.int64(), "time its thread waited for a core; null where no clock was read", "ns", True
            ),
            _field("closed", pa.bool_(), "false if it was still open when the recording ended"),
        ]
    ),
    "thread_cpu": pa.schema(
        [
            _RUN,
            _field("span_id", pa.int64(), "a span on the loop thread"),
            _PID,
            _field("tid", pa.int64(), "the thread; 0 for a child process as a whole"),
            _field("role", _WORD, "its role"),
            _field("cpu_ns", pa.int64(), "CPU time it used inside the span", "ns"),
            _field("runq_ns", pa.int64(), "time it waited for a core; null where not measured", "ns", True),
        ]
    ),
    "threads": pa.schema(
        [
            _RUN,
            _PID,
            _field("tid", pa.int64(), "the thread; 0 for a child process as a whole"),
            _field("name", _WORD, "the kernel's name of it, 15 characters at most"),
            _field("role", _WORD, "its role"),
        ]
    ),
    "clocks": pa.schema(
        [
            _RUN,
            _field("source", _WORD, "whose clock"),
            _field("offset_ns", pa.int64(), "to add to its times to get run times", "ns"),
            _field("drift_ppm", pa.float64(), "how much faster it runs", "ppm"),
            _field("error_ns", pa.int64(), "95 % of aligned times are this close", "ns"),
            _field("pairs", pa.int64(), "pairs of readings that the alignment rests on"),
            _field("method", _WORD, "how it was aligned"),
        ]
    ),
    "segments": pa.schema([_RUN, _field("segment", _WORD, "startup, warmup, loop, drain or shutdown"), _START, _END]),
    "attribution": pa.schema(
        [
            _RUN,
            _field("segment", _WORD, "the segment of the run"),
            _FRAME,
            _field("phase", _WORD, "the leaf phase"),
            _field("state", _WORD, "what the loop thread did: running, runnable, blocked, unknown"),
            _field("cause", _WORD, "why, exclusive"),
            _field("bucket", _WORD, "the headline bucket"),
            _field("ns", pa.int64(), "the time; sums to the wall time exactly", "ns"),
            _field("lo_ns", pa.int64(), "it was at least this", "ns"),
            _field("hi_ns", pa.int64(), "it was at most this", "ns"),
            _field("evidence", _WORD, "kinds of evidence that it rests on, with + between (docs/vocabulary.md)"),
        ]
    ),
    "episodes": pa.schema(
        [
            _RUN,
            _field("env", pa.int64(), "number of the environment in its batch"),
            _field("episode", pa.int64(), "number of the episode of its environment, from 0"),
            _field("start_step", pa.int64(), "its first step; steps are counted like frames, warm-up included"),
            _field("end_step", pa.int64(), "its last step, in which the environment was reset if it ended"),
            _field("length", pa.int64(), "its steps"),
            _field("reason", _WORD, "why it ended: terminated (the task), truncated (time), reset, end (of the run)"),
            _field("return", pa.float64(), "sum of its rewards; null if that is no number", "", True),
            _field("success", pa.bool_(), "whether it succeeded; null if it did not end, or nobody says", "", True),
            _field("warmup", pa.bool_(), "true if it was over before the first frame that counts"),
        ]
    ),
    "waits": pa.schema(
        [
            _RUN,
            _field("phase", _WORD, "the leaf phase of the loop thread in which the call began"),
            _field("role", _WORD, "role of the thread that called"),
            _field("api", _WORD, "cuda, vulkan or osrt"),
            _field("name", _WORD, "name of the function"),
            _field("waits_on", _WORD, "what it waits for; null if it does not wait", nullable=True),
            _field("calls", pa.int64(), "how many calls"),
            _field("total_ns", pa.int64(), "their sum, over all threads of the role", "ns"),
        ]
    ),
    "gpu_phases": pa.schema(
        [
            _RUN,
            _field("phase", _WORD, "the leaf phase; unattributed: launched by a call that is not in the trace"),
            _field("operations", pa.int64(), "how many operations were launched in it"),
            _field("launched_ns", pa.int64(), "busy time of the operations launched in it", "ns"),
            _field("ran_ns", pa.int64(), "busy time of the GPUs while it lasted", "ns"),
        ]
    ),
    "gpu_frames": pa.schema(
        [
            _RUN,
            _field("frame", pa.int64(), "frame number from 0, warm-up included"),
            _field("busy_ns", pa.int64(), "a GPU (or the software rasterizer) worked", "ns"),
            _field("wait_ns", pa.int64(), "it worked while the loop thread was off its core", "ns"),
            _field("gap_ns", pa.int64(), "from its last work to its first in the next frame", "ns", True),
            _field("serialisation", pa.float64(), "1 if GPU and CPU took turns, 0 if they overlapped", "", True),
        ]
    ),
    "nvtx": pa.schema(
        [
            _RUN,
            _PID,
            _TID,
            _field("end_tid", pa.int64(), "the thread that closed it; null unless it is another one", nullable=True),
            _field("domain", _WORD, "its domain; empty for the default one"),
            _field("category", _WORD, "its category; null if it has none", nullable=True),
            _field("name", _WORD, "its text"),
            _field("kind", _WORD, "range (push and pop), start_end, or mark"),
            _START,
            _END,
            _field("closed", pa.bool_(), "false if it was still open when the trace ended"),
            _field("payload", pa.int64(), "its integer payload; null if it has none", nullable=True),
        ]
    ),
    "gpu_ops": pa.schema(
        [
            _RUN,
            _field("device", pa.int64(), "number of the GPU in its trace"),
            _field("queue", pa.int64(), "CUDA stream or Vulkan context"),
            _field("kind", _WORD, "kernel, memcpy, memset or graphics"),
            _field("name", _WORD, "kernel name, direction of a copy, or name of the submission"),
            _START,
            _END,
            _PID,
            _field("launch_ns", pa.int64(), "begin of the call that launched it; null if not in the trace", "ns", True),
            _field("launch_tid", pa.int64(), "the thread that launched it; null if not in the trace", nullable=True),
            _field("correlation", pa.int64(), "number that ties it to its call, within a process", nullable=True),
            _field("bytes", pa.int64(), "bytes copied or set; null for others", "B", True),
            _field("source", _WORD, "which tool saw it"),
        ]
    ),
    "api_calls": pa.schema(
        [
            _RUN,
            _PID,
            _TID,
            _field("api", _WORD, "cuda, vulkan or osrt"),
            _field("name", _WORD, "name of the function"),
            _START,
            _END,
            _field("correlation", pa.int64(), "number that ties it to what it launched", nullable=True),
            _field("waits_on", _WORD, "what it waits for, by its name; null if it does not wait", nullable=True),
            _field("source", _WORD, "which tool saw it"),
        ]
    ),
    "thread_states": pa.schema(
        [
            _RUN,
            _PID,
            _TID,
            _START,
            _END,
            _field("state", _WORD, "running (on a core), runnable, blocked, or unknown"),
            _field("waits_on", _WORD, "what a blocked thread waits on; null where not known", nullable=True),
            _field("source", _WORD, "which tool saw it"),
        ]
    ),
    "gpu_labels": pa.schema(
        [
            _RUN,
            _PID,
            _TID,
            _field("context", pa.int64(), "command buffer"),
            _field("name", _WORD, "the debug label"),
            _START,
            _END,
        ]
    ),
    "samples": pa.schema(
        [
            _RUN,
            _field("t_ns", pa.int64(), "when the sample was taken", "ns"),
            _field("weight_ns", pa.int64(), "the time it stands for", "ns"),
            _PID,
            _TID,
            _field("state", _WORD, "what the thread did: running, blocked, unknown"),
            _field("stack_id", pa.int64(), "its stack"),
            _field("source", _WORD, "which tool took it"),
        ]
    ),
    "stacks": pa.schema(
        [
            _RUN,
            _field("stack_id", pa.int64(), "number of the stack in its run"),
            _field("frames", pa.list_(pa.string()), "functions, the outermost first, as `function (module)`"),
        ]
    ),
    "gpu_metrics": pa.schema(
        [
            _RUN,
            _field("t_ns", pa.int64(), "when it was read", "ns"),
            _field("device", pa.int64(), "number of the GPU"),
            _field("metric", _WORD, "its name"),
            _field("value", pa.float64(), "its value"),
            _field("unit", _WORD, "unit of the value"),
        ]
    ),
    "lines": pa.schema(
        [
            _RUN,
            _field("file", _WORD, "source file"),
            _field("line", pa.int64(), "line number"),
            _field("python_pct", pa.float64(), "share of the elapsed time in Python, a hint", "%"),
            _field("native_pct", pa.float64(), "share in native code, a hint", "%"),
            _field("system_pct", pa.float64(), "share in the system or waiting, a hint", "%"),
            _field("copy_mb_s", pa.float64(), "bytes copied", "MB/s"),
            _field("peak_mb", pa.float64(), "peak memory", "MB"),
        ]
    ),
}

TRACE_TABLES = ("waits", "gpu_phases", "gpu_frames")
"""Tables that are computed from the event tables: absent where there are none."""

SPARSE_TABLES = (*TRACE_TABLES, "episodes")
"""Tables that are not written where they have no rows."""

EVENT_TABLES = (
    "nvtx",
    "gpu_ops",
    "api_calls",
    "thread_states",
    "gpu_labels",
    "samples",
    "stacks",
    "gpu_metrics",
    "lines",
)
"""Tables that collectors fill: absent where none did, streamed, never held in memory as a whole."""
