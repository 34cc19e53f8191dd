"""Exports of Nsight Systems with a planted bottleneck: with ranges and without, two ranks, tables missing, noise."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from tests.simulator.schema import KERNEL
from tests.simulator.tape import global_id

from .label import CLEAR, Holder, Kind, Label
from .nsys_export import NVTX, OSRT, START_NS, SWITCHES, NsysBuilder, Rank
from .plan import Plan, Work, draw_plan

GPU = (Work.KERNEL, Work.UPLOAD, Work.DOWNLOAD)
ALL = (*GPU, Work.LAUNCH, Work.PYTHON, Work.SLEEP)
NAMES = ("train_step", "iteration {}", "epoch 0 batch {}", "ProfilerStep#{}", "rollout", "forward {}")


def _ranges(made: NsysBuilder, plan: Plan, rank: Rank) -> None:
    """An outer range for each iteration, under a name of the program's own, and one for each piece of some."""
    name = NAMES[int(made.random.integers(len(NAMES)))]
    for number, (start, end) in enumerate(plan.edges):
        made.range(rank.thread, START_NS + start, START_NS + end, name.format(number))
    if made.random.random() < 0.5:
        for piece in plan.of(*GPU):
            made.range(rank.thread, START_NS + piece.start_ns + 50, START_NS + piece.end_ns - 50, "optimize")


def _label(plan: Plan, shows: Collection[str], gpu_rows: bool = True) -> Label:
    """Without calls of the OS and without scheduling only launches tell running from sleeping."""
    label, times = Label.of(plan.times()), plan.times()
    launches = sum(piece.end_ns - piece.start_ns for piece in plan.of(Work.LAUNCH))
    dark = times[Holder.SLEEP] + times[Holder.PYTHON] - launches
    known = gpu_rows and (bool(shows) or dark * CLEAR < max(launches, *times.values()))
    return label if known else Label(frozenset(), False, label.planted)


def _shows(random: np.random.Generator) -> tuple[str, ...]:
    return ((OSRT,), (OSRT, SWITCHES), (OSRT,), ())[int(random.integers(4))]


def _single(random: np.random.Generator, number: int, works: tuple[Work, ...]) -> tuple[NsysBuilder, Plan, Rank]:
    shows = _shows(random)
    plan = draw_plan(random, works[number % len(works)], ALL)
    made, rank = NsysBuilder(random, shows), Rank(int(random.integers(300, 60_000)))
    made.play(plan, rank)
    made.describe((rank,), START_NS + plan.end_ns + 30_000_000)
    return made, plan, rank


def with_ranges(folder: Path, random: np.random.Generator, number: int) -> Label:
    """One process, whose iterations are NVTX ranges."""
    made, plan, rank = _single(random, number, ALL)
    _ranges(made, plan, rank)
    made.write(folder / "report.sqlite")
    return _label(plan, made.shows)


def no_ranges(folder: Path, random: np.random.Generator, number: int) -> Label:
    """The same without NVTX."""
    made, plan, _ = _single(random, number, ALL)
    made.write(folder / "report.sqlite")
    return _label(plan, made.shows)


def two_ranks(folder: Path, random: np.random.Generator, number: int) -> Label:
    """Rank 0 has the ranges that cover the most; rank 1 does something else on another GPU, all the time."""
    planted = ALL[number % len(ALL)]
    other = Work.PYTHON if planted in GPU else Work.KERNEL
    plan = draw_plan(random, planted, ALL)
    made = NsysBuilder(random, (OSRT, SWITCHES) if planted is Work.PYTHON else (OSRT,))
    gpu_rows = not (number >= len(ALL) and planted in GPU)  # then nothing explains rank 0's waits
    first = Rank(4100, 0, gpu_rows=gpu_rows)
    second = Rank(4200, int(random.integers(2)), stream=13)
    made.play(plan, first)
    _ranges(made, plan, first)
    busy = draw_plan(random, other, ALL, share=0.95)
    kept = tuple(piece for piece in busy.pieces if piece.end_ns < 0.8 * plan.end_ns)
    made.play(Plan(kept, busy.edges), second)
    for start, end in busy.edges:
        if end < 0.5 * plan.end_ns:
            made.range(second.thread, START_NS + start, START_NS + end, "train_step")
    made.describe((first, second), START_NS + plan.end_ns + 30_000_000)
    made.write(folder / "report.sqlite")
    return _label(plan, made.shows, gpu_rows)


