"""``--collect gpu``: sensors of NVIDIA GPUs through NVML, read by a thread of the launcher."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

from ..nvml import Handle, Nvml, load
from ..readers.gpu import METRICS_SCHEMA
from .base import Collector

FILE = "gpu.arrow"
DEFAULT_HZ = 20.0
FLUSH_S = 1.0
Reading = tuple[str, float, str]
"""Metric, value, unit."""

_THROTTLE = {
    "nvmlClocksEventReasonGpuIdle": "idle",
    "nvmlClocksEventReasonApplicationsClocksSetting": "application_clocks",
    "nvmlClocksEventReasonSwPowerCap": "power_cap",
    "nvmlClocksThrottleReasonHwSlowdown": "hardware_slowdown",
    "nvmlClocksEventReasonSyncBoost": "sync_boost",
    "nvmlClocksEventReasonSwThermalSlowdown": "thermal",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "hardware_thermal",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "power_brake",
}


def load_nvml() -> Nvml:
    """NVML where it sees a GPU. Raises ImportError, or RuntimeError with a line that says why not."""
    nvml = load()
    if not nvml.nvmlDeviceGetCount():
        raise RuntimeError("NVML sees no GPU")
    return nvml


def _throttle(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    mask = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    for name, reason in _THROTTLE.items():
        if hasattr(nvml, name):
            yield f"throttle.{reason}", float(bool(mask & getattr(nvml, name))), ""


def _utilisation(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    yield "utilisation", float(rates.gpu), "%"
    yield "memory_utilisation", float(rates.memory), "%"


def _memory(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    yield "memory_used", float(nvml.nvmlDeviceGetMemoryInfo(handle).used), "B"


def _processes(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    seen: dict[int, float] = {}
    for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        for process in ask(handle):
            if process.usedGpuMemory is not None:
                seen[process.pid] = max(seen.get(process.pid, 0.0), float(process.usedGpuMemory))
    for pid, used in seen.items():
        yield f"process.{pid}.memory_used", used, "B"


def _process_utilisation(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    """NVML keeps some samples of each process; the newest of the last second counts."""
    since_us = time.time_ns() // 1000 - 1_000_000
    try:
        samples = nvml.nvmlDeviceGetProcessUtilization(handle, since_us)
    except nvml.NVMLError as error:
        if getattr(error, "value", None) in (nvml.NVML_SUCCESS, nvml.NVML_ERROR_NOT_FOUND):
            return  # no process used the GPU meanwhile
        raise
    newest = {sample.pid: sample for sample in sorted(samples, key=lambda sample: sample.timeStamp)}
    for pid, sample in newest.items():
        yield f"process.{pid}.utilisation", float(sample.smUtil), "%"
        yield f"process.{pid}.encoder_utilisation", float(sample.encUtil), "%"


def _clock(kind: str) -> Callable[[Nvml, Handle], Iterator[Reading]]:
    def read(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
        clock = nvml.nvmlDeviceGetClockInfo(handle, getattr(nvml, f"NVML_CLOCK_{kind.upper()}"))
        yield f"clock.{kind}", float(clock), "MHz"

    return read


def _engine(name: str, function: str) -> Callable[[Nvml, Handle], Iterator[Reading]]:
    def read(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
        yield f"{name}_utilisation", float(getattr(nvml, function)(handle)[0]), "%"

    return read


def _power(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    yield "power", nvml.nvmlDeviceGetPowerUsage(handle) / 1e3, "W"


def _energy(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    yield "energy", nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, "J"


def _temperature(nvml: Nvml, handle: Handle) -> Iterator[Reading]:
    yield "temperature", float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)), "C"


SENSORS: dict[str, Callable[[Nvml, Handle], Iterator[Reading]]] = {
    "utilisation": _utilisation,
    "encoder": _engine("encoder", "nvmlDeviceGetEncoderUtilization"),
    "decoder": _engine("decoder", "nvmlDeviceGetDecoderUtilization"),
    "clock.sm": _clock("sm"),
    "clock.mem": _clock("mem"),
    "clock.graphics": _clock("graphics"),
    "throttle": _throttle,
    "memory": _memory,
    "power": _power,
    "energy": _energy,
    "temperature": _temperature,
    "processes": _processes,
    "process_utilisation": _process_utilisation,
}


class GpuSampler:
    """Reads every sensor of every GPU; one that a GPU does not have is asked only once."""

    def __init__(self, nvml: Nvml) -> None:
        self._nvml = nvml
        self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        self.without: dict[str, str] = {}

    def read(self) -> list[tuple[int, int, str, float, str]]:
        """Rows of ``gpu_metrics`` without the run; times are CLOCK_MONOTONIC ns, in the middle of each reading."""
        rows = []
        for device, handle in enumerate(self._handles):
            for name, sensor in SENSORS.items():
                if f"{name} of GPU {device}" in self.without:
                    continue
                begin = time.monotonic_ns()
                try:
                    readings = list(sensor(self._nvml, handle))
                except (self._nvml.NVMLError, AttributeError) as error:  # not on this GPU, or an older driver
                    self.without[f"{name} of GPU {device}"] = str(error)
                    continue
                t_ns = (begin + time.monotonic_ns()) // 2
                rows += [(t_ns, device, metric, value, unit) for metric, value, unit in readings]
        return rows


class GpuCollector(Collector):
    """Samples the GPUs at ``hz``; see docs/collect-python.md."""

    name = "gpu"
    intrusive = False

    def __init__(self, hz: float = DEFAULT_HZ, load: Callable[[], Nvml] = load_nvml) -> None:
        self._hz, self._load = hz, load
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._warnings: list[str] = []

    def missing(self) -> str | None:
        """None where NVML sees a GPU; else why not."""
        try:
            self._load().nvmlShutdown()
        except ImportError:
            return "no NVML binding: pip install nvidia-ml-py"
        except RuntimeError as error:
            return f"no NVIDIA GPU to sample here ({error}): leave out --collect gpu"
        return None

    def attach(self, pid: int, run_dir: Path) -> None:
        """Begin to sample."""
        self._thread = threading.Thread(target=self._sample, args=(run_dir / FILE,), name="gpu sensors", daemon=True)
        self._thread.start()

    def finish(self, run_dir: Path) -> list[str]:
        """Stop."""
        if self._thread is None:
            return []
        self._ended.set()
        self._thread.join()
        return self._warnings

    def _sample(self, path: Path) -> None:
        try:
            nvml = self._load()
        except (ImportError, RuntimeError) as error:
            self._warnings.append(f"gpu: {error}")
            return
        try:
            sampler = GpuSampler(nvml)
            with ipc.new_stream(str(path), METRICS_SCHEMA) as writer:
                self._loop(sampler, writer)
        except OSError as error:
            self._warnings.append(f"gpu: {path.name} could not be written ({error.strerror or error})")
        except nvml.NVMLError as error:
            self._warnings.append(f"gpu: NVML: {error}")
        else:
            if sampler.without:
                self._warnings.append("gpu: not available here: " + ", ".join(sorted(sampler.without)))
        finally:
            nvml.nvmlShutdown()

    def _loop(self, sampler: GpuSampler, writer: ipc.RecordBatchStreamWriter) -> None:
        rows: list[tuple[int, int, str, float, str]] = []
        due = flushed = time.monotonic()
        ended = False
        while not ended:
            rows += sampler.read()
            due = max(due + 1.0 / self._hz, time.monotonic())
            ended = self._ended.wait(due - time.monotonic())
            if rows and (ended or time.monotonic() - flushed > FLUSH_S):
                writer.write_batch(_batch(rows))
                rows, flushed = [], time.monotonic()


def _batch(rows: list[tuple[int, int, str, float, str]]) -> pa.RecordBatch:
    columns: list[pa.Array] = []
    for field, values in zip(METRICS_SCHEMA, zip(*rows)):
        dictionary = pa.types.is_dictionary(field.type)
        array = pa.array(values, pa.string() if dictionary else field.type)
        columns.append(array.dictionary_encode() if dictionary else array)
    return pa.RecordBatch.from_arrays(columns, schema=METRICS_SCHEMA)
