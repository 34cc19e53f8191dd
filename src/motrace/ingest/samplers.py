"""What our own samplers write: states of threads, sensors of GPUs. Their times are those of CLOCK_MONOTONIC."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

from ..attribution.interval_evidence import StatesFrom
from ..readers import gpu, thread_samples
from ..readers.recording import RunRecording
from ..readers.thread_format import MAGIC, OLD_MAGIC
from ..timeline.clocks import ClockFit
from ..vocabulary import ClockMethod, Tool
from .source import Head, Identity, Part, ProfilerFile, Source, moved, write_table


class _Sampler(Source):
    """A file whose schema is ``schema``."""

    schema: ClassVar[pa.Schema]

    def recognise(self, head: Head) -> bool:
        """By its schema."""
        if not head.data.startswith(b"\xff\xff\xff\xff"):
            return False
        try:
            with head.path.open("rb") as file:
                return bool(ipc.open_stream(file).schema.equals(self.schema))
        except (OSError, pa.ArrowException):
            return False


class ThreadStates(_Sampler):
    """The sampler of thread states."""

    name = "thread samples"
    tool = Tool.THREADS
    collected = ("threads.arrow", "threads.bin")
    schema = thread_samples.STAYS_SCHEMA

    def recognise(self, head: Head) -> bool:
        """By its schema, or the sampler's own mark."""
        return head.data.startswith((MAGIC, OLD_MAGIC)) or super().recognise(head)

    def identity(self, file: ProfilerFile) -> Identity:
        """The processes whose threads it saw."""
        pids = pc.unique(thread_samples.read(file.path).stays.column("pid")).to_pylist()
        return Identity(frozenset(pids), written_ns=file.path.stat().st_mtime_ns)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """The table ``thread_states``."""
        samples = thread_samples.read(file.path)
        states = moved(samples.states(), -run.origin_ns)
        if not states.num_rows:
            return None
        write_table("thread_states", states, run.key, folder)
        pid, tid, name = (samples.stays.column(column).to_pylist() for column in ("pid", "tid", "name"))
        count, step_ns = int(pc.sum(samples.stays.column("samples")).as_py()), samples.step_ns
        return Part(
            folder=folder,
            clock=ClockFit.constant(0, step_ns // 2, count, ClockMethod.SAMPLED, run.origin_ns),
            covered_ns=(pc.min(states.column("start_ns")).as_py(), pc.max(states.column("end_ns")).as_py()),
            states_from=StatesFrom.SAMPLES,
            step_ns=step_ns,
            names=dict(zip(zip(pid, tid), name)),  # a thread's last name
        )


class GpuMetrics(_Sampler):
    """The sampler of GPUs' sensors."""

    name = "GPU sensors"
    collected = ("gpu.arrow",)
    schema = gpu.METRICS_SCHEMA

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """The table ``gpu_metrics``."""
        table = gpu.read_gpu_metrics(file.path)
        if not table.num_rows:
            return None
        write_table("gpu_metrics", moved(table, -run.origin_ns), run.key, folder)
        return Part(folder)
