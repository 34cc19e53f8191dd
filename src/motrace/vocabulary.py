"""The words every other module uses: segments, phases, roles, causes, buckets.

Everything here is data; the only code looks things up in it. ``docs/vocabulary.md`` prints these
tables, and a test keeps the page true. Standard library only: the recorder imports this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

SEGMENTS = ("startup", "warmup", "loop", "drain", "shutdown")
"""Parts of a run, one after the other; their wall times add up to the run's wall time."""

FRAMED_SEGMENTS = ("warmup", "loop")
"""Segments whose time belongs to frames."""

RECORDING_SEGMENTS = ("loop", "drain")
"""Segments that make ``effective_fps``: the frames, and what is left to do after the last one."""

STATES = ("running", "runnable", "blocked", "unknown")
"""States of the loop thread. ``unknown`` is time for which no CPU clock was recorded."""

BUCKETS: dict[str, str] = {
    "renderer_gpu": "Renderer GPU",
    "renderer_cpu": "Renderer CPU",
    "renderer_stall": "Renderer stall",
    "gpu_compute": "GPU compute",
    "gpu_copies": "GPU copies",
    "python_overhead": "Python overhead",
    "encoder": "Encoder",
    "simulation": "Simulation",
    "policy": "Policy",
    "own_threads": "Own threads",
    "child_processes": "Child processes",
    "pipes": "Pipes",
    "io": "File IO",
    "pacing": "Pacing",
    "system": "System",
    "unexplained": "Unexplained",
}
"""Headline buckets and their labels, in the order in which reports list them."""


class EvidenceKind(str, Enum):
    """What attributed time rests on. Several together are written with a ``+`` between, in this order."""

    THREAD_CLOCK = "thread_clock"
    CPU_COUNTERS = "cpu_counters"
    SCHEDULING = "scheduling"
    THREAD_SAMPLES = "thread_samples"
    WAITING_CALLS = "waiting_calls"
    GPU_WORK = "gpu_work"
    GPU_WAITS = "gpu_waits"
    STACK_SAMPLES = "stack_samples"
    TRANSFERRED = "transferred"
    TURN_TAKING = "turn_taking"
    NONE = "none"


EVIDENCE: dict[EvidenceKind, str] = {
    EvidenceKind.THREAD_CLOCK: "the loop thread's own CPU clock and run delay: exact",
    EvidenceKind.CPU_COUNTERS: "the other threads' and processes' CPU clocks: bounds",
    EvidenceKind.SCHEDULING: "the scheduler's events: which threads were on a core",
    EvidenceKind.THREAD_SAMPLES: "samples of the threads' states",
    EvidenceKind.WAITING_CALLS: "calls in which threads waited",
    EvidenceKind.GPU_WORK: "when the GPU was busy",
    EvidenceKind.GPU_WAITS: "waits in Vulkan for what was submitted, where nothing shows the GPU's work itself",
    EvidenceKind.STACK_SAMPLES: "samples of the loop thread's stacks",
    EvidenceKind.TRANSFERRED: "the composition that profiled runs saw, transferred to the unprofiled runs' time",
    EvidenceKind.TURN_TAKING: "a model of a pipeline, whose workers hand work to each other: an estimate inside bounds",
    EvidenceKind.NONE: "no evidence",
}
"""What each kind of evidence is."""


class Tool(str, Enum):
    """What recorded a run beside its spans, as tables name it."""

    NSYS = "nsys"
    PYSPY = "py-spy"
    TORCH = "torch"
    SCALENE = "scalene"
    THREADS = "threads"


class ClockMethod(str, Enum):
    """How the times of a source were put on the clock of its run."""

    OWN = "own"
    SAMPLED = "sampled"
    MONOTONIC = "monotonic"
    TRACE_ALONE = "trace_alone"
    MARKS = "marks"
    ONE_MARK = "one_mark"
    RANGES = "ranges"
    RANGES_WITH_JUMPS = "ranges_with_jumps"
    UTC = "utc"
    LOCK_LOG = "lock_log"
    START_LINE = "start_line"
    NONE = "none"


def evidence_word(kinds: Iterable[EvidenceKind]) -> str:
    """Kinds of evidence as the word that tables hold: ``cpu_counters+gpu_work``."""
    mine = set(kinds)
    return "+".join(kind.value for kind in EvidenceKind if kind in mine)


def evidence_kinds(word: str) -> tuple[EvidenceKind, ...]:
    """The kinds of evidence that a word of ``evidence_word`` stands for."""
    return tuple(EvidenceKind(part) for part in word.split("+")) if word else ()


class IntervalKind(str, Enum):
    """What a range around a number is."""

    MEASURED = "measured"
    SAMPLED = "sampled"
    TRANSFERRED = "transferred"
    MODEL = "model"
    SPREAD = "spread"