MISSING: tuple[tuple[str, ...], ...] = (
    ("ANALYSIS_DETAILS",), ("ANALYSIS_DETAILS", "PROCESSES", "ThreadNames"), ("TARGET_INFO_SESSION_START_TIME",),
    ("ANALYSIS_DETAILS", "TARGET_INFO_GPU", "TARGET_INFO_SESSION_START_TIME", "PROCESSES"),
)  # fmt: skip


def missing_tables(folder: Path, random: np.random.Generator, number: int) -> Label:
    """Metadata left out; or the kernels in a table whose name has a version's suffix."""
    made, plan, rank = _single(random, number, (*GPU, Work.LAUNCH))
    if random.random() < 0.5:
        _ranges(made, plan, rank)
    suffix = number % 4 == 0
    made.add("MPI_START_WAIT_EVENTS_V2", start=START_NS, end=START_NS + 9)
    made.write(folder / "report.sqlite", MISSING[number % len(MISSING)],
               {KERNEL: f"{KERNEL}_V2"} if suffix and made.rows.get(KERNEL) else None)  # fmt: skip
    return _label(plan, made.shows)


def noise(folder: Path, random: np.random.Generator, number: int) -> Label:
    """Unrelated threads and processes, ranges of libraries and ranges that do not repeat."""
    made, plan, rank = _single(random, number, ALL)
    end = START_NS + plan.end_ns
    for index in range(int(random.integers(2, 6))):  # helpers of the same process, and of another
        pid = rank.pid if index % 2 else rank.pid + 77
        thread = global_id(pid, rank.pid + 100 + index)
        made.add("ThreadNames", nameId=made.id(f"pt_data_{index}"), priority=20, globalTid=thread)
        for start in range(START_NS, end, max(1_000_000, plan.end_ns // 40)):
            made.osrt(thread, start, start + plan.end_ns // 50, ("futex", "epoll_wait", "read")[index % 3])
            made.runs(thread, start + plan.end_ns // 50 + 1_000, start + plan.end_ns // 45, cpu=4 + index)
    helper = global_id(rank.pid, rank.pid + 101)
    for index in range(85):  # what operators leave behind: names that repeat, unlike frames
        begin = START_NS + int(random.integers(plan.end_ns))
        made.range(helper, begin, begin + 2_000, f"aten::_to_copy, op_id = {index}")
    made.range(rank.thread, 1_000_000, START_NS - 1_000_000, "load checkpoint")
    if number % 2:
        _ranges(made, plan, rank)
    made.add(NVTX, start=0, eventType=75, globalTid=rank.thread, domainId=3, text="NCCL")
    for piece in list(plan.of(Work.KERNEL))[::4]:
        made.range(rank.thread, START_NS + piece.start_ns + 100, START_NS + piece.end_ns - 100, "ncclAllReduce", 3)
    made.write(folder / "report.sqlite")
    return _label(plan, made.shows)


def another_renderer(folder: Path, random: np.random.Generator, number: int) -> Label:
    """Vulkan work of a program that is not Motrix, with the GPU's own intervals."""
    works = (Work.DRAW, Work.DRAW, Work.KERNEL, Work.DOWNLOAD, Work.PYTHON)
    planted = works[number % len(works)]
    plan = draw_plan(random, planted, (Work.DRAW, Work.DOWNLOAD, Work.PYTHON, Work.SLEEP))
    made, rank = NsysBuilder(random, (OSRT, SWITCHES) if planted is Work.PYTHON else (OSRT,)), Rank(5100)
    made.play(plan, rank)
    if number % 2:
        _ranges(made, plan, rank)
    made.describe((rank,), START_NS + plan.end_ns + 30_000_000)
    made.write(folder / "report.sqlite")
    return _label(plan, made.shows)


KINDS = (
    Kind("export, ranges", 18, with_ranges),
    Kind("export, no ranges", 18, no_ranges),
    Kind("export, two ranks", 12, two_ranks),
    Kind("export, missing tables", 12, missing_tables),
    Kind("export, noise", 12, noise),
    Kind("export, another renderer", 10, another_renderer),
)
