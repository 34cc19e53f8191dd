"""What machine and what software a measurement was made with.

``collect`` returns plain values; what can't be known is None, and ``unknown`` says why. Nothing
here names the host, the user or a path.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import mmap
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PACKAGES = (
    "motrixsim-core",
    "torch",
    "numpy",
    "nvtx",
    "mediapy",
    "imageio-ffmpeg",
    "pyarrow",
    "pandas",
    "py-spy",
    "scalene",
)
PROJECT = Path(__file__).resolve().parents[2]

_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0(.{20})", re.DOTALL)


class Unknown(Exception):
    """A fact that can't be known here; the message is the reason."""


def collect(output: Path) -> dict[str, Any]:
    """The environment of a measurement whose files go to ``output``."""
    facts: dict[str, Callable[[], Any]] = {
        "os": lambda: platform.freedesktop_os_release()["PRETTY_NAME"],
        "kernel": platform.release,
        "architecture": platform.machine,
        "cpu_model": _cpu_model,
        "cpu_physical_cores": lambda: _known(_psutil().cpu_count(logical=False), "the kernel does not tell"),
        "cpu_logical_cores": lambda: len(os.sched_getaffinity(0)),
        "memory_bytes": lambda: _psutil().virtual_memory().total,
        "disk_free_bytes": lambda: shutil.disk_usage(output).free,
        "gpus": _gpus,
        "gpu_driver": lambda: _nvml(lambda nvml: nvml.nvmlSystemGetDriverVersion()),
        "cuda_driver": lambda: _nvml(_cuda_version),
        "python": platform.python_version,
        "packages": lambda: {name: version for name in PACKAGES if (version := _version(name))},
        "motrixsim_build": _own_motrixsim_build,
        "motrace": _project,
        "ffmpeg": _ffmpeg,
        "h264_encoder": _h264_encoder,
    }
    values: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for name, fact in facts.items():
        try:
            values[name] = fact()
        except (Unknown, OSError, KeyError, ImportError, subprocess.SubprocessError, RuntimeError) as error:
            values[name] = None
            unknown[name] = str(error) or type(error).__name__
    return {**values, "unknown": unknown}


def _known(value: Any, reason: str) -> Any:
    if value is None:
        raise Unknown(reason)
    return value


def _psutil() -> Any:
    import psutil

    return psutil


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    raise Unknown("/proc/cpuinfo names no model")


def _nvml(ask: Callable[[Any], Any]) -> Any:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise Unknown(f"NVML: {error}") from error
    try:
        return ask(pynvml)
    except pynvml.NVMLError as error:
        raise Unknown(f"NVML: {error}") from error
    finally:
        pynvml.nvmlShutdown()


def _cuda_version(nvml: Any) -> str:
    version = nvml.nvmlSystemGetCudaDriverVersion_v2()
    return f"{version // 1000}.{version % 1000 // 10}"


def _gpus() -> list[dict[str, Any]]:
    return list(_nvml(lambda nvml: [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]))


def _gpu(nvml: Any, index: int) -> dict[str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    try:
        nvenc = nvml.nvmlDeviceGetEncoderCapacity(handle, nvml.NVML_ENCODER_QUERY_H264) > 0
    except nvml.NVMLError:  # not supported: this GPU has no encoder
        nvenc = False
    return {
        "name": nvml.nvmlDeviceGetName(handle),
        "memory_bytes": nvml.nvmlDeviceGetMemoryInfo(handle).total,
        "compute_capability": f"{major}.{minor}",
        "nvenc": nvenc,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _own_motrixsim_build() -> dict[str, Any]:
    version = _known(_version("motrixsim-core"), "motrixsim-core is not installed")
    spec = importlib.util.find_spec("motrixsim")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    build: dict[str, Any] = _known(
        motrixsim_build(version, folders), "motrixsim's library was not found beside the package"
    )
    return build


def motrixsim_build(version: str | None, folders: Iterable[str]) -> dict[str, Any] | None:
    """Version, and the GNU build id of the engine's library in ``folders``: two builds may bear one version."""
    for folder in folders:
        for library in sorted(Path(folder).glob("motrixsim.*.so")):
            with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found = _BUILD_ID.search(content)
                build_id = content[found.start(1) : found.end(1)].hex() if found else None
            return {"version": version, "library_bytes": library.stat().st_size, "build_id": build_id}
    return None


def _project() -> dict[str, Any]:
    """Version, commit and dirty flag of motrace itself."""
    from . import __version__

    def git(*words: str) -> str:
        done = subprocess.run(("git", "-C", str(PROJECT), *words), capture_output=True, text=True, timeout=10)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        dirty = bool(git("status", "--porcelain")) if commit else None
    except (OSError, subprocess.SubprocessError):
        commit, dirty = "", None
    reason = None if commit else "not run from a git checkout, or no git"
    return {"version": __version__, "commit": commit or None, "dirty": dirty, "commit_unknown": reason}


def _ffmpeg_output(*words: str) -> str:
    import imageio_ffmpeg

    done = subprocess.run(
        (imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *words), capture_output=True, text=True, timeout=20
    )
    return done.stdout


def _ffmpeg() -> str:
    found = re.search(r"ffmpeg version (\S+)", _ffmpeg_output("-version"))
    return found[1] if found else _known(None, "ffmpeg did not tell its version")


def _h264_encoder() -> str:
    found = re.search(r"Encoder (\S+)", _ffmpeg_output("-h", "encoder=h264"))
    return found[1] if found else _known(None, "this ffmpeg has no H.264 encoder")
