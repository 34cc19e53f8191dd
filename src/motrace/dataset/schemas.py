"""The schemas of all tables, each declared once, with its units.

Times are int64 ns on the run's CLOCK_MONOTONIC, minus the run's start. Strings that repeat are
dictionary-encoded. ``docs/tables/`` has a page for each.
"""

from __future__ import annotations

import pyarrow as pa

from .columns import END, FRAME, PID, START, TID, WORD, WORDS, column, keyed, known

EVENT_SCHEMAS: dict[str, pa.Schema] = {
    "nvtx": keyed(
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
    ),
    "gpu_ops": keyed(
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
    ),
    "api_calls": keyed(
        PID,
        TID,
        column("api", WORD, "cuda, vulkan, osrt, torch (its operators) or python"),
        column("name", WORD, "name of the function"),
        START,
        END,
        column("correlation", pa.int64(), "number that ties it to what it launched", nullable=True),
        column("waits_on", WORD, "what it waits for, by its name; null if it does not wait", nullable=True),
        column("source", WORD, "which tool saw it"),
    ),
    "thread_states": keyed(
        PID,
        TID,
        START,
        END,
        column("state", WORD, "running (on a core), runnable, blocked, or unknown"),
        column("waits_on", WORD, "what a blocked thread waits on; null where not known", nullable=True),
        column("source", WORD, "which tool saw it"),
    ),
    "gpu_labels": keyed(
        PID,
        TID,
        column("context", pa.int64(), "command buffer"),
        column("name", WORD, "the debug label"),
        START,
        END,
    ),
    "samples": keyed(
        column("t_ns", pa.int64(), "when the sample was taken", "ns"),
        column("weight_ns", pa.int64(), "the time it stands for", "ns"),
        PID,
        TID,
        column("state", WORD, "what the thread did: running, blocked, unknown"),
        column("stack_id", pa.int64(), "its stack"),
        column("source", WORD, "which tool took it"),
    ),
    "stacks": keyed(
        column("stack_id", pa.int64(), "number of the stack in its run"),
        column("frames", pa.list_(pa.string()), "functions, the outermost first, as `function (module)`"),
    ),
    "gpu_metrics": keyed(
        column("t_ns", pa.int64(), "when it was read", "ns"),
        column("device", pa.int64(), "number of the GPU"),
        column("metric", WORD, "its name"),
        column("value", pa.float64(), "its value"),
        column("unit", WORD, "unit of the value"),
    ),
    "lines": keyed(
        column("file", WORD, "source file"),
        column("line", pa.int64(), "line number"),
        column("python_pct", pa.float64(), "share of the elapsed time in Python, a hint", "%"),
        column("native_pct", pa.float64(), "share in native code, a hint", "%"),
        column("system_pct", pa.float64(), "share in the system or waiting, a hint", "%"),
        column("copy_mb_s", pa.float64(), "bytes copied", "MB/s"),
        column("peak_mb", pa.float64(), "peak memory", "MB"),
    ),
}
"""Those that collectors fill."""

