"""Which adapter will the renderer choose? Asked of the renderer itself, in a process of its own."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time

from ..errors import MotraceError
from ..vulkan_adapter import parse_adapter, plain

PROBE = "import motrixsim.render as r; r.RenderApp(log_level='INFO', headless=True)"
TIMEOUT_S = 90.0
TELLING = ("Unable to", "Error", "panicked", "ERROR")
VULKAN_HELP = (
    "install a Vulkan driver: `apt-get install mesa-vulkan-drivers libvulkan1` draws on the CPU; on a GPU machine "
    "install the NVIDIA driver's libnvidia-gl package "
    "(in a container: NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility)"
)


def probe_adapter(python: str = sys.executable) -> dict[str, str]:
    """Start the headless renderer of the Motrix in ``python``, read its ``AdapterInfo`` line, end it. About 1.5 s.

    Raises MotraceError where it finds no Vulkan adapter; Motrix would then draw with OpenGL, whose
    pictures never come, or panic.
    """
    process = subprocess.Popen((python, "-c", PROBE), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        log = _read_until_adapter(process, time.monotonic() + TIMEOUT_S)
    finally:
        process.kill()
        process.wait()
    adapter = parse_adapter(log)
    if "No module named 'motrixsim'" in log:
        cure = "pip install 'motrace[workload]'" if python == sys.executable else "install motrixsim-core there"
        raise MotraceError(f"Motrix is not installed for {python}: {cure}, or use --mode none")
    if adapter is None:
        raise MotraceError(f"the renderer found no Vulkan adapter ({_reason(log)}): {VULKAN_HELP}")
    if adapter["backend"] != "Vulkan":
        raise MotraceError(
            f"the renderer found no Vulkan adapter, only {adapter['backend']} ({adapter['name']}): {VULKAN_HELP}"
        )
    return adapter


def _read_until_adapter(process: subprocess.Popen[bytes], deadline: float) -> str:
    assert process.stdout is not None
    log = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while parse_adapter(log.decode(errors="replace")) is None:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break  # it hangs
            block = os.read(process.stdout.fileno(), 1 << 16)
            if not block:
                break  # it ended
            log += block
    return log.decode(errors="replace")


def _reason(log: str) -> str:
    """The most telling line of what the renderer printed."""
    lines = [line.strip() for line in plain(log).splitlines() if line.strip()]
    for word in TELLING:
        for line in lines:
            if word in line:
                return line.split("! ")[0][:200]
    return (lines or ["it printed nothing"])[-1][:200]
