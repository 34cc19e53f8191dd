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
GIL, POOL_WITH_GIL, SLEEPING, PIPE, FILE = "gil", "native_pool_with_gil", "sleeping", "pipe", "file"
LOCK, WAIT = "lock", "wait"
RUNNING_CLASSES = (INTERPRETER, COPYING, NATIVE)
BLOCKED_CLASSES = (GIL, POOL_WITH_GIL, SLEEPING, PIPE, FILE, LOCK, WAIT)


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
# Their callers are in the C library for a lock of their own: by name, as its inner functions have none.
_OTHER_LOCKS = (*_LOCKS, *("*[Ss]em[Ll]ock*", "*[Ss]emaphore*", "*[Mm]utex*", "*[Cc]ond[Vv]ar*", "*[Cc]ondition*"))
_SLEEPS = ("clock_nanosleep", "nanosleep", "usleep", "sleep")
# What moves memory, by the verb in the function's own name (without templates and arguments).
_COPIES = re.compile(r"mem[pc]?c?py|memmove|bcopy|(?<![a-z])copy(?!sign|right)|Copy(?!Sign|right)|tobytes|bytes_concat")
# NumPy: loops that assign, cast, gather or join; a copied slice shows as the function around the inlined loop.
_NUMPY = ("*multiarray*",)
_NUMPY_COPIES = re.compile(
    r"copy|cast|take|assign|_to_|swap|repeat|concat|mapiter|flat|putmask|putto|tobytes|tostring|boolean_subscript"
    r"|move_references|choose|where$|transfer",
    re.IGNORECASE,
)
_NUMPY_COMPUTES = re.compile(
    r"copysign|sum_of_products|unique_|string_to_|_to_string|strtod|strided_loop", re.IGNORECASE
)
# torch: the kernel that a loop calls is a template argument of the loop.
_TORCH = ("libtorch*", "libc10*")
_KERNEL = re.compile(r"\w+_kernel\b")
_TORCH_COPIES = re.compile(
    r"copy(?!sign)|(?<![a-z])cat(?![a-z])|clone|gather|(index|take|scatter)(?!_(add|reduce))|repeat|flip|roll"
)
# A leaf without a name in the C library is one of its memory functions: with these callers it copies,
_COPIERS = re.compile(
    r"[Cc]opy(?!sign)|tobytes|_FromString|bytes\w*_new|_join|clone|extend_from|to_vec|[Cc]oncat|assign_array"
)
# and in a library of arrays, or in the interpreter itself, unless the caller does something else with memory.
_OTHER_MEMORY = re.compile(r"zero|fill|memset|find|search|count|compare|equal|parse|format|sort", re.IGNORECASE)

RULES = (
    Rule(GIL, ("take_gil", "drop_gil", "*PyEval_AcquireThread*", "*PyEval_RestoreThread*", "_PyThreadState_Attach*")),
    Rule(GIL, ("pthread_cond_timedwait",), unless=_LOCKS, unless_modules=_OWN_THREADS),
    # Giving up the GIL on request, a thread waits until another one has taken it.
    Rule(GIL, ("pthread_cond_wait",), among=1, alone=True),
    Rule(POOL_WITH_GIL, ("rayon_core::latch::LockLatch::wait*", "rayon_core::registry::*cold*"), ("motrixsim*",), 0),
    # A library that sleeps polls for something; the program's own sleep is on purpose.
    Rule(SLEEPING, _SLEEPS, among=1, unless_modules=_OWN_THREADS),
    Rule(SLEEPING, ("select", "pselect*"), among=1, needs=("time_sleep*", "pysleep*")),
    Rule(LOCK, _LOCKS),
    Rule(PIPE, ("write", "read", "writev", "readv", "__write", "__read"), among=1),
    Rule(
        FILE, ("fsync", "fdatasync", "sync_file_range", "pread*", "pwrite*", "posix_fallocate*", "ftruncate*"), among=1
    ),
    Rule(
        WAIT,
        (
            *("poll", "ppoll", "select", "pselect*", "epoll_wait", "epoll_pwait*", "pause", "sigwait*", "flock"),
            *(
                "wait4",
                "waitid",
                "waitpid",
                "pthread_cond_*wait",
                "sem_*wait",
                "pthread_mutex_lock",
                "__lll_lock_wait*",
            ),
            *("pthread_join*", "pthread_clockjoin*", "pthread_timedjoin*", "recv*", "accept*", "connect", *_SLEEPS),
        ),
        among=1,
    ),
    Rule(WAIT, ("syscall",), among=1, needs=("*wait*", "*park*", "*Condvar*", "*lock*")),
)

_OWN_FRAMES = "* (motrace/record/*"
_SYSTEM = ("libc.so*", "libc-*", "libpthread*", "ld-*", "[[]vdso]", "libm.so*", "[[]vsyscall]")
_LIBC = ("libc.so*", "libc-*")
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
    if _in_mutex(native):
        return LOCK if any(_any(_OTHER_LOCKS, function) for function, _ in native) else GIL
    for rule in RULES:
        if _fits(rule, native, named):
            return rule.name
    if _copies(native, named):
        return COPYING
    for _, module in native:
        if not _in(module, _SYSTEM) and module != _STRIPPED:
            return INTERPRETER if _in(module, _INTERPRETER) else f"{NATIVE}:{short_module(module)}"
    return INTERPRETER


def _in_mutex(native: list[Frame]) -> bool:
    """Whether the thread is inside the C library for a lock, for the interpreter or an extension module.

    What the C library exports has a name even where it was stripped. Its inner functions have none, and two of
    them are the slow way through a mutex or a semaphore. It is the GIL's, which a thread takes or gives up there,
    unless a function that takes another lock called it.
    """
    nameless = next((index for index, frame in enumerate(native) if frame[0] != "?" or not _in(frame[1], _LIBC)), None)
    if nameless is None:
        return len(native) >= 2
    callers = [module for _, module in native[nameless:]]
    return nameless >= 2 and all(
        _in(module, _INTERPRETER) or module == _STRIPPED or not _in(module, ("lib*", *_OWN_THREADS))
        for module in callers
    )


def _copies(native: list[Frame], named: int) -> bool:
    """Whether the innermost function moves memory."""
    if named == len(native):  # the interpreter itself, stripped, or no frame but a memory function of its
        return len(native) == 1 and _in(native[0][1], _LIBC)
    function, module = native[named]
    if named and _in(native[0][1], _LIBC):
        of_arrays = _in(module, (*_NUMPY, *_TORCH, *_INTERPRETER))
        return not _OTHER_MEMORY.search(_own_name(function)) if of_arrays else bool(_COPIERS.search(function))
    if _in(module, _NUMPY):
        gathers = "npyiter" in function.lower() and any("mapiter" in name for name, _ in native)
        return gathers or bool(_NUMPY_COPIES.search(function) and not _NUMPY_COMPUTES.search(function))
    if _in(module, _TORCH) and not function.startswith("mkl_"):
        kernel = _KERNEL.search(function)
        return bool(_TORCH_COPIES.search(kernel[0] if kernel else _own_name(function)))
    return bool(_COPIES.search(_own_name(function)))


def _own_name(function: str) -> str:
    """The last part of a C++ or Rust name, without what it was made for."""
    return re.split(r"::", re.sub(r"(?<=\w)[<(].*", "", function))[-1] if function[:1] != "<" else function


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
