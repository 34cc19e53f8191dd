"""What machine and what software a measurement was made with.

What can't be known is None, and ``unknown`` says why. Nothing
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
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from .dataset.facts import Environment, Gpu, MotrixBuild, ProjectVersion
from .nvml import Handle, Nvml, load
from .output import JsonObject

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

Fact = TypeVar("Fact")
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0(.{20})", re.DOTALL)


class Unknown(Exception):
    """A fact that can't be known here; the message is the reason."""


def collect(output: Path) -> Environment:
    """The environment of a measurement whose files go to ``output``."""
    unknown: dict[str, str] = {}

    def known(name: str, fact: Callable[[], Fact | None], reason: str = "") -> Fact | None:
        try:
            value = fact()
        except (Unknown, OSError, KeyError, ImportError, subprocess.SubprocessError, RuntimeError) as error:
            value, reason = None, str(error) or type(error).__name__
        if value is None:
            unknown[name] = reason
        return value

    return Environment(
        os=known("os", lambda: platform.freedesktop_os_release()["PRETTY_NAME"]),
        kernel=known("kernel", platform.release),
        architecture=known("architecture", platform.machine),
        cpu_model=known("cpu_model", _cpu_model),
        cpu_physical_cores=known("cpu_physical_cores", _physical_cores, "the kernel does not report it"),
        cpu_logical_cores=known("cpu_logical_cores", lambda: len(os.sched_getaffinity(0))),
        memory_bytes=known("memory_bytes", _memory_bytes),
        disk_free_bytes=known("disk_free_bytes", lambda: shutil.disk_usage(output).free),
        gpus=known("gpus", lambda: _nvml(_gpus)),
        gpu_driver=known("gpu_driver", lambda: _nvml(lambda nvml: nvml.nvmlSystemGetDriverVersion())),
        cuda_driver=known("cuda_driver", lambda: _nvml(_cuda_version)),
        python=known("python", platform.python_version),
        packages=known("packages", _packages),
        motrixsim_build=known(
            "motrixsim_build", _own_motrixsim_build, "motrixsim's library was not found beside the package"
        ),
        motrace=known("motrace", _project),
        ffmpeg=known("ffmpeg", _ffmpeg, "ffmpeg did not report its version"),
        h264_encoder=known("h264_encoder", _h264_encoder, "this ffmpeg has no H.264 encoder"),
        unknown=unknown,
    )


def as_json(environment: Environment) -> JsonObject:
    """The form in which manifests hold our own environment; a measured program's is beside it."""
    return {key: value for key, value in asdict(environment).items() if key not in ("unilab", "program")}


def _physical_cores() -> int | None:
    import psutil

    return psutil.cpu_count(logical=False)


def _memory_bytes() -> int:
    import psutil

    return psutil.virtual_memory().total


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    raise Unknown("/proc/cpuinfo names no model")


def _nvml(ask: Callable[[Nvml], Fact]) -> Fact:
    nvml = load()
    try:
        return ask(nvml)
    except nvml.NVMLError as error:
        raise Unknown(f"NVML: {error}") from error
    finally:
        nvml.nvmlShutdown()


def _cuda_version(nvml: Nvml) -> str:
    version = nvml.nvmlSystemGetCudaDriverVersion_v2()
    return f"{version // 1000}.{version % 1000 // 10}"


def _gpus(nvml: Nvml) -> list[Gpu]:
    return [_gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(nvml.nvmlDeviceGetCount())]


def _gpu(nvml: Nvml, handle: Handle) -> Gpu:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    try:
        nvenc = nvml.nvmlDeviceGetEncoderCapacity(handle, nvml.NVML_ENCODER_QUERY_H264) > 0
    except nvml.NVMLError:  # not supported: this GPU has no encoder
        nvenc = False
    return Gpu(nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetMemoryInfo(handle).total, f"{major}.{minor}", nvenc)


def _packages() -> dict[str, str | None]:
    return {name: version for name in PACKAGES if (version := _version(name))}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _own_motrixsim_build() -> MotrixBuild | None:
    version = _version("motrixsim-core")
    if version is None:
        raise Unknown("motrixsim-core is not installed")
    spec = importlib.util.find_spec("motrixsim")
    return motrixsim_build(version, (spec.submodule_search_locations or ()) if spec else ())


def motrixsim_build(version: str | None, folders: Iterable[str]) -> MotrixBuild | None:
    """Version, and the GNU build id of the engine's library in ``folders``: two builds may bear one version."""
    for folder in folders:
        for library in sorted(Path(folder).glob("motrixsim.*.so")):
            with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found = _BUILD_ID.search(content)
                build_id = content[found.start(1) : found.end(1)].hex() if found else None
            return MotrixBuild(version, library.stat().st_size, build_id)
    return None


def _project() -> ProjectVersion:
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
    return ProjectVersion(__version__, commit or None, dirty, reason)


def _ffmpeg_output(*words: str) -> str:
    import imageio_ffmpeg

    done = subprocess.run(
        (imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *words), capture_output=True, text=True, timeout=20
    )
    return done.stdout


def _ffmpeg() -> str | None:
    found = re.search(r"ffmpeg version (\S+)", _ffmpeg_output("-version"))
    return found[1] if found else None


def _h264_encoder() -> str | None:
    found = re.search(r"Encoder (\S+)", _ffmpeg_output("-h", "encoder=h264"))
    return found[1] if found else None
