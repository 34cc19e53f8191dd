"""Every code of a finding, as a sentence. Values fill the fields in braces, in the format behind the colon.

Sentences of one part of a line (a meaning, an action, a note) have no capital letter and no full stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ..cautions import CautionCode
from ..dataset.profiles import ProfileTimes
from ..errors import command
from ..findings.codes import Action, Answer, Doubt, Meaning, Owner, Reason, SetupCode, Use, Whole
from ..vocabulary import ClockMethod, EvidenceKind, IntervalKind

Sentences = Mapping[Enum, str]

OWNERS: Sentences = {
    Owner.RENDERER: "Motrix renderer",
    Owner.OTHER_RENDERER: "the renderer",
    Owner.APPLICATION: "the application",
    Owner.ENCODER: "encoder settings",
    Owner.SETUP: "runtime set-up",
    Owner.NONE: "none",
}

SETUP: Sentences = {
    SetupCode.SOFTWARE_ADAPTER_DESPITE_GPU: "Software adapter on a GPU machine: the renderer drew with {adapter} "
    "although {gpu} is there",
    SetupCode.SOFTWARE_ADAPTER: "Software adapter: this machine has no GPU, and the renderer drew with {adapter}",
    SetupCode.ONLY_PROFILED_RUNS: "Only profiled runs: a profiler disturbed every run that completed, so the verdict "
    "rests on {runs} and includes the profiler's overhead",
    SetupCode.BUSY_MACHINE: "Busy machine: the loop thread waited for a core {share:percent} of the time that it "
    "wanted one. Other threads waited too, and CPU counters can't distinguish that from idling",
    SetupCode.NO_NVENC: "No NVENC: {gpu} has no video encoder, so the CPU encodes",
}

MEANINGS: Sentences = {
    Meaning.RASTERIZER_DRAWS: "a software rasterizer draws the frames on the CPU",
    Meaning.GPU_DRAWS: "the GPU draws while the loop waits",
    Meaning.RASTERIZER_THREADS_WORK: "the renderer's own threads, which feed a software rasterizer, work while the "
    "loop waits",
    Meaning.RENDERER_THREADS_WORK: "the renderer's own threads work while the loop waits",
    Meaning.WAITS_FOR_RASTERIZER: "the loop waits for a software rasterizer's picture, and no observed "
    "thread or process is busy",
    Meaning.WAITS_FOR_PICTURE: "the loop waits for a picture, and no observed thread, process or GPU queue is busy",
    Meaning.HANDLES_FRAMES: "the loop thread itself is busy handling frames",
    Meaning.WAITS_FOR_ENCODER: "the loop waits for the video encoder",
    Meaning.SIMULATES: "the simulation step takes the time",
    Meaning.RUNS_POLICY: "the policy takes the time",
    Meaning.WAITS_WHILE_IDLE: "the loop waits in the kernel, and nothing else in the process is busy",
    Meaning.UNEXPLAINED: "no evidence shows what the loop did or waited for",
    Meaning.WAITS_FOR_GIL: "the loop waits for the interpreter lock, which another Python thread holds",
    Meaning.WAITS_FOR_CORE: "the loop is ready to run and waits for a core",
    Meaning.SLEEPS: "the loop sleeps on purpose",
    Meaning.WAITS_FOR_IO: "the loop waits for a file",
    Meaning.WAITS_FOR_PIPE: "the loop waits for the process at the far end of a pipe",
    Meaning.OTHER_THREADS_WORK: "another thread of the process works while the loop waits",
    Meaning.CHILD_PROCESS_WORKS: "a child process works while the loop waits",
    Meaning.KERNELS_RUN: "the loop waits while the GPU runs kernels",
    Meaning.GPU_COPIES: "the loop waits while data are copied to or from the GPU",
    Meaning.WAITS_FOR_CUDA: "the thread waits for CUDA work",
    Meaning.THREAD_RUNS: "the thread itself runs, as far as the trace shows",
}

ACTIONS: Sentences = {
    Action.NONE: "none",
    Action.RECORD_AGAIN: "record again",
    Action.RECORD_BOTH_MODES: "record with --mode both",
    Action.RECORD_UNPROFILED: "record once without a profiler",
    Action.RECORD_WITH_MOTRACE: "record the program with motrace, whose clocks and spans show what the loop did "
    f"({command('run_record')} --instrument WHAT.toml -- python PROGRAM)",
    Action.RECORD_AND_PROFILE_THAT: "record a run with motrace, run the profiler on it, and analyse both together",
    Action.ADD_NATIVE_AND_IDLE: "sample it with --native, which shows what runs, and --idle, which shows what waits",
    Action.SAMPLE_NATIVE_AND_IDLE: "sample the program with py-spy record --native --idle, or record it with motrace",
    Action.ADD_STACKS: "profile it with with_stack=True, or record the program with motrace",
    Action.READ_HEAVIEST: "look first at what is heaviest there",
    Action.RECORD_WITH_NSYS: "record once under Nsight Systems, which sees the GPU",
    Action.RECORD_ON_IDLE_MACHINE: "record again while nothing else runs, or with --collect threads, which sees "
    "threads that want a core",
    Action.RECORD_WITHOUT_CONTENTION: "record again on a less busy machine: other processes used up to "
    "{share:percent} of the cores",
    Action.REPEAT_PROFILED_PASS: "record the pass of {profilers} again on a less busy machine or with fewer events: "
    "its time in {phases} differed by over 30 %, so what it saw there is not used",
    Action.SAMPLE_THREAD_STATES: "narrow the bounds with thread-state samples (--collect threads) or with a trace "
    "that has scheduling events",
    Action.SAMPLE_STATES_OR_SCHEDULING: "narrow the bounds with thread-state samples (--collect threads) or with "
    "a pass under Nsight Systems that has scheduling events (--collect nsys)",
    Action.SPLIT_RUNNING: "separate Python from compiled code with stack samples (--collect pyspy)",
    Action.INSTALL_VULKAN_DRIVER: "install the Vulkan part of the NVIDIA driver (libnvidia-gl); in a container, set "
    "NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility",
    Action.READ_SHARES: "read the shares and not the milliseconds; both differ on a GPU",
    Action.STOP_COMPETITORS: "stop the competing processes and record again",
    Action.PLAN_ENCODER_CORES: "plan cores for the encoder",
    Action.USE_GPU: "run on a machine whose GPU has a Vulkan driver; on a CPU, only fewer pixels or environments help",
    Action.FIND_PASSES_WITH_NSYS: "record once under Nsight Systems to see which render passes take the time",
    Action.READ_GPU_TABLES: "see which render passes take the time: the tables gpu_ops and gpu_labels hold the GPU's "
    "work and debug labels",
    Action.SAMPLE_RENDERER_THREADS: "record once with native stacks of the renderer's threads to see what they do",
    Action.OVERLAP_CAPTURE: "overlap capture with the next step instead of blocking on each frame (--capture async)",
    Action.REDUCE_COPIES: "reduce copies and conversions between capture and encoder",
    Action.STREAM_ENCODING: "encode while the loop runs (--encode streaming), or choose a faster preset",
    Action.PROFILE_STEP: "profile the step; rendering is not the cost",
    Action.PROFILE_POLICY: "profile the policy; rendering is not the cost",
    Action.SAMPLE_STACKS: "record once with stack samples (--collect pyspy) to see what the loop waits for",
    Action.READ_STACKS: "see what the loop waits for: the stack samples name the calls",
    Action.RELEASE_GIL: "move that thread's work into a process, or into code that releases the lock",
    Action.GIVE_CORES: "give the process more cores, or stop the competing processes",
    Action.REMOVE_PACING: "check what paces the loop: without the sleep, it is faster by that much",
    Action.CHECK_IO: "check which files the loop reads and writes, and the disk that they are on",
    Action.CHECK_PIPE: "make the process at the far end faster, or hand it the data on a thread",
    Action.CHECK_THREAD: "make that thread faster, or overlap its work with the loop (the table of workers names it)",
    Action.CHECK_PROCESS: "make that process faster, or overlap its work with the loop (the table of workers names it)",
    Action.READ_KERNELS: "see which kernels and copies take the time: the table gpu_ops names them",
    Action.COPY_LESS: "copy less, from pinned memory, and while kernels run: the table gpu_ops has every copy",
    Action.RECORD_WITH_ROCPROF: "record once under rocprofv3 or torch.profiler, which see an AMD GPU",
    Action.SAMPLE_THIS_THREAD: "record the thread with stack samples to see what it runs",
}

DOUBTS: Sentences = {
    Doubt.NO_COMPLETED_RUN: "no run with a loop completed",
    Doubt.PROFILE_ALONE: "the profile shows no thread's time",
    Doubt.RUNNING_ALONE: "the profile samples running threads: how long the thread waited, and for what, is not in it",
    Doubt.LINES_ALONE: "only the program's source shows what a line calls, and whether that call waits",
    Doubt.CALLS_ALONE: "the calls show wall time, in which the thread may have waited for a core, for the interpreter "
    "lock or inside a call that is not known to wait",
    Doubt.HINTS_ALONE: "Scalene's split of a line's time is a hint, not evidence",
    Doubt.STARVED: "the machine was so busy that the renderer's threads may have waited for a core, which CPU counters "
    "show as a stall",
    Doubt.NO_EVIDENCE: "no evidence shows what most of the time was spent on",
    Doubt.BUCKETS_OVERLAP: "the evidence can't separate {first} from {second}",
    Doubt.PARTS_OVERLAP: "{bucket} has several parts, and the evidence doesn't show which one leads: {first}, or "
    "{second}",
    Doubt.PART_MAY_NOT_LEAD: "{bucket} leads as a whole, but its largest part, {first}, need not exceed {second}",
}
"""``first`` and ``second`` are the claims with their bounds, ``bucket`` is that of the first."""

ANSWERS: Sentences = {
    Answer.EXPECTED: "expected for this capture path",
    Answer.RENDERER_PROBLEM: "a renderer problem",
    Answer.OUTSIDE_RENDERER: "neither: the time is outside the renderer",
    Answer.MACHINE_SETUP: "neither: the set-up of this machine",
    Answer.NOT_SLOW: "not slow: recording adds little",
    Answer.UNDECIDED: "not decided",
}

REASONS: Sentences = {
    Reason.DREW_ON_CPU: "the renderer drew on the CPU ({adapter}), which says nothing of its speed on a GPU",
    Reason.GPU_WORKS: "the GPU itself is busy: this is not waiting latency",
    Reason.RENDERER_THREADS_WORK: "the renderer's own threads work while the loop waits",
    Reason.BLOCKS_ON_CAPTURE: "each frame blocks on capture() and sync(wait=True), which lasts three ticks of the "
    "renderer's pipeline while no thread or GPU queue is busy; fetching the same pictures once they are done costs 1.8 "
    "to 2.7 times less (raw API)",
    Reason.LOOP_THREAD_COPIES: "the loop thread itself copies and converts frames",
    Reason.ENCODER: "the video encoder takes the time",
    Reason.SIMULATION: "the simulation step takes the time",
    Reason.POLICY: "the policy takes the time",
    Reason.WAITS_FOR_CORE: "the loop waits for a core",
    Reason.NO_EVIDENCE: "no evidence shows what the loop waited for",
    Reason.MEANING: "{meaning}",
    Reason.ADDS_LITTLE: "recording adds {share:percent} to a frame (at most {at_most:percent})",
    Reason.VERDICT_DOUBT: "{doubt}",
    Reason.NO_PICTURE: "no completed run captured a picture",
    Reason.SEVERAL_MAY_LEAD: "within their bounds any of {buckets} may lead, and they call for different answers; the "
    "likeliest: {likeliest}",
}
"""``meaning`` and ``doubt`` are those of the triage and of the verdict, in words."""

USES: Sentences = {Use.YES: "yes", Use.FLAGGED: "flagged", Use.REFUSED: "refused"}

EVIDENCE_KINDS: Sentences = {
    EvidenceKind.THREAD_CLOCK: "thread clock",
    EvidenceKind.CPU_COUNTERS: "CPU counters",
    EvidenceKind.SCHEDULING: "scheduling",
    EvidenceKind.THREAD_SAMPLES: "thread samples",
    EvidenceKind.WAITING_CALLS: "waiting calls",
    EvidenceKind.GPU_WORK: "GPU work",
    EvidenceKind.GPU_WAITS: "GPU waits",
    EvidenceKind.STACK_SAMPLES: "stack samples",
    EvidenceKind.TRANSFERRED: "transferred",
    EvidenceKind.TURN_TAKING: "turn-taking model",
    EvidenceKind.NONE: "none",
}

INTERVALS: Sentences = {
    IntervalKind.MEASURED: "measuring bound",
    IntervalKind.SAMPLED: "95 % by samples",
    IntervalKind.TRANSFERRED: "transferred",
    IntervalKind.MODEL: "95 % by the model",
    IntervalKind.SPREAD: "between runs",
}

CLOCK_METHODS: Sentences = {
    ClockMethod.OWN: "the run's own CLOCK_MONOTONIC",
    ClockMethod.SAMPLED: "the run's own CLOCK_MONOTONIC, sampled",
    ClockMethod.MONOTONIC: "CLOCK_MONOTONIC, which the profiler reads too",
    ClockMethod.TRACE_ALONE: "the trace's own clock",
    ClockMethod.MARKS: "sync marks",
    ClockMethod.ONE_MARK: "one sync mark",
    ClockMethod.RANGES: "spans and the ranges of the same names",
    ClockMethod.RANGES_WITH_JUMPS: "spans and the ranges of the same names; the clock jumped",
    ClockMethod.UTC: "UTC alone",
    ClockMethod.LOCK_LOG: "lock log of py-spy",
    ClockMethod.START_LINE: "start line of py-spy's log",
    ClockMethod.NONE: "none: stack frames only",
}

PROFILE_TIMES: Sentences = {
    ProfileTimes.ORDERED: "not known: samples are in order, and each stands for one over the rate",
    ProfileTimes.FROM_START: "from the profiler's start, which is not known; a stack lasts until the next one",
    ProfileTimes.COUNTED: "not known: samples are only counted, at an assumed rate of 100 per second",
    ProfileTimes.LINE_SHARES: "shares of the elapsed time by line; the Python/native split is a hint, not evidence",
    ProfileTimes.UNALIGNED: "not known: nothing ties its clock to the run's",
    ProfileTimes.ALIGNED: "on the run's clock by {aligned_by}, within {error_ns:ms} ms",
    ProfileTimes.OWN_CLOCK: "the trace's own clock, from its first event",
}

CAUTIONS: Sentences = {
    CautionCode.RECORDED: "{text}",
    CautionCode.UNREADABLE: "{text}",
    CautionCode.BAD_BACKSLASHES: "{file}: unescaped backslashes mended in {count:events}, first in event {first}",
    CautionCode.BAD_UTF8: "{file}: bytes that are not UTF-8 replaced in {count:events}, first in event {first}",
    CautionCode.CONTROL_CHARACTERS: "{file}: unescaped control characters mended in {count:events}, first in event "
    "{first}",
    CautionCode.BAD_NUMBERS: "{file}: values that should be numbers but are not (NaN, infinity) left out of "
    "{count:events}, first in event {first}",
    CautionCode.BAD_QUOTES: "{file}: unescaped quotes mended in {count:events}, first in event {first}",
    CautionCode.EVENTS_LOST: "{file}: {count:events} can't be read and are left out, first event {first}",
    CautionCode.CUT_OFF: "{file} is cut off at event {first}: what came after it is lost",
    CautionCode.CATEGORIES_UNREAD: "{file}: {count:events} of categories that are not read: {names}",
    CautionCode.NOT_ALIGNED: "{file}: its clock could not be tied to the spans: left out of the time line",
    CautionCode.TIMES_MISSING: "{file}: left out because they have no usable time: {count:events}",
    CautionCode.DURATIONS_NEGATIVE: "{file}: left out because they end before they begin: {count:events}",
    CautionCode.TIMES_ZERO: "{file}: left out because their time stamp is 0: {count:events}",
    CautionCode.TIMES_FAR_OFF: "{file}: left out because their times lie far from all others: {count:events}",
    CautionCode.RATE_ASSUMED: "{file}: its py-spy (0.3.8 or older) counted samples and wrote no rate: 100 per second "
    "are assumed",
    CautionCode.NO_SECONDS: "{file}: every sample weighs 1 and no version of py-spy is named: how many seconds that is "
    "is not known, only shares are; record it with py-spy 0.3.9 or newer",
    CautionCode.NO_EXPERIMENT_FILE: "no experiment.json: the command and the environment are not known",
    CautionCode.RUNGS_DIFFER: "what {new} alone does takes {own_ns:ms} ms per frame, but what {new} and {base} both do "
    "differs by {shared_ns:signed_ms} ms: the machine changed between the runs, or the two compete for it. Read the "
    "phases, not the difference of the frames, or record again with --repeat 3 while nothing else runs",
    CautionCode.STATES_DIFFER: "the runs did not end in the same simulation state: they did not do the same work",
    CautionCode.LOW_DISK: "low disk: {free_bytes:size} were free at the start",
    CautionCode.SOFTWARE_ADAPTER: "software adapter: the renderer drew with {adapter} on the CPU; its share says "
    "nothing about a GPU",
    CautionCode.BLANK_FRAMES: "{blank} of {frames} frames of the video are blank",
    CautionCode.VIDEO_FRAMES_ALIKE: "all frames of the video look alike",
    CautionCode.VIDEO_FRAMES_DIFFER: "the video holds {video} frames, but the loop made {loop}",
    CautionCode.NO_VIDEO: "no video: {reason}",
    CautionCode.UNEXPLAINED_TIME: "{share:percent} of loop and drain is unexplained",
    CautionCode.CONTENTION: "other processes used {share:percent} of the cores: threads of the run may have waited for "
    "them, which shows as run queue or as idle time (renderer stall); record again on a less busy machine",
    CautionCode.CONTENTION_WITH_PROFILER: "other processes, the profiler among them, used {share:percent} of the "
    "cores; the section Profiler overhead shows the effect on each phase",
    CautionCode.PROFILER_ATTACHED: "a profiler was attached, which disturbs times: compare them only with those of "
    "other runs like it",
    CautionCode.NO_NVTX: "a profiler was attached but recorded none of motrace's NVTX ranges (log.txt says why)",
    CautionCode.RUN_LEFT_OUT: "{run} is left out: {status} ({reason})",
    CautionCode.SIZE_UNKNOWN: "{experiment} is left out: its number of environments and its picture size are not known",
    CautionCode.NO_REPEATS: "{points} ran only once and have no interval of their own: use --repeat 2 or more",
    CautionCode.ADAPTERS_DIFFER: "the runs drew on different adapters ({adapters}): their times don't belong in one "
    "fit",
    CautionCode.SOFTWARE_SWEEP: "a software adapter drew on the CPU: this growth says nothing about a GPU",
    CautionCode.NO_FIT: "{mode}, {quantity}: {reason}",
    CautionCode.LACK_OF_FIT: "{mode}, {quantity}: the terms don't describe the points (lack of fit, p = {p:digits}), "
    "so the intervals rest on the points' scatter around the fit",
    CautionCode.NOISY_FIT: "{mode}, {quantity}: runs scatter by {residual_sd:percent} around the fit: the machine is "
    "noisy, or the terms don't describe it; use more --repeat and --frames on an idle machine",
    CautionCode.HELD_AT_ZERO: "{mode}, {quantity}: held at 0, since least squares would make a cost negative: {terms}",
}

WHOLES: Sentences = {
    Whole.LOOP: "of loop and drain",
    Whole.SAMPLED: "of the thread's sampled time",
    Whole.RUNNING: "of the thread's running time that was sampled",
    Whole.TRACED: "of the thread's time in the trace",
    Whole.HINTED: "of what was seen in the program's own lines",
}

SENTENCES: Mapping[type[Enum], Sentences] = {
    Owner: OWNERS,
    SetupCode: SETUP,
    Meaning: MEANINGS,
    Action: ACTIONS,
    Doubt: DOUBTS,
    Answer: ANSWERS,
    Reason: REASONS,
    Use: USES,
    Whole: WHOLES,
    EvidenceKind: EVIDENCE_KINDS,
    IntervalKind: INTERVALS,
    ProfileTimes: PROFILE_TIMES,
    ClockMethod: CLOCK_METHODS,
    CautionCode: CAUTIONS,
}
"""By kind of code; those of the benchmark rows are in ``benchmark``."""