SCHEMAS: dict[str, pa.Schema] = {
    "runs": keyed(
        column("mode", WORD, "record, none, custom (a program that is not one of our workloads), or trace"),
        column("profilers", WORDS, "collectors that disturb a run; runs are compared within a mode and its profilers"),
        column("collectors", WORDS, "all collectors"),
        column("pooled", pa.bool_(), "true if the report counts it among the runs of its mode and profilers"),
        column("profiled", pa.bool_(), "true if a collector disturbed it: its times are not those of the program"),
        column("profiler_attached", pa.bool_(), "true if a profiler that the user ran watched it"),
        column("status", WORD, "completed, interrupted, crashed, running or unknown"),
        column("status_reason", pa.string(), "why it did not complete; null if it did, or not known", nullable=True),
        known("adapter", WORD, "name of the Vulkan adapter"),
        known("adapter_type", WORD, "Cpu, DiscreteGpu, IntegratedGpu, VirtualGpu or Other"),
        known("software_adapter", pa.bool_(), "whether the renderer drew on the CPU"),
        known("num_envs", pa.int64(), "environments asked for"),
        known("width", pa.int64(), "width of a picture", "px"),
        known("height", pa.int64(), "height of a picture", "px"),
        known("frames_asked", pa.int64(), "frames asked for, warm-up aside"),
        column("options", pa.string(), "everything it was asked, as a JSON object"),
        known("motrixsim", WORD, "version of motrixsim-core"),
        known("torch", WORD, "version of torch"),
        known("python", WORD, "version of Python"),
        known("motrace_commit", WORD, "commit of motrace that recorded it"),
        known("start_utc", pa.timestamp("us", "UTC"), "when it began, by the wall clock"),
        column("origin_ns", pa.int64(), "its time 0 on CLOCK_MONOTONIC", "ns"),
        column("run_wall_ns", pa.int64(), "wall time from its begin to its end", "ns"),
        column(
            "contention_ns",
            pa.int64(),
            "for how long at most other processes held every core; 0 where not measured",
            "ns",
        ),
    ),
    "frames": keyed(
        column("frame", pa.int64(), "frame number from 0, warm-up included"),
        START,
        END,
        column("warmup", pa.bool_(), "true if the frame is kept out of the statistics"),
    ),
    "frame_phases": keyed(
        column("frame", pa.int64(), "frame number from 0, warm-up included"),
        column("phase", WORD, "the phase"),
        column("ns", pa.int64(), "time in the phase, its children included; no row where it is 0", "ns"),
    ),
    "spans": keyed(
        column("span_id", pa.int64(), "number of the span within the run, in order of begin"),
        column("parent_id", pa.int64(), "the span around it on its thread; null at the top", nullable=True),
        FRAME,
        column("depth", pa.int32(), "how many spans are around it"),
        column("phase", WORD, "the phase it counts for"),
        column("name", WORD, "its name"),
        PID,
        TID,
        START,
        END,
        column("cpu_ns", pa.int64(), "CPU time of its thread inside it; null where no clock was read", "ns", True),
        column("runq_ns", pa.int64(), "time its thread waited for a core; null where no clock was read", "ns", True),
        column("closed", pa.bool_(), "false if it was still open when the recording ended"),
    ),
    "thread_cpu": keyed(
        column("span_id", pa.int64(), "a span on the loop thread"),
        PID,
        column("tid", pa.int64(), "the thread; 0 for a child process as a whole"),
        column("role", WORD, "its role"),
        column("cpu_ns", pa.int64(), "CPU time it used inside the span", "ns"),
        column("runq_ns", pa.int64(), "time it waited for a core; null where not measured", "ns", True),
    ),
    "threads": keyed(
        PID,
        column("tid", pa.int64(), "the thread; 0 for a child process as a whole"),
        column("name", WORD, "the kernel's name of it, 15 characters at most"),
        column("role", WORD, "its role"),
    ),
    "clocks": keyed(
        column("source", WORD, "whose clock"),
        column("offset_ns", pa.int64(), "to add to its times to get run times", "ns"),
        column("drift_ppm", pa.float64(), "how much faster it runs", "ppm"),
        column("error_ns", pa.int64(), "95 % of aligned times are this close", "ns"),
        column("pairs", pa.int64(), "pairs of readings that the alignment rests on"),
        column("method", WORD, "how it was aligned"),
    ),
    "segments": keyed(column("segment", WORD, "startup, warmup, loop, drain or shutdown"), START, END),
    "attribution": keyed(
        column("segment", WORD, "the segment of the run"),
        FRAME,
        column("phase", WORD, "the leaf phase"),
        column("state", WORD, "what the loop thread did: running, runnable, blocked, unknown"),
        column("cause", WORD, "why, exclusive"),
        column("bucket", WORD, "the headline bucket"),
        column("ns", pa.int64(), "the time; sums to the wall time exactly", "ns"),
        column("lo_ns", pa.int64(), "it was at least this", "ns"),
        column("hi_ns", pa.int64(), "it was at most this", "ns"),
        column("turns_ns", pa.int64(), "a model's time if workers take turns; where there is no model, ns", "ns"),
        column("overlap_ns", pa.int64(), "a model's time if workers overlap the most; else ns", "ns"),
        column("step_ns", pa.int64(), "how far apart the thread samples are that it rests on; 0 for none", "ns"),
        column("evidence", WORD, "kinds of evidence that it rests on, with + between (docs/vocabulary.md)"),
    ),
    "composition": keyed(
        column("mode", WORD, "the mode of the unprofiled runs whose time it is; `run` is empty, for it is of them all"),
        column("phase", WORD, "the leaf phase"),
        column("state", WORD, "what the loop thread did: running, runnable, blocked, unknown"),
        column("cause", WORD, "why, as the profiled runs saw it"),
        column("bucket", WORD, "the headline bucket"),
        column("evidence", WORD, "kinds of evidence that it rests on, with + between (docs/vocabulary.md)"),
        column("ns", pa.int64(), "the time, over loop and drain of the runs; sums to their wall time exactly", "ns"),
        column("lo_ns", pa.int64(), "it was at least this", "ns"),
        column("hi_ns", pa.int64(), "it was at most this", "ns"),
    ),
    "episodes": keyed(
        column("env", pa.int64(), "number of the environment in its batch"),
        column("episode", pa.int64(), "number of the episode of its environment, from 0"),
        column("start_step", pa.int64(), "its first step; steps are counted like frames, warm-up included"),
        column("end_step", pa.int64(), "its last step, in which the environment was reset if it ended"),
        column("length", pa.int64(), "its steps"),
        column("reason", WORD, "why it ended: terminated (the task), truncated (time), reset, end (of the run)"),
        column("return", pa.float64(), "sum of its rewards; null if that is not a number", "", True),
        column("success", pa.bool_(), "whether it succeeded; null if it did not end, or not known", "", True),
        column("warmup", pa.bool_(), "true if it was over before the first frame that counts"),
    ),
    "waits": keyed(
        column("phase", WORD, "the leaf phase of the loop thread in which the call began"),
        column("role", WORD, "role of the thread that called"),
        column("api", WORD, "cuda, vulkan, osrt or python"),
        column("name", WORD, "name of the function"),
        column("waits_on", WORD, "what it waits for; null if it does not wait", nullable=True),
        column("calls", pa.int64(), "how many calls"),
        column("total_ns", pa.int64(), "their sum, over all threads of the role", "ns"),
    ),
    "gpu_phases": keyed(
        column("phase", WORD, "the leaf phase; unattributed: launched by a call that is not in the trace"),
        column("operations", pa.int64(), "how many operations were launched in it"),
        column("launched_ns", pa.int64(), "busy time of the operations launched in it", "ns"),
        column("ran_ns", pa.int64(), "busy time of the GPUs while it lasted", "ns"),
    ),
    "gpu_frames": keyed(
        column("frame", pa.int64(), "frame number from 0, warm-up included"),
        column("busy_ns", pa.int64(), "a GPU (or the software rasterizer) worked", "ns"),
        column("wait_ns", pa.int64(), "it worked while the loop thread was off its core", "ns"),
        column("gap_ns", pa.int64(), "from its last work to its first in the next frame", "ns", True),
        column("serialisation", pa.float64(), "1 if GPU and CPU alternated, 0 if they overlapped", "", True),
    ),
    **EVENT_SCHEMAS,
}

TRACE_TABLES = ("waits", "gpu_phases", "gpu_frames")
"""Tables that are computed from the event tables: absent where there are none."""

SPARSE_TABLES = (*TRACE_TABLES, "composition", "episodes")
"""Tables that are not written where they have no rows."""

EVENT_TABLES = tuple(EVENT_SCHEMAS)
"""Tables that collectors fill: absent where none did, streamed, never held in memory as a whole."""
