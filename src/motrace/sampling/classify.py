"""What a thread did, by the stack that a sample of it shows. The rules are data.

Frames are ``function (module)``, the outermost first, as py-spy with native frames writes them:
``take (motrace/workloads/video.py:91)``, ``array_tobytes (_multiarray_umath.cpython-311-x86_64-linux-gnu.so)``,
``? (libc.so.6)`` where a stripped library names no function. Only the native frames below the last
Python frame count: what Python called last is what the thread is doing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from ..dataset.stack_frames import is_native

INTERPRETER, COPYING, NATIVE = "interpreter", "copying", "native"
RECORDER = "recorder"
GIL, POOL_WITH_GIL, SLEEPING, PIPE, LOCK, WAIT = "gil", "native_pool_with_gil", "sleeping", "pipe", "lock", "wait"
RUNNING_CLASSES = (INTERPRETER, COPYING, NATIVE)
BLOCKED_CLASSES = (GIL, POOL_WITH_GIL, SLEEPING, PIPE, LOCK, WAIT)


@dataclass(frozen=True)
class Rule:
    """A class for stacks with certain native frames.

    ``functions`` and ``modules`` are patterns for a frame; ``among`` says where it must be: the
    innermost named frame (1), or among all native frames (0). No native frame may match ``unless``,
    and one must match ``needs`` if that is given. ``alone``: Python called it, nothing native between.
    """

    name: str
    functions: tuple[str, ...]
    modules: tuple[str, ...] = ("*",)
    among: int = 0
    unless: tuple[str, ...] = ()
    unless_modules: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    alone: bool = False


# Their waits are for work of their own, never for the GIL.
_OWN_THREADS = (
    *("libvulkan*", "libnvidia*", "libcuda*", "libgomp*", "libiomp*", "*openblas*", "libtorch*", "libc10*"),
    *("motrixsim*", "libgallium*", "libGL*", "libEGL*", "libmkl*", "libnccl*", "libcudnn*", "libcublas*"),
)
_LOCKS = (
    *("PyThread_acquire_lock*", "*lock_PyThread_acquire*", "acquire_timed", "rlock_acquire*", "_PyMutex_Lock*"),
    *("PyMutex_Lock*", "_PySemaphore_*", "_PyParkingLot_*"),
)
_COPIES = (
    *(
        "*memcpy*",
        "*memmove*",
        "*mempcpy*",
        "*memccpy*",
        "bcopy",
        "*_to_contig*",
        "_contig_*",
        "_aligned_*_to_*",
        "_strided_to_*",
    ),
    *("*copy_from_slice*", "*array_tobytes*", "PyArray_ToString*", "*bytes_concat*", "*_swap_*_to_*"),
)
# NumPy's loops that assign, cast, gather or join; a slice that is copied shows as the function around the inlined loop.
_NUMPY = ("*multiarray*",)
_NUMPY_COPIES = (
    *("*raw_array_*assign_*", "PyArray_Assign*", "PyArray_Copy*", "PyArray_NewCopy", "PyArray_Flatten", "array_flat*"),
    *("array_copy*", "array_assign_*", "array_boolean_subscript", "*_copyswap*", "*_byte_copy*", "*_byte_swap*"),
    *("_aligned_*_cast*", "_aligned_cast_*", "_cast_*_to_*", "PyArray_Cast*", "[A-Z]*_to_[A-Z]*", "PyArray_Byteswap"),
    *("*fasttake*", "*fastputmask*", "*fastrepeat*", "*mapiter_*", "PyArray_TakeFrom", "PyArray_PutMask"),
    *("PyArray_Concatenate*", "PyArray_Repeat", "*_move_references*", "npyiter_copy_*"),
)
# A leaf without a name in the C library is, with these callers, one of its copying functions.
_COPIERS = (
    *(*_COPIES, "*[Cc]opy*", "*tobytes*", "PyBytes_FromStringAndSize", "*_FromString*", "bytes*_new*"),
    *("*_join*", "*clone*", "*extend_from*", "*to_vec*", "*Concat*", "*concat*", "*assign_array*"),
)

RULES = (
    Rule(GIL, ("take_gil", "*PyEval_AcquireThread*", "*PyEval_RestoreThread*")),
    Rule(GIL, ("pthread_cond_timedwait",), among=1, unless=_LOCKS, unless_modules=_OWN_THREADS),
    # Giving up the GIL on request, a thread waits until another one has taken it.
    Rule(GIL, ("pthread_cond_wait",), among=1, alone=True),
    Rule(POOL_WITH_GIL, ("rayon_core::latch::LockLatch::wait*", "rayon_core::registry::*cold*"), ("motrixsim*",), 0),
    Rule(SLEEPING, ("clock_nanosleep", "nanosleep", "usleep", "time_sleep*", "pysleep*")),
    Rule(LOCK, _LOCKS),
    Rule(
        PIPE,
        ("write", "read", "writev", "readv", "__write", "__read", "os_write*", "os_read*", "_Py_write*", "_Py_read*"),
        among=1,
    ),
    Rule(
        WAIT,
        (
            "poll",
            "ppoll",
            "select",
            "pselect*",
            "epoll_wait",
            "epoll_pwait*",
            "wait4",
            "waitid",
            "waitpid",
            "pthread_cond_*wait",
            "pthread_join*",
            "pthread_clockjoin*",
            "pthread_timedjoin*",
            "sem_*wait",
            "recv*",
            "accept*",
            "connect",
            "pause",
            "sigwait*",
            "fsync",
            "fdatasync",
            "pthread_mutex_lock",
            "__lll_lock_wait*",
            "flock",
        ),
        among=1,
    ),
    Rule(WAIT, ("syscall",), among=1, needs=("*wait*", "*park*", "*Condvar*", "*lock*")),
    Rule(COPYING, _COPIES, among=1),
    Rule(COPYING, _NUMPY_COPIES, _NUMPY, among=1),
    Rule(COPYING, ("*npyiter_*", "NpyIter_*"), _NUMPY, among=1, needs=("*mapiter_*",)),  # gathers by an index
)

_OWN_FRAMES = "* (motrace/record/*"
_SYSTEM = ("libc.so*", "libc-*", "libpthread*", "ld-*", "[[]vdso]", "libm.so*", "[[]vsyscall]")
_STRIPPED = "?"  # the program itself, without symbols: Debian's python is one file
_INTERPRETER = (
    *("libpython*", "python", "python[23]*", "libffi*", "_ctypes*", "callproc.c:*", "callbacks.c:*"),
    # Sources of CPython, where it was built with debug information.
    *("*ceval*.c:*", "*object.c:*", "call.c:*", "abstract.c:*", "obmalloc.c:*", "gc*.c:*", "bltinmodule.c:*"),
    *("timemodule.c:*", "import.c:*", "pythonrun.c:*", "arraymodule.c:*", "thread*.c:*", "pystate.c:*"),
)
Frame = tuple[str, str]


def classify(frames: Sequence[str]) -> str:
    """The class of a stack: one of RUNNING_CLASSES or BLOCKED_CLASSES, ``native`` as ``native:<module>``.

    RECORDER is motrace's own: reading CPU clocks is where a busy kernel takes the core away, so that
    samples find a thread there far more often than it runs there.

    Of a stack without native frames nothing more is known than that Python ran or called something:
    take ``classify`` only for recordings with native frames.
    """
    return _classify(tuple(frames))


def coarse(name: str) -> str:
    """A class without the module."""
    return NATIVE if name.startswith(NATIVE + ":") else name


def is_running(name: str) -> bool:
    """Whether a class means that the thread had something to execute."""
    return coarse(name) in RUNNING_CLASSES


@lru_cache(maxsize=1 << 16)
def _classify(frames: tuple[str, ...]) -> str:
    native = _native(frames)
    if len(native) < len(frames) and fnmatchcase(frames[-len(native) - 1], _OWN_FRAMES):
        return RECORDER
    named = next((index for index, (function, _) in enumerate(native) if function != "?"), len(native))
    for rule in RULES:
        if _fits(rule, native, named):
            return rule.name
    if named and named < len(native) and _in(native[0][1], _SYSTEM) and _any(_COPIERS, native[named][0]):
        return COPYING
    for _, module in native:
        if not _in(module, _SYSTEM) and module != _STRIPPED:
            return INTERPRETER if _in(module, _INTERPRETER) else f"{NATIVE}:{short_module(module)}"
    return INTERPRETER


def _native(frames: tuple[str, ...]) -> list[Frame]:
    """The native frames below the last Python frame, the innermost first."""
    found: list[Frame] = []
    for frame in reversed(frames):
        function, _, module = frame.rpartition(" (")
        module = module.rstrip(")")
        if not is_native(frame):
            break
        found.append((function, module))
    return found


def _fits(rule: Rule, native: list[Frame], named: int) -> bool:
    candidates = native[named : named + 1] if rule.among else native
    if not any(_any(rule.functions, function) and _in(module, rule.modules) for function, module in candidates):
        return False
    if any(_any(rule.unless, function) or _in(module, rule.unless_modules) for function, module in native):
        return False
    if rule.alone and any(function != "?" for function, _ in native[named + 1 :]):
        return False
    return not rule.needs or any(_any(rule.needs, function) for function, _ in native)


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _in(module: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def short_module(module: str) -> str:
    """The name of a library without versions and suffixes: ``libcrypto`` of ``libcrypto.so.3``."""
    return re.split(r"\.cpython-|\.abi3|\.so|-[0-9a-f]{8}\.|\.c(?:pp|c|xx)?\b|\.h\b|\.rs\b", module, maxsplit=1)[0]
