"""What the profiler saw of the GPU: the calls of Vulkan and CUDA, and the work that they launched."""

from __future__ import annotations

from typing import Any

import numpy as np

from .config import LOOP_PID
from .schema import KERNEL, MEMCPY
from .tape import Tape, global_id
from .truth import NOT_IN_TRACE
from .world import Chunk, runs

Array = np.ndarray[Any, Any]

_VULKAN, _LABEL, _GPU = 53, 66, 54
_VULKAN_CALLS = (
    "vkCmdDrawIndexed", "vkCmdBindPipeline", "vkCmdPushConstants", "vkCmdBindDescriptorSets", "vkCmdSetViewport",
    "vkCmdDispatch", "vkBeginCommandBuffer", "vkEndCommandBuffer",
)  # fmt: skip
_KERNELS = ("gemm<float, 128>(float*, float*)", "elu(float*)", "normalise(float*, int)")
_PASSES = ("shadow_spot_light_0", "main_opaque_pass_3d", "tonemapping")


class GpuEvents:
    """Calls and operations."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._vulkan_id = 0

    def add(self, chunk: Chunk) -> None:
        """The rows of a chunk."""
        self._vulkan_calls(chunk)
        self._gpu(chunk)

    def _vulkan_calls(self, chunk: Chunk) -> None:
        """The renderer's threads record commands while they work."""
        some, config = self._tape.config.calls_per_slice, self._tape.config
        lengths = np.diff(chunk.edges)
        parts: list[tuple[Array, Array, Array, Array]] = []
        for thread, (owner, role), on in zip(config.threads(), self._tape.threads[1:], chunk.busy):
            place = np.flatnonzero(on)
            if not some or thread.role not in ("renderer", "task_pool") or not len(place):
                continue
            step = lengths[place] // some
            start = (chunk.edges[place][:, None] + step[:, None] * np.arange(some)).reshape(-1)
            end = start + np.repeat(step * 3 // 5, some)
            which = np.arange(len(start)) % len(_VULKAN_CALLS)
            for number, name in enumerate(_VULKAN_CALLS):
                self._tape.count(chunk, role, "vulkan", name, start[which == number], end[which == number])
            parts.append((start, end, np.full(len(start), owner), self._tape.export.ids(list(_VULKAN_CALLS))[which]))
        if parts:
            start, end, owners, names = (np.concatenate(part) for part in zip(*parts))
            order = np.argsort(start, kind="stable")
            self._vulkan(start[order], end[order], owners[order], names[order], self._tape.numbers(len(start)))
            self._labels(chunk, int(parts[0][2][0]))

    def _vulkan(self, start: Array, end: Array, owner: Any, name: Array, correlation: Array) -> None:
        ids = np.arange(self._vulkan_id, self._vulkan_id + len(start))
        self._vulkan_id += len(start)
        times = self._tape.times(start, end)
        rows: dict[str, Any] = {"eventClass": _VULKAN, "globalTid": owner, "nameId": name, "correlationId": correlation}
        self._tape.export.add(
            "VULKAN_API", {"id": ids, **times, **rows, "endCorrelationId": correlation, "contextId": 1}
        )

    def _labels(self, chunk: Chunk, owner: int) -> None:
        """A label for each of the renderer's passes, in each frame."""
        if chunk.first_frame is None:
            return
        begins = np.stack([chunk.stamps(number + 1) for number in range(len(_PASSES))], axis=1).reshape(-1)
        start = np.stack((begins, begins + 1), axis=1).reshape(-1)
        names = self._tape.export.ids(["vkCmdBeginDebugUtilsLabelEXT", "vkCmdEndDebugUtilsLabelEXT"])
        text = np.ma.zeros(len(start), np.int64)
        text[0::2] = np.tile(self._tape.export.ids(list(_PASSES)), chunk.frames)
        text[1::2] = np.ma.masked
        rows = {"eventClass": _LABEL, "globalTid": owner, "contextId": 7, "nameId": np.tile(names, len(begins))}
        times = self._tape.times(start, start)
        self._tape.export.add("VULKAN_DEBUG_API", {**times, **rows, "textId": text})

    def _gpu(self, chunk: Chunk) -> None:
        """Graphics submissions and kernels: what the GPU did, and the calls that launched it."""
        found = []
        if self._tape.config.workload and not self._tape.config.software:
            found.append((0, *self._operations(chunk, chunk.graphics, self._graphics)))
        found.append((self._tape.config.cuda_device, *self._operations(chunk, chunk.cuda, self._kernels)))
        device = np.concatenate([np.full(len(phase), number) for number, phase, *_ in found])
        phase, start, end = (np.concatenate([part[column] for part in found]) for column in (1, 2, 3))
        if len(phase):
            self._tape.truth.launch(phase, device, start, end)

    def _operations(self, chunk: Chunk, when: Array, write: Any) -> tuple[Array, Array, Array]:
        """Each stretch is one or two operations that overlap; each is launched earlier in its frame."""
        start, end = runs(when, chunk.edges)
        length = end - start
        split = (self._tape.random.random(len(start)) < 0.5) & (length > 4)
        first_end = np.where(split, start + length * 3 // 4, end)
        begins = np.concatenate((start, (start + length // 2)[split]))
        ends = np.concatenate((first_end, end[split]))
        frame = chunk.stamps(0)[np.searchsorted(chunk.stamps(0), begins, side="right") - 1]
        launch = begins - ((begins - frame) * self._tape.random.random(len(begins)) ** 2).astype(np.int64)
        order = np.argsort(begins, kind="stable")
        begins, ends, launch = begins[order], ends[order], launch[order]
        phase = self._tape.phase(chunk, launch).astype(object)
        lost = self._tape.random.random(len(begins)) < 0.03
        phase[lost] = NOT_IN_TRACE
        if len(begins):
            write(chunk, begins, ends, launch, ~lost)
        return phase.astype(str), begins, ends

    def _graphics(self, chunk: Chunk, start: Array, end: Array, launch: Array, known: Array) -> None:
        owner, role = self._tape.threads[1]
        correlation = self._tape.numbers(2 * len(start)).reshape(-1, 2)
        name = self._tape.export.id("vkQueueSubmit")
        count = int(known.sum())
        if count:
            calls = launch[known], launch[known] + 400
            self._vulkan(*calls, owner, np.full(count, name), correlation[known, 1])
            self._tape.count(chunk, role, "vulkan", "vkQueueSubmit", *calls)
        rows = {"eventClass": _GPU, "globalTid": owner, "nameId": np.full(len(start), name), "contextId": 5}
        numbers = {"correlationId": correlation[:, 0], "endCorrelationId": correlation[:, 1]}
        self._tape.export.add("VULKAN_WORKLOAD", {**self._tape.times(start, end), **rows, **numbers})

    def _kernels(self, chunk: Chunk, start: Array, end: Array, launch: Array, known: Array) -> None:
        correlation = self._tape.numbers(len(start))
        copies = np.arange(len(start)) % 5 == 4
        for name, some in (("cudaLaunchKernel_v7000", ~copies), ("cudaMemcpyAsync_v3020", copies)):
            mine = known & some
            if mine.any():
                self._tape.cuda_calls(name, launch[mine], launch[mine] + 300, correlation[mine])
                self._tape.count(chunk, "loop", "cuda", name.partition("_v")[0], launch[mine], launch[mine] + 300)
        rows = {"deviceId": self._tape.config.cuda_device, "streamId": 7, "globalPid": global_id(LOOP_PID)}
        for table, some in ((KERNEL, ~copies), (MEMCPY, copies)):
            times = self._tape.times(start[some], end[some])
            names = self._tape.export.ids(list(_KERNELS))[np.arange(int(some.sum())) % len(_KERNELS)]
            more: dict[str, Any] = {"demangledName": names, "shortName": names} if table == KERNEL else {"copyKind": 2}
            more |= {"bytes": 4096} if table == MEMCPY else {}
            self._tape.export.add(table, {**times, **rows, **more, "correlationId": correlation[some]})
