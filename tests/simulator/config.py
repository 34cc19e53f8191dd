"""What to simulate, and who takes part in it."""

from __future__ import annotations

from dataclasses import dataclass

CAPTURES = ("blocking", "async")
ADAPTERS = ("gpu", "software")
RUN_QUEUES = ("none", "preempted", "any")

LOOP_PID, ENCODER_PID, CHILD_PID = 4100, 4177, 4190


@dataclass(frozen=True)
class Thread:
    """A thread other than the loop thread; ``role`` is what it truly is.

    ``name`` is the kernel's, ``library`` the one that started it, ``born_in`` the start-up phase in
    which it first showed. Threads of one child process share their ``pid``.
    """

    pid: int
    tid: int
    role: str
    name: str
    library: str = ""
    born_in: str = "imports"

    @property
    def is_child(self) -> bool:
        """Whether it belongs to a child process."""
        return self.pid != LOOP_PID


@dataclass(frozen=True)
class Plant:
    """A planted bottleneck: a phase of ``times`` as many slices, in which only some roles work.

    ``running`` and ``blocked`` are the chances of the loop thread there, ``busy`` those of roles.
    """

    phase: str
    times: int
    running: float
    blocked: float
    busy: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Config:
    """One simulated run; times in ns.

    ``slices`` is into how many pieces of random length each leaf is cut, ``slice_ns`` their mean
    length, ``noise`` the chance that anybody works at any moment whatever the phase. ``capture``:
    in ``async`` the renderer works on during the next frame's policy and step. ``run_queue`` says
    when the loop thread waits for a core: never, only after it was taken off its core (which the
    scheduler's events show), or also after it was woken up (which only the CPU log shows).
    ``scheduling``, ``waits``, ``workload``: whether the trace has scheduling events, the OS
    runtime's calls, the GPU's graphics work. ``jitter_ns`` is the mean time between an NVTX stamp
    and the span's, ``edge_ns`` how long a thread works at most inside the ends of a waiting call.
    ``calls_per_slice`` Vulkan calls are made in each slice in which a renderer thread works.
    ``plant`` makes one phase the bottleneck.
    """

    frames: int = 100
    warmup: int = 5
    num_envs: int = 1
    seed: int = 0
    schema: str = "3.13"
    capture: str = "blocking"
    adapter: str = "gpu"
    cuda: bool = True
    cuda_device: int = 0
    cores: int = 16
    slices: int = 4
    slice_ns: int = 60_000
    noise: float = 0.05
    run_queue: str = "preempted"
    cpu_log: bool = True
    span_log: bool = True
    scheduling: bool = True
    waits: bool = True
    workload: bool = True
    inline_text: bool = False
    offset_ns: int = 7_000_000_000
    drift_ppm: float = 0.0
    jitter_ns: int = 0
    edge_ns: int = 3_000
    calls_per_slice: int = 8
    chunk_frames: int = 500
    plant: Plant | None = None

    def __post_init__(self) -> None:
        for value, known in ((self.capture, CAPTURES), (self.adapter, ADAPTERS), (self.run_queue, RUN_QUEUES)):
            if value not in known:
                raise ValueError(f"{value!r} is none of {', '.join(known)}")
        if min(self.frames, self.num_envs, self.slices, self.slice_ns, self.chunk_frames, self.cores) < 1:
            raise ValueError("frames, num_envs, slices, slice_ns, chunk_frames and cores must be 1 or more")

    def planted(self, phase: str) -> Plant | None:
        """The plant of a phase."""
        return self.plant if self.plant is not None and self.plant.phase == phase else None

    def slices_of(self, phase: str) -> int:
        """Slices of a leaf."""
        plant = self.planted(phase)
        return self.slices * (1 if plant is None else plant.times)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return f"simulated-{self.seed}"

    @property
    def software(self) -> bool:
        """Whether threads rasterize in the GPU's place."""
        return self.adapter == "software"

    def threads(self) -> list[Thread]:
        """Everybody but the loop thread."""
        tid = LOOP_PID + 1
        found: list[Thread] = []

        def add(role: str, name: str, library: str = "", born_in: str = "imports", count: int = 1) -> None:
            nonlocal tid
            for number in range(count):
                found.append(Thread(LOOP_PID, tid, role, name.replace("#", str(number)), library, born_in))
                tid += 1

        if self.software:
            add("raster", "llvmpipe-#", born_in="renderer", count=2)
            add("raster", "python", "libvulkan_lvp.so", "renderer")
            add("renderer", "python", "motrixsim.abi3.so", "renderer")
        else:
            add("renderer", "python", "libnvidia-glcore.so", "renderer")
            add("renderer", "python", "motrixsim.abi3.so", "renderer")
        add("task_pool", "Compute Task Po", "motrixsim.abi3.so", "renderer")
        add("sim_pool", "python", "motrixsim.abi3.so", "environment", count=2)
        add("policy_pool", "python", "libgomp.so.1", "checkpoint")
        add("other", "python", "libpython3.11.so")
        found += [Thread(ENCODER_PID, ENCODER_PID + number, "encoder", "ffmpeg") for number in range(2)]
        found.append(Thread(CHILD_PID, CHILD_PID, "child", "uploader"))
        return found

    def seen_role(self, thread: Thread) -> str | None:
        """What can be known of a thread: everything from a CPU log, else what its name tells.

        None: it can't be seen at all (children show in the CPU log, or where a trace stands alone).
        """
        if self.cpu_log:
            return thread.role
        if thread.is_child:
            return None if self.span_log else thread.role
        return thread.role if thread.name[:8] in ("llvmpipe", "Compute ") else "other"
