"""Everything that findings say, as codes; the sentences are in the renderer, and no code looks into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..cautions import Values


class Owner(str, Enum):
    """Whose a cause is to change."""

    RENDERER = "renderer"
    """Motrix, where it drew."""
    OTHER_RENDERER = "other_renderer"
    APPLICATION = "application"
    ENCODER = "encoder"
    SETUP = "setup"
    NONE = "none"


class SetupCode(str, Enum):
    """What makes numbers misleading; its values in brackets."""

    SOFTWARE_ADAPTER_DESPITE_GPU = "software_adapter_despite_gpu"
    """``adapter``, ``gpu``."""
    SOFTWARE_ADAPTER = "software_adapter"
    """``adapter``."""
    ONLY_PROFILED_RUNS = "only_profiled_runs"
    """``runs``."""
    BUSY_MACHINE = "busy_machine"
    """``share`` of the time that the loop thread wanted a core, it waited for one."""
    NO_NVENC = "no_nvenc"
    """``gpu``."""


class Meaning(str, Enum):
    """What it means that a bucket, or a cause in it, leads."""

    RASTERIZER_DRAWS = "rasterizer_draws"
    GPU_DRAWS = "gpu_draws"
    RASTERIZER_THREADS_WORK = "rasterizer_threads_work"
    RENDERER_THREADS_WORK = "renderer_threads_work"
    WAITS_FOR_RASTERIZER = "waits_for_rasterizer"
    WAITS_FOR_PICTURE = "waits_for_picture"
    HANDLES_FRAMES = "handles_frames"
    WAITS_FOR_ENCODER = "waits_for_encoder"
    SIMULATES = "simulates"
    RUNS_POLICY = "runs_policy"
    WAITS_WHILE_IDLE = "waits_while_idle"
    UNEXPLAINED = "unexplained"
    WAITS_FOR_GIL = "waits_for_gil"
    WAITS_FOR_CORE = "waits_for_core"
    SLEEPS = "sleeps"
    WAITS_FOR_IO = "waits_for_io"
    WAITS_FOR_PIPE = "waits_for_pipe"
    OTHER_THREADS_WORK = "other_threads_work"
    CHILD_PROCESS_WORKS = "child_process_works"
    KERNELS_RUN = "kernels_run"
    GPU_COPIES = "gpu_copies"
    WAITS_FOR_CUDA = "waits_for_cuda"
    """Of a profiler-only trace."""
    THREAD_RUNS = "thread_runs"
    """Of a profiler-only trace."""


class Action(str, Enum):
    """What to do next; its values in brackets."""

    NONE = "none"
    RECORD_AGAIN = "record_again"
    RECORD_BOTH_MODES = "record_both_modes"
    RECORD_UNPROFILED = "record_unprofiled"
    RECORD_WITH_MOTRACE = "record_with_motrace"
    RECORD_AND_PROFILE_THAT = "record_and_profile_that"
    ADD_NATIVE_AND_IDLE = "add_native_and_idle"
    """To what py-spy recorded."""
    SAMPLE_NATIVE_AND_IDLE = "sample_native_and_idle"
    ADD_STACKS = "add_stacks"
    """To what torch.profiler recorded."""
    READ_HEAVIEST = "read_heaviest"
    RECORD_WITH_NSYS = "record_with_nsys"
    RECORD_ON_IDLE_MACHINE = "record_on_idle_machine"
    """Or with samples of thread states, which see threads that want a core."""
    RECORD_WITHOUT_CONTENTION = "record_without_contention"
    """Other processes used up to ``share`` of the cores."""
    REPEAT_PROFILED_PASS = "repeat_profiled_pass"
    """``phases`` took over 30 % more or less under ``profilers``: what was seen there is not used."""
    SAMPLE_THREAD_STATES = "sample_thread_states"
    SAMPLE_STATES_OR_SCHEDULING = "sample_states_or_scheduling"
    SPLIT_RUNNING = "split_running"
    INSTALL_VULKAN_DRIVER = "install_vulkan_driver"
    READ_SHARES = "read_shares"
    STOP_COMPETITORS = "stop_competitors"
    PLAN_ENCODER_CORES = "plan_encoder_cores"
    USE_GPU = "use_gpu"
    FIND_PASSES_WITH_NSYS = "find_passes_with_nsys"
    READ_GPU_TABLES = "read_gpu_tables"
    SAMPLE_RENDERER_THREADS = "sample_renderer_threads"
    OVERLAP_CAPTURE = "overlap_capture"
    REDUCE_COPIES = "reduce_copies"
    STREAM_ENCODING = "stream_encoding"
    PROFILE_STEP = "profile_step"
    PROFILE_POLICY = "profile_policy"
    SAMPLE_STACKS = "sample_stacks"
    READ_STACKS = "read_stacks"
    RELEASE_GIL = "release_gil"
    GIVE_CORES = "give_cores"
    REMOVE_PACING = "remove_pacing"
    CHECK_IO = "check_io"
    CHECK_PIPE = "check_pipe"
    CHECK_THREAD = "check_thread"
    CHECK_PROCESS = "check_process"
    READ_KERNELS = "read_kernels"
    COPY_LESS = "copy_less"
    RECORD_WITH_ROCPROF = "record_with_rocprof"
    SAMPLE_THIS_THREAD = "sample_this_thread"


class Whole(str, Enum):
    """What a verdict's shares are of."""

    LOOP = "loop"
    SAMPLED = "sampled"
    RUNNING = "running"
    """Of samples of running threads: those that wait are not in it."""
    TRACED = "traced"
    HINTED = "hinted"