INTERVALS: dict[IntervalKind, str] = {
    IntervalKind.MEASURED: "a bound by clocks or events: the truth lies inside, if the threads' roles are right",
    IntervalKind.SAMPLED: "a 95 % interval of the sampling error, inside the clocks' bounds",
    IntervalKind.TRANSFERRED: "shares that profiled runs saw, inside the clocks' bounds: how far they hold for other "
    "runs is not in it",
    IntervalKind.MODEL: "where a model puts the number in 95 % of runs like those that it was measured on",
    IntervalKind.SPREAD: "the least and the greatest of the runs",
}
"""What each kind of range says."""


def interval_kind(evidence: Iterable[EvidenceKind]) -> IntervalKind:
    """What the bounds are of time that rests on such evidence; of several kinds the one that says least."""
    kinds = set(evidence)
    if EvidenceKind.TRANSFERRED in kinds:
        return IntervalKind.TRANSFERRED
    sampled = kinds & {EvidenceKind.THREAD_SAMPLES, EvidenceKind.STACK_SAMPLES}
    return IntervalKind.SAMPLED if sampled else IntervalKind.MEASURED


@dataclass(frozen=True)
class Phase:
    """What is known of a phase before anything is measured.

    ``running`` is the bucket of the loop thread's own CPU time, ``waiting`` the bucket of blocked
    time in which no observed thread, process or GPU queue was busy, ``waits_for`` the role group whose work explains
    blocked time first when several worked at once.
    """

    name: str
    parent: str | None
    running: str
    waiting: str
    waits_for: str

    @property
    def owns_waits(self) -> bool:
        """Whether a sleep, a pipe or a file that it waits for is its owner's matter: the renderer's, the encoder's."""
        return self.waiting in ("renderer_stall", "encoder")


_PHASES = (
    Phase("policy", None, "policy", "policy", "policy"),
    Phase("step", None, "simulation", "simulation", "simulation"),
    Phase("physics", "step", "simulation", "simulation", "simulation"),
    Phase("reset", None, "simulation", "simulation", "simulation"),
    Phase("capture", None, "python_overhead", "renderer_stall", "renderer"),
    Phase("submit", "capture", "renderer_cpu", "renderer_stall", "renderer"),
    Phase("wait", "capture", "renderer_cpu", "renderer_stall", "renderer"),
    Phase("take", "capture", "python_overhead", "renderer_stall", "renderer"),
    Phase("rgb", "capture", "python_overhead", "system", "encoder"),
    Phase("env_videos", None, "python_overhead", "renderer_stall", "renderer"),
    Phase("copy", None, "python_overhead", "system", "encoder"),
    Phase("encode", None, "python_overhead", "encoder", "encoder"),
    Phase("encode.write", "encode", "python_overhead", "encoder", "encoder"),
    Phase("encode.finish", "encode", "python_overhead", "encoder", "encoder"),
    Phase("glue", None, "python_overhead", "system", "encoder"),
    # All of a trace without phases, by whose calls its loop thread makes.
    Phase("program on cuda", None, "python_overhead", "system", "encoder"),
    Phase("program on vulkan", None, "python_overhead", "system", "renderer"),
    # Outside the loop: start-up and shutdown, which users feel too.
    Phase("imports", None, "python_overhead", "system", "other"),
    Phase("environment", None, "simulation", "simulation", "simulation"),
    Phase("checkpoint", None, "policy", "policy", "policy"),
    Phase("export", None, "policy", "policy", "policy"),
    Phase("encoder", None, "python_overhead", "encoder", "encoder"),
    Phase("renderer", None, "renderer_cpu", "renderer_stall", "renderer"),
    Phase("close", None, "renderer_cpu", "renderer_stall", "renderer"),
)
PHASES: dict[str, Phase] = {phase.name: phase for phase in _PHASES}


def phase_info(name: str) -> Phase:
    """The phase called ``name``; a span name of the user's own becomes a Python phase."""
    return PHASES.get(name) or Phase(name, None, "python_overhead", "system", "encoder")


@dataclass(frozen=True)
class Cause:
    """An exclusive reason for a piece of the loop thread's time.

    ``bucket`` is the headline bucket; ``running`` and ``waiting`` mean that the phase decides.
    """

    name: str
    state: str
    bucket: str
    meaning: str


