"""NVIDIA's management library, as far as it is used here: the package ``nvidia-ml-py`` has no types."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Protocol, cast

Handle = ctypes.c_void_p
"""A GPU, to NVML."""


class Memory(Protocol):
    """Bytes."""

    total: int
    used: int


class Rates(Protocol):
    """Percent of the last sampling period."""

    gpu: int
    memory: int


class GpuProcess(Protocol):
    """A process that holds memory of a GPU."""

    pid: int
    usedGpuMemory: int | None


class ProcessRates(Protocol):
    """What a process used of a GPU, percent; ``timeStamp`` in us."""

    pid: int
    timeStamp: int
    smUtil: int
    encUtil: int


class Nvml(Protocol):
    """The binding's module."""

    NVMLError: type[Exception]
    NVML_SUCCESS: int
    NVML_ERROR_NOT_FOUND: int
    NVML_TEMPERATURE_GPU: int
    NVML_ENCODER_QUERY_H264: int
    nvmlShutdown: Callable[[], None]
    nvmlSystemGetDriverVersion: Callable[[], str]
    nvmlSystemGetCudaDriverVersion_v2: Callable[[], int]
    nvmlDeviceGetCount: Callable[[], int]
    nvmlDeviceGetHandleByIndex: Callable[[int], Handle]
    nvmlDeviceGetName: Callable[[Handle], str]
    nvmlDeviceGetMemoryInfo: Callable[[Handle], Memory]
    nvmlDeviceGetCudaComputeCapability: Callable[[Handle], tuple[int, int]]
    nvmlDeviceGetEncoderCapacity: Callable[[Handle, int], int]
    nvmlDeviceGetCurrentClocksEventReasons: Callable[[Handle], int]
    nvmlDeviceGetUtilizationRates: Callable[[Handle], Rates]
    nvmlDeviceGetComputeRunningProcesses: Callable[[Handle], Sequence[GpuProcess]]
    nvmlDeviceGetGraphicsRunningProcesses: Callable[[Handle], Sequence[GpuProcess]]
    nvmlDeviceGetProcessUtilization: Callable[[Handle, int], Sequence[ProcessRates]]
    nvmlDeviceGetClockInfo: Callable[[Handle, int], int]
    nvmlDeviceGetPowerUsage: Callable[[Handle], int]
    nvmlDeviceGetTotalEnergyConsumption: Callable[[Handle], int]
    nvmlDeviceGetTemperature: Callable[[Handle, int], int]


def load() -> Nvml:
    """The binding, initialised. Raises ImportError, or RuntimeError with a line that says why not."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise RuntimeError(f"NVML: {error}") from error
    return cast(Nvml, pynvml)
