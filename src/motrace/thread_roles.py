"""What each thread and child process is: by its name, the library that started it, or where it was first seen."""

from __future__ import annotations

from fnmatch import fnmatchcase

_ROLE_BY_NAME = (
    ("llvmpipe-*", "raster"),
    ("*:disk$*", "raster"),  # Mesa's shader-cache thread
    ("IO Task Pool*", "task_pool"),
    ("Async Compute T*", "task_pool"),
    ("Compute Task Po*", "task_pool"),
    ("ffmpeg*", "encoder"),
)
_ROLE_BY_LIBRARY = (
    ("libvulkan_lvp*", "raster"),  # Mesa's software Vulkan: queue, rasterizer, compute and cache threads
    ("swrast_dri*", "raster"),
    ("libgallium*", "raster"),
    ("libnvidia*", "renderer"),  # NVIDIA's graphics driver
    ("libGLX_nvidia*", "renderer"),
    ("libgomp*", "policy_pool"),
    ("libiomp*", "policy_pool"),
    ("libtorch*", "policy_pool"),
    ("libc10*", "policy_pool"),
    ("libcuda*", "policy_pool"),
    ("libpython*", "other"),
    ("python*", "other"),
    ("*openblas*", "other"),
)
_ROLE_BY_ORIGIN = {
    "renderer": "renderer",
    "capture": "renderer",
    "submit": "renderer",
    "wait": "renderer",
    "take": "renderer",
    "environment": "sim_pool",
    "step": "sim_pool",
    "physics": "sim_pool",
    "reset": "sim_pool",
    "checkpoint": "policy_pool",
    "policy": "policy_pool",
    "export": "policy_pool",
}


def role_rules() -> dict[str, tuple[tuple[str, str], ...]]:
    """The rules of ``role_of``, for the docs."""
    return {"name": _ROLE_BY_NAME, "library": _ROLE_BY_LIBRARY, "first seen in": tuple(_ROLE_BY_ORIGIN.items())}


def may_hold_gil(role: str, library: str) -> bool:
    """Whether a thread of the process may run Python code: the interpreter started it, or nothing is known of it."""
    if library:
        return any(fnmatchcase(library, pattern) for pattern in ("libpython*", "python*"))
    return role == "other"


def role_of(name: str, library: str, origin: str | None, is_child: bool) -> str:
    """The role of a thread or child process.

    ``name`` is the kernel's name of it (15 characters at most), ``library`` the one that started
    the thread (empty where that is not known), ``origin`` the span in which it was first
    seen. The kernel's name decides first, then the library, then the origin, which tells apart
    the pools that one engine makes for simulation and for rendering.
    """
    for text, rules in ((name, _ROLE_BY_NAME), (library, _ROLE_BY_LIBRARY)):
        for pattern, role in rules:
            if fnmatchcase(text, pattern):
                return role
    if is_child:
        return "child"
    return _ROLE_BY_ORIGIN.get(origin or "", "other")
