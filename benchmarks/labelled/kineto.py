"""A plan as a trace of torch.profiler (Kineto), as CUDA, ROCm and other vendors' plugins write it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .plan import MOST_LAUNCHES, Piece, Plan, Work

Value = str | int | float | dict[str, str | int | float]
BASE_US = 1_735_632_360_000_000


@dataclass(frozen=True)
class Vendor:
    """How a vendor's runtime is written: categories, and names of calls; ``sync`` waits for the device."""

    calls: str
    kernel: str
    copy: str
    launch: str
    sync: tuple[str, ...]
    async_copy: str
    upload: str = "Memcpy HtoD (Pinned -> Device)"
    download: str = "Memcpy DtoH (Device -> Pinned)"


CUDA = Vendor(
    "cuda_runtime", "kernel", "gpu_memcpy", "cudaLaunchKernel",
    ("cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize"), "cudaMemcpyAsync",
)  # fmt: skip
ROCM = Vendor("cuda_runtime", "kernel", "gpu_memcpy", "hipLaunchKernel",
              ("hipDeviceSynchronize", "hipStreamSynchronize", "hipEventSynchronize"), "hipMemcpyAsync",
              "CopyHostToDevice", "CopyDeviceToHost")  # fmt: skip
XPU = Vendor("xpu_runtime", "kernel", "gpu_memcpy", "urEnqueueKernelLaunch", ("urEventWait", "urQueueFinish"),
             "urEnqueueUSMMemcpy", "Memcpy M2D", "Memcpy D2M")  # fmt: skip
MTIA = Vendor("mtia_runtime", "mtia_ccp_events", "mtia_ccp_events", "runFunction", ("waitForCompletion",), "runDma",
              "DMA HtoD", "DMA DtoH")  # fmt: skip
HPU = Vendor("privateuse1_runtime", "hpu_op", "hpu_op", "synLaunch", ("synStreamSynchronize",), "synMemCopyAsync",
             "memcpy_h2d", "memcpy_d2h")  # fmt: skip


@dataclass
class KinetoBuilder:
    """Events of a trace. ``stacks``: Python functions were recorded too, so that a sleep has a name."""

    random: np.random.Generator
    vendor: Vendor = CUDA
    pid: int = 4100
    device: int = 0
    stacks: bool = False
    events: list[dict[str, Value]] = field(default_factory=list)
    last: int = 0

    def add(self, cat: str, name: str, start: int, end: int, on: tuple[int, int] | None = None, **args: int) -> None:
        """A complete event; times in ns from the base."""
        pid, tid = on or (self.pid, self.pid)
        self.events.append({"ph": "X", "cat": cat, "name": name, "pid": pid, "tid": tid, "ts": BASE_US + start / 1000,
                            "dur": (end - start) / 1000, "args": {**args}})  # fmt: skip

    def call(self, start: int, end: int, name: str) -> int:
        """A call of the runtime; returns its number."""
        self.last += 1
        self.add(self.vendor.calls, name, start, end, correlation=self.last)
        return self.last

    def operation(self, start: int, end: int, correlation: int, cat: str, name: str) -> None:
        """The device's work."""
        numbers = {"device": self.device, "stream": 7, "correlation": correlation}
        if "memcpy" in cat:
            numbers["bytes"] = (end - start) * 25
        self.add(cat, name, start, end, (self.device, 7), **numbers)

    def play(self, plan: Plan) -> None:
        """The events of a plan."""
        for piece in plan.pieces:
            self._piece(piece, piece.start_ns, piece.end_ns)

    def _piece(self, piece: Piece, start: int, end: int) -> None:
        vendor = self.vendor
        if piece.work is Work.PYTHON:
            step = max(50_000, (end - start) // 20)
            for now in range(start, end - step // 2, step):
                self.add("cpu_op", "aten::index_put_", now, min(end, now + step - 300))
            if self.stacks:
                self.add("python_function", "dataset.py(40): __getitem__", start, end)
        elif piece.work is Work.SLEEP:
            if self.stacks:
                self.add("python_function", "<built-in function sleep>", start, end)
        elif piece.work is Work.LAUNCH:
            step = max(15_000, (end - start) // MOST_LAUNCHES)
            for now in range(start, end - step, step):
                self.add("cpu_op", "aten::add_", now, now + step - 500)
                number = self.call(now + 2_000, now + step - 3_000, vendor.launch)
                self.operation(now + step - 2_500, now + step - 1_000, number, vendor.kernel, "elementwise_kernel")
        else:
            self._waits(piece.work, start, end)

    def _waits(self, work: Work, start: int, end: int) -> None:
        vendor, sync = self.vendor, self.vendor.sync
        if work is Work.KERNEL:
            self.add("cpu_op", "aten::mm", start, start + 14_000)
            number = self.call(start + 4_000, start + 10_000, vendor.launch)
            self.operation(start + 12_000, end - 3_000, number, vendor.kernel, "ampere_sgemm_128x64_tn")
        else:
            self.add("cpu_op", "aten::copy_", start, start + 14_000)
            number = self.call(start + 4_000, start + 10_000, vendor.async_copy)
            name = vendor.upload if work is Work.UPLOAD else vendor.download
            self.operation(start + 12_000, end - 3_000, number, vendor.copy, name)
        self.call(start + 14_500, end, sync[int(self.random.integers(len(sync)))])

    def annotate(self, plan: Plan, name: str = "ProfilerStep#{}", gpu: bool = False) -> None:
        """An annotation for each iteration; with ``gpu`` also its copy on the device."""
        for number, (start, end) in enumerate(plan.edges):
            self.add("user_annotation", name.format(number), start, end)
            if gpu:
                self.add("gpu_user_annotation", name.format(number), start + 9_000, end - 2_000, (self.device, 7))

    def text(self, rank: int | None = None) -> str:
        """The file."""
        data: dict[str, object] = {"schemaVersion": 1, "deviceProperties": [{"id": self.device, "name": "Device"}]}
        if rank is not None:
            data["distributedInfo"] = {"backend": "nccl", "rank": rank, "world_size": 2}
        meta = [{"ph": "M", "name": "process_name", "pid": self.pid, "tid": 0, "args": {"name": "python"}}]
        order = self.random.permutation(len(self.events)) if self.random.random() < 0.3 else range(len(self.events))
        return json.dumps({**data, "traceEvents": [*meta, *(self.events[int(row)] for row in order)]})

    def write(self, path: Path, rank: int | None = None) -> None:
        """Write it."""
        path.write_text(self.text(rank))
