"""What a blocked thread waits on, from the system call and the kernel function that it is in."""

from __future__ import annotations

from ..vocabulary import FUTEX_CALLS

_X86_64 = {
    "futex": tuple(map(int, FUTEX_CALLS["x86_64"])),
    "sleep": (35, 230),
    "poll": (7, 271, 23, 270, 232, 281, 441),
    "ioctl": (16,),
    "file": (0, 1, 17, 18, 19, 20, 295, 296, 74, 75, 77, 285, 40, 275, 326),
    "socket": (41, 42, 43, 44, 45, 46, 47, 288, 299, 307),
    "child": (61, 247),
    "memory": (9, 10, 11, 12, 25, 26, 28),
    "signal": (34, 128, 130),
}
_AARCH64 = {
    "futex": tuple(map(int, FUTEX_CALLS["aarch64"])),
    "sleep": (101, 115),
    "poll": (73, 72, 22, 441),
    "ioctl": (29,),
    "file": (63, 64, 65, 66, 67, 68, 69, 70, 82, 83, 46, 47, 71, 76, 285),
    "socket": (198, 202, 203, 206, 207, 211, 212, 242, 243, 269),
    "child": (95, 260),
    "memory": (214, 215, 216, 222, 226, 227, 233),
    "signal": (133, 137),
}
KINDS: dict[str, dict[str, str]] = {
    machine: {str(number): kind for kind, numbers in calls.items() for number in numbers}
    for machine, calls in (("x86_64", _X86_64), ("aarch64", _AARCH64))
}
"""By machine: system call number (decimal text) -> kind of wait."""

NAMES_ITS_FILE = {
    str(number) for calls in (_X86_64, _AARCH64) for kind in ("ioctl", "file", "socket") for number in calls[kind]
}
"""Calls whose first argument is a file descriptor, on any machine: one extra look-up is harmless."""

GIL = "gil"
"""What a futex call is about, in the place of a file, where its address is that of the interpreter's lock."""

_GPU_DEVICES = ("/dev/nvidia", "/dev/dri/", "/dev/kfd")
# Of the kernel function, where the call is not known or does not tell.
_BY_WCHAN = (
    ("pipe", ("pipe_",)),
    ("futex", ("futex_",)),
    ("sleep", ("nanosleep",)),
    ("poll", ("poll_schedule", "do_poll", "do_select", "ep_poll")),
    ("child", ("do_wait", "kernel_wait")),
    ("disk", ("io_schedule", "folio_wait", "wait_on_page", "jbd2_", "blk_", "rq_qos", "balance_dirty", "bit_wait")),
    ("socket", ("skb_", "sk_wait", "unix_stream", "inet_", "tcp_")),
    ("memory", ("rwsem_down", "userfault", "migration_entry")),
    ("gpu", ("nvidia", "os_acquire", "dma_fence", "drm_")),
)


def waits_on(letter: str, wchan: str, call: str, file: str, machine: str) -> str:
    """What a blocked thread waits on.

    ``letter`` is its state in /proc, ``wchan`` the kernel function it sleeps in (may be empty),
    ``call`` the number of its system call (may be empty; -1: none, as in a page fault), ``file``
    what the call's descriptor leads to, or GIL. One of futex, gil (the interpreter's lock), pipe,
    poll, gpu (a call on a GPU device), ioctl, sleep, disk, socket, file, child, memory (page faults
    included), signal, stopped, other.
    """
    if letter in "Tt" or wchan in ("do_signal_stop", "ptrace_stop"):
        return "stopped"
    if file == GIL:
        return "gil"
    if file.startswith(_GPU_DEVICES):
        return "gpu"
    kind = KINDS.get(machine, {}).get(call, "")
    by_wchan = next((name for name, parts in _BY_WCHAN if any(part in wchan for part in parts)), "")
    if kind == "file":
        return "pipe" if file == "pipe" else "socket" if file == "socket" else by_wchan or "file"
    if kind in ("", "ioctl", "memory") and by_wchan:
        return by_wchan
    if call == "-1":
        return "memory"
    return kind or by_wchan or "other"
