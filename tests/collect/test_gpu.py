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


class StandInError(Exception):
    """As pynvml.NVMLError."""


class StandIn:
    """Two GPUs; the second has no energy counter. Values tell which call they came from."""

    NVMLError = StandInError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_CLOCK_GRAPHICS, NVML_TEMPERATURE_GPU = 1, 2, 0, 0
    nvmlClocksEventReasonSwPowerCap = 4
    nvmlClocksEventReasonGpuIdle = 1

    def __init__(self) -> None:
        self.energy_asked: list[int] = []
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

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return 250_500

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        self.energy_asked.append(handle)
        if handle:
            raise StandInError("Not Supported")
        return int(time.monotonic() * 1000 * 100)  # 100 W

    def nvmlDeviceGetTemperature(self, handle: int, which: int) -> int:
        return 61

    def nvmlShutdown(self) -> None:
        self.shut_down += 1


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[StandIn, Path, list[str]]:
    nvml = StandIn()
    collector = GpuCollector(hz=50, load=lambda: nvml)
    collector.attach(1, tmp_path)
    time.sleep(1.4)
    return nvml, tmp_path / FILE, collector.finish(tmp_path)


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
    assert nvml.shut_down == 1
    assert nvml.energy_asked.count(1) == 1, "a sensor that is not there is asked once"
    assert len(warnings) == 1 and "encoder of GPU 0" in warnings[0] and "energy of GPU 1" in warnings[0]


def test_energy_between_two_times_is_what_the_counter_says(recorded: tuple[StandIn, Path, list[str]]) -> None:
    frame = read_gpu_metrics(recorded[1]).to_pandas()
    energy = frame[frame["metric"] == "energy"]
    seconds = (energy["t_ns"].iloc[-1] - energy["t_ns"].iloc[0]) / 1e9
    assert seconds > 1
    assert (energy["value"].iloc[-1] - energy["value"].iloc[0]) / seconds == pytest.approx(100, rel=0.02)
    assert energy["t_ns"].is_monotonic_increasing


def test_a_file_that_was_cut_off_is_read_up_to_there(recorded: tuple[StandIn, Path, list[str]]) -> None:
    path = recorded[1]
    whole = read_gpu_metrics(path).num_rows
    path.write_bytes(path.read_bytes()[:-1000])
    assert 0 < read_gpu_metrics(path).num_rows < whole
    path.write_text("nothing of the kind")
    with pytest.raises(MotraceError, match="no file of GPU sensors"):
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
