"""The renderer's own words about its adapter."""

from __future__ import annotations

from motrace.vulkan_adapter import is_software, parse_adapter
from motrace.workloads.probe import _reason

# As motrixsim 0.10.1 prints them, colours included.
LLVMPIPE = (
    "\x1b[2m2026-11-20T11:14:41Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mbevy_render::renderer\x1b[0m\x1b[2m:\x1b[0m "
    'AdapterInfo { name: "llvmpipe (LLVM 15.0.6, 256 bits)", vendor: 65541, device: 0, device_type: Cpu, '
    'device_pci_bus_id: "", driver: "llvmpipe", driver_info: "Mesa 22.3.6 (LLVM 15.0.6)", backend: Vulkan, '
    "subgroup_min_size: 8, subgroup_max_size: 8, transient_saves_memory: false }\n"
)
NO_GPU = """thread '<unnamed>' (16163) panicked at bevy_render-0.19.1/src/renderer/mod.rs:286:36:
Unable to find a GPU! Make sure you have installed required drivers! For extra information, see: a page
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
\x1b[31mERROR\x1b[0m motrix_render::client: Render app panicked during drop: Any { .. }
"""


def test_a_software_adapter() -> None:
    adapter = parse_adapter("before\n" + LLVMPIPE + "after")
    assert adapter == {
        "name": "llvmpipe (LLVM 15.0.6, 256 bits)",
        "device_type": "Cpu",
        "driver": "llvmpipe",
        "driver_info": "Mesa 22.3.6 (LLVM 15.0.6)",
        "backend": "Vulkan",
    }
    assert is_software(adapter)


def test_a_gpu() -> None:
    line = LLVMPIPE.replace("Cpu", "DiscreteGpu").replace("llvmpipe (LLVM 15.0.6, 256 bits)", "NVIDIA H200")
    adapter = parse_adapter(line)
    assert adapter is not None and adapter["name"] == "NVIDIA H200"
    assert not is_software(adapter)


def test_no_adapter() -> None:
    assert parse_adapter(NO_GPU) is None
    assert not is_software(None)


def test_the_reason_is_the_telling_line() -> None:
    assert _reason(NO_GPU) == "Unable to find a GPU"
    assert _reason("one\ntwo\n") == "two"
    assert _reason("") == "it printed nothing"
