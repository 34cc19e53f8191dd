"""What each thread and child process is: by what the program says, by its spans, its name, the library that started
it, or where it was first seen."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

STATED_ROLES = ("raster", "renderer", "task_pool", "sim_pool", "policy_pool", "encoder", "other")
"""What a program may say of a thread."""

_ENCODERS = (
    "ffmpeg*", "avconv*", "x26[45]*", "gst-launch*", "vpxenc*", "aomenc*", "SvtAv1Enc*", "rav1e*", "NVEncC*",
    "mencoder*", "gifski*", "gifsicle*", "MP4Box*", "HandBrakeCLI*", "vvencapp*",
)  # fmt: skip
_ROLE_BY_NAME = (
    ("llvmpipe-*", "raster"),
    ("*:disk$*", "raster"),  # Mesa's shader-cache thread
    ("IO Task Pool*", "task_pool"),
    ("Async Compute T*", "task_pool"),
    ("Compute Task Po*", "task_pool"),
    *((program, "encoder") for program in _ENCODERS),
    ("[[]NSys*", "profiler"),  # Nsight Systems' own threads in the process
    ("*CommsProcesso*", "profiler"),
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

_SIMULATES = ("environment", "step", "physics", "reset")
_ROLE_OF_CHILD_BY_ORIGIN = {
    **dict.fromkeys(_SIMULATES, "sim_pool"),
    **dict.fromkeys(("encoder", "encode", "encode.write", "encode.finish", "copy"), "encoder"),
}
_MOSTLY = 0.8
_FASTER = 3.0


_ROLE_BY_SPANS = _ROLE_BY_ORIGIN | {
    "env_videos": "renderer",
    "encode": "encoder",
    "encode.write": "encoder",
    "encode.finish": "encoder",
    "encoder": "encoder",
}


def role_rules() -> dict[str, tuple[tuple[str, str], ...]]:
    """The rules of ``role_of``, for the docs."""
    return {
        "own spans": tuple(_ROLE_BY_SPANS.items()),
        "name": _ROLE_BY_NAME,
        "library": _ROLE_BY_LIBRARY,
        "first seen in": tuple(_ROLE_BY_ORIGIN.items()),
        "of a child": tuple(_ROLE_OF_CHILD_BY_ORIGIN.items()),
    }


def role_by_spans(phases_ns: Mapping[str, int]) -> str | None:
    """The role of a thread that spent so much time in spans of its own; None where they are of no phase with a role."""
    by_role: dict[str, int] = {}
    for phase, ns in phases_ns.items():
        role = _ROLE_BY_SPANS.get(phase)
        if role is not None:
            by_role[role] = by_role.get(role, 0) + ns
    return max(by_role, key=lambda role: by_role[role]) if by_role else None


def may_hold_gil(role: str, library: str) -> bool:
    """Whether a thread of the process may run Python code: the interpreter started it, or nothing is known of it."""
    if library and role != "profiler":
        return any(fnmatchcase(library, pattern) for pattern in ("libpython*", "python*"))
    return role == "other"


def simulates(phase: str) -> bool:
    """Whether a phase is one in which the simulation works."""
    return phase in _SIMULATES


def is_worker(program: str, inside: tuple[float, int], outside: tuple[float, int]) -> bool:
    """Whether a child is a worker of the simulation: it runs Python, and works when the loop steps or resets.

    ``inside`` and ``outside`` such phases: its CPU time, and their wall time.
    """
    (used, wall), (other, rest) = inside, outside
    return fnmatchcase(program, "python*") and used > _MOSTLY * (used + other) and used * rest >= _FASTER * other * wall


def role_of(name: str, library: str, origin: str | None, is_child: bool) -> str:
    """The role of a thread or child process.

    ``name`` is the kernel's name of it (15 characters at most), ``library`` the one that started
    the thread, or what runs in a child (empty where that is not known), ``origin`` the span in which it was first
    seen. What the program says, and a thread's own spans, come before (``attribution.run``). The kernel's
    name decides first, then the library, then the origin, which tells apart
    the pools that one engine makes for simulation and for rendering. Of a child, each word of what runs in it is
    a name.
    """
    names, rules = ([name], _ROLE_BY_LIBRARY) if not is_child else ([name, *library.split()], ())
    for texts, patterns in ((names, _ROLE_BY_NAME), ([library], rules)):
        for pattern, role in patterns:
            if any(fnmatchcase(text, pattern) for text in texts):
                return role
    if is_child:
        return _ROLE_OF_CHILD_BY_ORIGIN.get(origin or "", "child")
    return _ROLE_BY_ORIGIN.get(origin or "", "other")