_CAUSES = (
    Cause("interpreter", "running", "python_overhead", "bytecode of the CPython interpreter"),
    Cause("native", "running", "running", "compiled code called by the loop thread"),
    Cause("copying", "running", "python_overhead", "memory copies made by the loop thread"),
    Cause("native_or_python", "running", "running", "the loop thread's own CPU time, not yet split by samples"),
    Cause("run_queue", "runnable", "system", "the loop thread was ready and waited for a core"),
    Cause("gpu_only", "blocked", "renderer_gpu", "only the GPU worked"),
    Cause("raster", "blocked", "renderer_gpu", "a software rasterizer's threads, in the GPU's place, worked alone"),
    Cause(
        "renderer_both", "blocked", "renderer_gpu", "GPU or rasterizer and the renderer's CPU threads worked at once"
    ),
    Cause("renderer_cpu_only", "blocked", "renderer_cpu", "only the renderer's CPU threads worked"),
    Cause("encoder", "blocked", "encoder", "the video encoder's process worked"),
    Cause("sim_pool", "blocked", "simulation", "the simulation's thread pool worked"),
    Cause("policy_pool", "blocked", "policy", "the policy's thread pool worked"),
    Cause("cuda", "blocked", "gpu_compute", "a kernel ran on the GPU"),
    Cause("gpu_copies", "blocked", "gpu_copies", "the GPU copied or filled memory, and no kernel ran"),
    Cause("gil", "blocked", "python_overhead", "waiting for the interpreter lock"),
    Cause("other_threads", "blocked", "own_threads", "other threads of the process worked"),
    Cause("other_processes", "blocked", "child_processes", "a child process other than the encoder worked"),
    Cause("pipe", "blocked", "pipes", "waiting for the far end of a pipe or a socket, whose work was not observed"),
    Cause("io", "blocked", "io", "waiting for a file"),
    Cause("pacing", "blocked", "pacing", "a deliberate sleep"),
    Cause("idle", "blocked", "waiting", "no observed thread, process or GPU queue was busy: latency"),
    Cause("unexplained", "unknown", "unexplained", "no evidence shows the cause"),
)
CAUSES: dict[str, Cause] = {cause.name: cause for cause in _CAUSES}


def bucket_of(cause: str, phase: str) -> str:
    """The bucket that a cause inside a phase counts for."""
    bucket = CAUSES[cause].bucket
    if bucket == "running":
        return phase_info(phase).running
    waiting = phase_info(phase).waiting
    policys = waiting == "policy" and bucket in ("gpu_compute", "gpu_copies")
    return waiting if bucket == "waiting" or policys else bucket


ROLE_GROUPS: dict[str, tuple[str, ...]] = {
    "renderer": ("raster", "renderer", "task_pool"),
    "simulation": ("sim_pool",),
    "policy": ("policy_pool",),
    "encoder": ("encoder",),
    "other": ("child", "other"),
}
"""The roles whose work can explain blocked time, in the order in which overlaps are settled after ``waits_for``."""

ROLE_CAUSES: dict[str, str] = {
    "encoder": "encoder",
    "sim_pool": "sim_pool",
    "policy_pool": "policy_pool",
    "child": "other_processes",
    "other": "other_threads",
}
"""The cause that a role's work gives to blocked time (the renderer's three are set by overlap)."""

IDLE_WAITS = frozenset(
    ("futex", "condition", "semaphore", "lock", "barrier", "thread", "poll", "sleep", "child", "gil")
)
"""What a thread may wait on without doing any work meanwhile; a read or an ioctl may work in the kernel."""

WAIT_CAUSES: dict[str, str] = {
    "gil": "gil", "pipe": "pipe", "socket": "pipe", "file": "io", "disk": "io", "sleep": "pacing",
}  # fmt: skip
"""The cause that the loop thread's own wait gives to blocked time: the interpreter lock's before all others', the rest
where nobody worked meanwhile, in phases that do not own their waits."""
OWN_WAITS = frozenset(WAIT_CAUSES.values())
FUTEX_CALLS = {"x86_64": ("202", "449"), "aarch64": ("98", "449")}
"""System calls by which threads wait on a futex, by machine, as /proc writes their numbers."""

GPU_WAITS = frozenset(("fence", "semaphore", "queue", "device", "stream", "event", "memcpy"))
"""What a thread waits on inside a call of a GPU's API until the GPU has done what was submitted to it."""
GPU_APIS = ("cuda", "vulkan")
"""APIs by which threads submit work to a GPU and wait for it; ``cuda`` stands for HIP and other vendors' too."""
OFTEN_PIPES = frozenset(("io", "poll"))
"""What a call waits on whose name does not say of what: most likely the far end of a pipe or a socket."""

NVTX_DOMAIN, RUN_MARK, SYNC_MARK = "motrace", "motrace.run ", "motrace.sync"
"""What the recorder writes to NVTX: its domain, the run-id mark's and the sync mark's text."""

RIDING_COLLECTORS = ("threads", "gpu")
"""Collectors that ride along in every run, since they disturb nothing; the others get a profiled pass."""
