"""The Vulkan adapter that the renderer chose, as the renderer reports it."""

from __future__ import annotations

import re

_ADAPTER_LINE = re.compile(r"AdapterInfo \{(?P<fields>.*?)\}")
_ADAPTER_FIELD = re.compile(r'(\w+): (?:"([^"]*)"|([^,}]+))')
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def plain(log: str) -> str:
    """A log without the codes that colour it on a terminal."""
    return _ANSI.sub("", log)


def parse_adapter(log: str) -> dict[str, str] | None:
    """The adapter that the renderer chose, from its own ``AdapterInfo`` line; None if it printed none.

    Keys: name, device_type (Cpu, DiscreteGpu, IntegratedGpu, VirtualGpu, Other), driver,
    driver_info, backend.
    """
    match = _ADAPTER_LINE.search(plain(log))
    if match is None:
        return None
    fields = {key: (quoted or bare).strip() for key, quoted, bare in _ADAPTER_FIELD.findall(match["fields"])}
    return {key: fields.get(key, "") for key in ("name", "device_type", "driver", "driver_info", "backend")}


def is_software(adapter: dict[str, str] | None) -> bool:
    """Whether an adapter draws on the CPU."""
    return adapter is not None and adapter["device_type"] == "Cpu"
