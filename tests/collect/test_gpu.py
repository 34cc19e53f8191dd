"""The sampler of GPU sensors. NVML runs on no machine of ours: a stand-in shows what it would say."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from motrace.collect.gpu import FILE, GpuCollector, load_nvml
from motrace.errors import MotraceError
from motrace.readers.gpu import METRICS_SCHEMA, read_gpu_metrics
from tests.conftest import wait_for


class StandInError(Exception):
    """As pynvml.NVMLError."""


class StandIn:
    """Two GPUs; the second has no energy counter. Values tell which call they came from."""

    NVMLError = StandInError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_CLOCK_GRAPHICS, NVML_TEMPERATURE_GPU = 1, 2, 0, 0
    nvmlClocksEventReasonSwPowerCap = 4
    nvmlClocksEventReasonGpuIdle = 1
    NVML_SUCCESS, NVML_ERROR_NOT_FOUND = 0, 6

    def __init__(self) -> None:
        self.energy_asked: list[int] = []
        self.around_energy: list[tuple[int, int]] = []  # of GPU 0: what was asked before and after it, ns
        self.shut_down = 0

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=40 + handle, memory=10)

    def nvmlDeviceGetEncoderUtilization(self, handle: int) -> list[int]:
        raise StandInError("Not Supported")

    def nvmlDeviceGetDecoderUtilization(self, handle: int) -> list[int]:
        return [3, 100]

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        return 1000 + kind

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        return 4

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=5 << 30)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=77, usedGpuMemory=100), SimpleNamespace(pid=78, usedGpuMemory=None)]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=77, usedGpuMemory=300)]

    def nvmlDeviceGetProcessUtilization(self, handle: int, since_us: int) -> list[SimpleNamespace]:
        if handle:
            error = StandInError("Not Found")
            error.value = self.NVML_ERROR_NOT_FOUND  # type: ignore[attr-defined]
            raise error
        now_us = time.time_ns() // 1000
        assert 0 < now_us - since_us < 5_000_000, "UTC in microseconds, not long ago"
        return [
            SimpleNamespace(pid=77, timeStamp=now_us, smUtil=30, memUtil=1, encUtil=2, decUtil=0),
            SimpleNamespace(pid=77, timeStamp=now_us - 500_000, smUtil=99, memUtil=1, encUtil=99, decUtil=0),
        ]

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        self._before = time.monotonic_ns()
        return 250_500

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        self.energy_asked.append(handle)
        if handle:
            raise StandInError("Not Supported")
        return 1000 * len(self.energy_asked)

    def nvmlDeviceGetTemperature(self, handle: int, which: int) -> int:
        if not handle:
            self.around_energy.append((self._before, time.monotonic_ns()))
        return 61

    def nvmlShutdown(self) -> None:
        self.shut_down += 1


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[StandIn, Path, list[str]]:
    """Two batches and more: the first is written after a second, the last at the end."""
    folder = tmp_path_factory.mktemp("gpu")
    nvml = StandIn()
    collector = GpuCollector(hz=50, load=lambda: nvml)
    collector.attach(1, folder)
    wait_for(lambda: (folder / FILE).exists() and (folder / FILE).stat().st_size > 10_000)
    count = len(nvml.energy_asked)
    wait_for(lambda: len(nvml.energy_asked) > count)
    return nvml, folder / FILE, collector.finish(folder)


def test_every_sensor_becomes_rows(recorded: tuple[StandIn, Path, list[str]]) -> None:
    nvml, path, warnings = recorded
    table = read_gpu_metrics(path)
    assert table.schema.equals(METRICS_SCHEMA)
    frame = table.to_pandas()
    first = frame[frame["device"] == 0].groupby(frame["metric"].astype(str))["value"].first()
    assert first["utilisation"] == 40 and first["clock.sm"] == 1001 and first["memory_used"] == 5 << 30
    assert first["throttle.power_cap"] == 1 and first["throttle.idle"] == 0
    assert first["power"] == 250.5 and first["process.77.memory_used"] == 300
    assert "process.78.memory_used" not in first
    assert first["process.77.utilisation"] == 30 and first["process.77.encoder_utilisation"] == 2
    assert not any("process_utilisation" in text for text in warnings), "a GPU that nobody used is not a missing sensor"
    assert nvml.shut_down == 1
    assert nvml.energy_asked.count(1) == 1, "a sensor that is not there is asked once"
    assert len(warnings) == 1 and "encoder of GPU 0" in warnings[0] and "energy of GPU 1" in warnings[0]


def test_what_the_counter_said_bears_the_time_when_it_was_asked(recorded: tuple[StandIn, Path, list[str]]) -> None:
    nvml, path, _ = recorded
    frame = read_gpu_metrics(path).to_pandas()
    energy = frame[frame["metric"] == "energy"]
    asked = [number for number, device in enumerate(nvml.energy_asked, 1) if device == 0]
    assert energy["value"].tolist() == asked and len(asked) > 2
    assert len(nvml.around_energy) == len(asked)
    for t_ns, (before, after) in zip(energy["t_ns"].tolist(), nvml.around_energy):
        assert before <= t_ns <= after


def test_a_file_that_was_cut_off_is_read_up_to_there(recorded: tuple[StandIn, Path, list[str]], tmp_path: Path) -> None:
    path = tmp_path / FILE
    whole = read_gpu_metrics(recorded[1]).num_rows
    path.write_bytes(recorded[1].read_bytes()[:-1000])
    assert 0 < read_gpu_metrics(path).num_rows < whole
    path.write_text("nothing of the kind")
    with pytest.raises(MotraceError, match="not a file of GPU sensors"):
        read_gpu_metrics(path)


def test_without_a_gpu_it_says_so_and_costs_nothing(tmp_path: Path) -> None:
    try:
        load_nvml().nvmlShutdown()
    except RuntimeError:
        missing = GpuCollector().missing()
        assert missing is not None and "no NVIDIA GPU" in missing and "\n" not in missing
    else:
        assert GpuCollector().missing() is None
    before = threading.active_count()
    assert GpuCollector().finish(tmp_path) == [] and threading.active_count() == before
    assert not (tmp_path / FILE).exists()


def test_a_driver_that_fails_is_a_warning(tmp_path: Path) -> None:
    def fails() -> None:
        raise RuntimeError("NVML: Driver Not Loaded")

    collector = GpuCollector(load=fails)
    assert "Driver Not Loaded" in str(collector.missing())
    collector.attach(1, tmp_path)
    assert collector.finish(tmp_path) == ["gpu: NVML: Driver Not Loaded"]