class Doubt(str, Enum):
    """Why a verdict is not certain."""

    NO_COMPLETED_RUN = "no_completed_run"
    PROFILE_ALONE = "profile_alone"
    RUNNING_ALONE = "running_alone"
    """A profile of running threads: what waited is not in it."""
    LINES_ALONE = "lines_alone"
    CALLS_ALONE = "calls_alone"
    HINTS_ALONE = "hints_alone"
    STARVED = "starved"
    """The renderer's threads may have waited for a core, which counters take for a stall."""
    NO_EVIDENCE = "no_evidence"
    BUCKETS_OVERLAP = "buckets_overlap"
    """``Verdict.claims``: the leading bucket and its rival."""
    PARTS_OVERLAP = "parts_overlap"
    """``Verdict.claims``: what of the leading bucket leads, and what else of it may."""
    PART_MAY_NOT_LEAD = "part_may_not_lead"
    """``Verdict.claims``: the largest part of the leading bucket, and the rival bucket."""


class Use(str, Enum):
    """What may be used of what a profiler says of a phase."""

    YES = "yes"
    FLAGGED = "flagged"
    REFUSED = "refused"


class Answer(str, Enum):
    """Whether the slowness is expected."""

    EXPECTED = "expected"
    RENDERER_PROBLEM = "renderer_problem"
    OUTSIDE_RENDERER = "outside_renderer"
    MACHINE_SETUP = "machine_setup"
    NOT_SLOW = "not_slow"
    UNDECIDED = "undecided"


class Reason(str, Enum):
    """Why triage answers as it does; its values in brackets."""

    DREW_ON_CPU = "drew_on_cpu"
    """``adapter``."""
    GPU_WORKS = "gpu_works"
    RENDERER_THREADS_WORK = "renderer_threads_work"
    BLOCKS_ON_CAPTURE = "blocks_on_capture"
    LOOP_THREAD_COPIES = "loop_thread_copies"
    ENCODER = "encoder"
    SIMULATION = "simulation"
    POLICY = "policy"
    WAITS_FOR_CORE = "waits_for_core"
    NO_EVIDENCE = "no_evidence"
    MEANING = "meaning"
    """That of the leading cause (``Triage.meaning``)."""
    ADDS_LITTLE = "adds_little"
    """``share`` of a frame, at most ``at_most``."""
    VERDICT_DOUBT = "verdict_doubt"
    """The verdict's own doubt."""
    NO_PICTURE = "no_picture"
    SEVERAL_MAY_LEAD = "several_may_lead"
    """Any of ``buckets``; ``likeliest`` is the reason (or the meaning) that speaks of the first of them."""


@dataclass(frozen=True)
class Advice:
    """What to do next, with the values of its sentence."""

    action: Action
    values: Values = field(default_factory=dict)
