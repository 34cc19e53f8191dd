"""Numbers and names of Nsight Systems' exports.

An export carries ENUM tables, but lazily and not always filled, so the values are kept here. They
have been the same from schema 2.9 to 3.25; new ones are added at the end.
"""

from __future__ import annotations

import re

RENAMED = {
    "EXPORT_META_DATA": "META_DATA_EXPORT",
    "FECS_EVENTS": "GPU_CONTEXT_SWITCH_EVENTS",
    "ENUM_CUDA_KRENEL_LAUNCH_TYPE": "ENUM_CUDA_KERNEL_LAUNCH_TYPE",
}
"""Names of tables in older exports, and what they are called now."""

# NVTX_EVENTS.eventType; 70 and 71 are ranges of imported nvtxt files
NVTX_CATEGORY, NVTX_MARK, NVTX_DOMAIN = 33, 34, 75
NVTX_KINDS = {59: "range", 60: "start_end", 70: "range", 71: "start_end", NVTX_MARK: "mark"}

# eventClass
CUDA_CLASSES = (0, 1)
"""Runtime and driver API. 67 repeats calls that have a backtrace: counted, they count twice."""
OSRT_CLASS = 27
VULKAN_API_CLASS = 53
"""55, 56 (start and end of the trace), 60 (object made) and 66 (labels, in a table of their own) are not calls."""

MEMCPY_KINDS = {
    1: "Host-to-Device",
    2: "Device-to-Host",
    3: "Host-to-Array",
    4: "Array-to-Host",
    5: "Array-to-Array",
    6: "Array-to-Device",
    7: "Device-to-Array",
    8: "Device-to-Device",
    9: "Host-to-Host",
    10: "Peer-to-Peer",
    11: "Unified Host-to-Device",
    12: "Unified Device-to-Host",
    13: "Unified Device-to-Device",
}

THREAD_STATES = {1: "running", 2: "blocked", 3: "blocked", 4: "blocked", 7: "blocked", 8: "blocked"}
"""ENUM_SAMPLING_THREAD_STATE: running, interruptible, uninterruptible, stopped, waiting, in the OS runtime."""
OFF_CPU_STATES = {**THREAD_STATES, 1: "runnable"}
"""What a thread is that left its core in that state: taken off while it ran, it waits for a core."""

SEVERITIES = {2: "warning", 3: "error"}
"""DIAGNOSTIC_EVENT.severity of what a user should know; 1 is information, 4 chatter."""

NSYS_THREAD = "[NSys"
"""What the names of the profiler's own threads in the measured process begin with."""
LAUNCHER = "nsys-launcher"
"""What nsys starts, which then becomes the program."""

TIMED_WAIT = "pthread_cond_timedwait"
SLICE_NS, LATE_NS, AT_ONCE_NS = 4_900_000, 8_000_000, 500_000
"""Of a wait for Python's interpreter lock: a switch interval, how late its end may come, when the next one begins."""

_VERSION = re.compile(r"_v\d{4,}(?=$|_ptsz$|_ptds$)")

_WAITS: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "cuda": (
        (re.compile(r"\w+(Device|Thread|Ctx)Synchronize|waitForCompletion"), "device"),
        (re.compile(r"\w+StreamSynchronize"), "stream"),
        (re.compile(r"\w+EventSynchronize|urEventWait|ze\w+HostSynchronize"), "event"),
        (re.compile(r"\w+QueueSynchronize|urQueueFinish"), "queue"),
        (re.compile(r"(cu(da)?|hip)Memcpy(?!.*(Async|Batch|GetAttribute|Node))"), "memcpy"),
    ),
    "vulkan": (
        (re.compile(r"vkWaitForFences"), "fence"),
        (re.compile(r"vkWaitSemaphores"), "semaphore"),
        (re.compile(r"vkQueueWaitIdle"), "queue"),
        (re.compile(r"vkDeviceWaitIdle"), "device"),
        (re.compile(r"vkAcquireNextImage"), "image"),
    ),
    "osrt": (
        (re.compile(r"futex"), "futex"),
        (re.compile(r"pthread_cond_\w*wait|cnd_\w*wait"), "condition"),
        (re.compile(r"sem_\w*wait|semop|semtimedop"), "semaphore"),
        (re.compile(r"pthread_(mutex|rwlock|spin)_\w*lock\b(?<!unlock)|flock|lockf|mtx_lock"), "lock"),
        (re.compile(r"pthread_barrier_wait"), "barrier"),
        (re.compile(r"pthread_\w*join\w*|thrd_join"), "thread"),
        (re.compile(r"(p?poll|epoll_p?wait2?|p?select)\b|__poll"), "poll"),
        (re.compile(r"\w*sleep\w*|sigtimedwait|sigwait\w*|pause\b"), "sleep"),
        (re.compile(r"waitpid|wait[34]?\b|waitid"), "child"),
        (re.compile(r"ioctl"), "device"),
        (
            re.compile(
                r"(p?readv?2?|pread64|preadv64|recv|recvfrom|recvm?msg|fread|fgets|getline|accept4?|connect|"
                r"p?writev?2?|pwrite64|pwritev64|send|sendto|sendm?msg|sendfile(64)?|fwrite|fputs|fflush|"
                r"fsync|fdatasync|splice|tee)(_unlocked|_chk)?\b"
            ),
            "io",
        ),
    ),
}


def api_name(name: str) -> str:
    """A function's name without the version that CUPTI adds: cudaMemcpy_v3020 is cudaMemcpy."""
    return _VERSION.sub("", name)


def waits_on(api: str, name: str) -> str | None:
    """What a call of ``name`` waits for, by its name alone; None if it does not wait.

    ``api`` is cuda (AMD's HIP and other vendors' runtimes are named much alike), vulkan or osrt. The type
    that CUPTI gives a synchronisation is not used: files are known in which cudaDeviceSynchronize has the type of
    an event.
    """
    return next((what for pattern, what in _WAITS[api] if pattern.match(name)), None)


def metric_unit(name: str) -> str:
    """The unit in a metric's name: ``SMs Active [Throughput %]`` is in %. Empty if it names none."""
    found = re.search(r"\[([^\[\]]*)\]\s*$", name)
    return found.group(1).split()[-1] if found and found.group(1).split() else ""
