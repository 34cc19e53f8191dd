"""A simulated machine: what each thread did at each moment is known, and clocks are read from it.

Time advances in steps. In each step at most ``cores`` threads work; the loop thread works, waits
for a core, or is blocked. From this come the true attribution, and a CPU clock log with readings
at the boundaries and near them, as the recorder would take them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from motrace.attribution.aggregate import TIMES
from motrace.attribution.attribute import Shares
from motrace.attribution.interval_evidence import Evidence, StatesFrom
from motrace.attribution.pieces import NO_FRAME, Pieces
from motrace.readers.cpu import CpuLogFile, Member
from motrace.timeline.intervals import Intervals, any_of
from motrace.vocabulary import ROLE_CAUSES, ROLE_GROUPS, EvidenceKind, bucket_of, evidence_word, phase_info

RUNNING, RUNNABLE, BLOCKED = range(3)
PHASES = ("policy", "step", "wait", "copy", "encode.write", "glue")
TICK_NS = 4_000
THREAD_ROLES = ("raster", "renderer", "task_pool", "sim_pool", "policy_pool", "other")
CHILD_ROLES = ("encoder", "child")


@dataclass
class Worker:
    """A thread, or a child with several threads; ``busy`` is (steps, threads): who worked when."""

    role: str
    is_child: bool
    busy: np.ndarray[Any, Any]


@dataclass
class Machine:
    """Everything that happened, and what the recorder saw of it."""

    cores: int
    edges: np.ndarray[Any, Any]
    loop_state: np.ndarray[Any, Any]
    workers: list[Worker]
    pieces: Pieces
    log: CpuLogFile
    roles: dict[int, str]
    gpu: dict[str, np.ndarray[Any, Any]]  # graphics and cuda: whether each step the GPU did that
    gil: np.ndarray[Any, Any]  # whether each step the loop thread waited for the interpreter lock, which another held


@st.composite
def machines(draw: st.DrawFn, with_gpu: bool = False, with_gil: bool = False) -> Machine:
    """A random machine; one seed decides what happens, so that examples stay small."""
    seed = draw(st.integers(0, 2**32 - 1))
    cores = draw(st.integers(1, 4))
    threads = draw(st.integers(0, 5))
    children = draw(st.integers(0, 2))
    steps = draw(st.integers(3, 40))
    lively = draw(st.floats(0.05, 0.95))
    every = draw(st.sampled_from((1, 1, 2, 5)))
    return build(np.random.default_rng(seed), cores, threads, children, steps, lively, every, with_gpu, with_gil)


def build(
    random: np.random.Generator,
    cores: int,
    threads: int,
    children: int,
    steps: int,
    lively: float,
    every: int,
    with_gpu: bool = False,
    with_gil: bool = False,
) -> Machine:
    """A machine; ``every`` says after how many boundaries the others' clocks are read."""
    lengths = random.integers(1, 50_000, steps)
    edges = np.concatenate(([1_000_000], 1_000_000 + np.cumsum(lengths)))
    workers = [Worker(str(random.choice(THREAD_ROLES)), False, np.zeros((steps, 1), bool)) for _ in range(threads)]
    workers += [
        Worker(str(random.choice(CHILD_ROLES)), True, np.zeros((steps, int(random.integers(1, 4))), bool))
        for _ in range(children)
    ]
    loop_state = np.empty(steps, np.int64)
    for step in range(steps):
        candidates = [(worker, lane) for worker in workers for lane in range(worker.busy.shape[1])]
        random.shuffle(candidates)
        free = cores
        loop_state[step] = random.choice((RUNNING, RUNNABLE, BLOCKED), p=(0.3, 0.1, 0.6))
        free -= loop_state[step] == RUNNING
        for worker, lane in candidates[: max(0, free)]:
            worker.busy[step, lane] = random.random() < lively
    boundaries = np.unique(np.concatenate((edges[[0, -1]], random.choice(edges, max(2, steps // 3)))))
    count = len(boundaries) - 1
    phase = [str(random.choice(PHASES)) for _ in range(count)]
    zero = np.zeros(count, np.int64)
    pieces = Pieces(boundaries[:-1], boundaries[1:], zero - 1, zero + NO_FRAME, zero, phase)
    log = _log(random, cores, edges, loop_state, workers, boundaries, every)
    gpu = {name: random.random(steps) < random.choice((0.0, 0.0, 0.3, 0.8)) * with_gpu for name in ("graphics", "cuda")}
    if gpu["graphics"].any():  # a renderer draws with the GPU, or with a software rasterizer
        for worker in workers:
            worker.role = "renderer" if worker.role == "raster" else worker.role
    roles = {slot: worker.role for slot, worker in enumerate(workers)}
    held = [worker.busy.any(axis=1) for worker in workers if worker.role == "other"]
    gil = (loop_state == BLOCKED) & np.any([np.zeros(steps, bool), *held], axis=0) & (random.random(steps) < 0.5)
    return Machine(cores, edges, loop_state, workers, pieces, log, roles, gpu, gil & with_gil)


def pipeline(random: np.random.Generator, steps: int = 400) -> Machine:
    """A renderer whose workers hand work to each other while the loop thread waits, but for some independent steps."""
    edges = np.concatenate(([0], np.cumsum(random.integers(200_000, 2_000_000, steps))))
    roles = ["raster", "raster", "renderer", "task_pool"][: random.integers(2, 5)]
    part = random.dirichlet(np.ones(len(roles))) * random.uniform(0.3, 1.0)
    chosen = random.choice(len(roles) + 1, steps, p=[*part, 1 - part.sum()])
    apart = random.random(steps) < random.uniform(0.0, 0.3)
    busy = np.where(apart, random.random((len(roles), steps)) < part[:, None], chosen == np.arange(len(roles))[:, None])
    workers = [Worker(role, False, mine[:, None]) for role, mine in zip(roles, busy)]
    loop_state = np.full(steps, BLOCKED)
    loop_state[::20] = RUNNING
    nothing = np.zeros(steps, bool)
    boundaries = edges[::20]
    count = len(boundaries) - 1
    zero = np.zeros(count, np.int64)
    pieces = Pieces(boundaries[:-1], boundaries[1:], zero - 1, zero + NO_FRAME, zero, ["wait"] * count)
    log = _log(random, 4, edges, loop_state, workers, boundaries, 1)
    gpu = dict.fromkeys(("graphics", "cuda"), nothing)
    return Machine(4, edges, loop_state, workers, pieces, log, dict(enumerate(roles)), gpu, nothing)


def _used(edges: np.ndarray[Any, Any], busy: np.ndarray[Any, Any], times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """CPU time used up to each time by something that works at rate ``busy`` (per step)."""
    total = np.concatenate(([0], np.cumsum(np.diff(edges) * busy)))
    return np.interp(times, edges, total)


def _log(
    random: np.random.Generator,
    cores: int,
    edges: np.ndarray[Any, Any],
    loop_state: np.ndarray[Any, Any],
    workers: list[Worker],
    boundaries: np.ndarray[Any, Any],
    every: int,
) -> CpuLogFile:
    cpu = _used(edges, loop_state == RUNNING, boundaries)
    delay = _used(edges, loop_state == RUNNABLE, boundaries)
    begins = boundaries[::every]
    begins = np.unique(np.concatenate((begins, boundaries[[0, -1]])))
    ends = begins + random.integers(0, 500, len(begins))
    moments = random.integers(begins, ends + 1)
    members = []
    for slot, worker in enumerate(workers):
        readings = _used(edges, worker.busy.sum(axis=1), moments)
        if worker.is_child:  # a running thread's part is up to a tick old
            steps = np.searchsorted(edges, moments, side="right") - 1
            asleep = ~np.append(worker.busy.any(axis=1), True)[steps] & (random.random() < 0.7)
            lag = np.where(asleep, 0, random.integers(0, TICK_NS + 1, len(moments)))
            readings = np.maximum.accumulate(_used(edges, worker.busy.sum(axis=1), moments - lag))
        member = Member(slot, slot + 1, worker.is_child, 0, worker.role, "")
        member.exact = asleep if worker.is_child else np.ones(len(moments), bool)
        member.begin_ns, member.end_ns, member.cpu_ns = begins, ends, np.floor(readings).astype(np.int64)
        members.append(member)
    return CpuLogFile(
        path=Path("simulated"),
        pid=1,
        tid=1,
        created_ns=0,
        dropped=0,
        has_run_delay=True,
        tick_ns=TICK_NS,
        cores=cores,
        boundary_cost_ns=0,
        snapshots=np.column_stack((begins, ends)),
        boundaries=np.column_stack((boundaries, np.floor(cpu), np.floor(delay))).astype(np.int64),
        members=members,
    )


def summed(shares: list[Shares]) -> dict[tuple[str, str], Shares]:
    """Shares by state and cause; evidence of several kinds taken together."""
    found: dict[tuple[str, str], Shares] = {}
    for share in shares:
        if (first := found.get((share.state, share.cause))) is not None:
            times = [one + other for one, other in zip(first.times(), share.times())]
            share = Shares(share.state, share.cause, share.evidence, *times)
        found[share.state, share.cause] = share
    return found


def table_of(machine: Machine, shares: Iterable[Shares], step_ns: int = 0) -> pa.Table:
    """Shares as the table ``attribution`` holds them, a row for each piece."""
    rows = []
    for share in shares:
        columns = (*share.times(), share.ns, share.ns)[: len(TIMES)]
        for piece, phase in enumerate(machine.pieces.phase):
            times = dict(zip(TIMES, (int(column[piece]) for column in columns)))
            words = {"state": share.state, "cause": share.cause, "bucket": bucket_of(share.cause, phase)}
            times["step_ns"] = step_ns * (EvidenceKind.THREAD_SAMPLES in share.evidence)
            rows.append({"frame": piece, "phase": phase, "evidence": evidence_word(share.evidence), **words, **times})
    return pa.Table.from_pylist(rows)


def intervals(machine: Machine, when: np.ndarray[Any, Any]) -> Intervals:
    """The moments of the steps in which ``when`` holds."""
    return Intervals.union(machine.edges[:-1][when], machine.edges[1:][when])


def scheduling(machine: Machine, error_ns: int = 0, knows_runnable: bool = True) -> Evidence:
    """What the scheduler's events and a GPU trace show: who was on a core when; shifted by ``error_ns``."""
    off = machine.loop_state != RUNNING if not knows_runnable else machine.loop_state == BLOCKED
    working = {
        role: any_of(intervals(machine, worker.busy.any(axis=1)) for worker in machine.workers if worker.role == role)
        for role in {worker.role for worker in machine.workers}
    }
    return Evidence(
        kinds=(EvidenceKind.SCHEDULING,),
        error_ns=abs(error_ns),
        off_core=shifted(intervals(machine, off), error_ns),
        working={role: shifted(found, error_ns) for role, found in working.items()},
        graphics=shifted(intervals(machine, machine.gpu["graphics"]), error_ns),
        cuda=shifted(intervals(machine, machine.gpu["cuda"]), error_ns),
    )


def sampled(machine: Machine, random: np.random.Generator, step_ns: int) -> Evidence:
    """What samples of the threads' states show: each stands for the time half-way to its neighbours."""
    moments = np.arange(machine.edges[0] + random.integers(step_ns), machine.edges[-1], step_ns)
    at = np.searchsorted(machine.edges, moments, side="right") - 1
    ends = np.concatenate(([machine.edges[0]], (moments[1:] + moments[:-1]) // 2, [machine.edges[-1]]))

    def seen(when: np.ndarray[Any, Any]) -> Intervals:
        return Intervals.union(ends[:-1][when[at]], ends[1:][when[at]])

    return Evidence(
        kinds=(EvidenceKind.THREAD_SAMPLES,),
        step_ns=step_ns,
        off_core=seen(machine.loop_state == BLOCKED),
        working={
            role: any_of(seen(worker.busy.any(axis=1)) for worker in machine.workers if worker.role == role)
            for role in {worker.role for worker in machine.workers}
        },
        states_from=StatesFrom.SAMPLES,
    )


def calls(machine: Machine, error_ns: int = 0) -> Evidence:
    """What waiting calls and a GPU trace show: the loop thread off its core, threads that did nothing."""
    waiting = {
        slot: shifted(intervals(machine, ~worker.busy.any(axis=1)), error_ns)
        for slot, worker in enumerate(machine.workers)
        if not worker.is_child
    }
    seen = scheduling(machine, error_ns, knows_runnable=False)
    return replace(seen, kinds=(EvidenceKind.WAITING_CALLS,), working=None, waiting=waiting)


def shifted(found: Intervals, by_ns: int) -> Intervals:
    return Intervals(found.start_ns + by_ns, found.end_ns + by_ns)


def true_causes(machine: Machine, piece: int) -> dict[str, int]:
    """The true time of each cause in a piece, ns."""
    start, end = machine.pieces.start_ns[piece], machine.pieces.end_ns[piece]
    group = phase_info(machine.pieces.phase[piece]).waits_for
    truth: dict[str, int] = {}
    for step in range(len(machine.loop_state)):
        overlap = min(end, machine.edges[step + 1]) - max(start, machine.edges[step])
        if overlap > 0:
            cause = _cause(machine, step, group)
            truth[cause] = truth.get(cause, 0) + int(overlap)
    return truth


def _cause(machine: Machine, step: int, group: str) -> str:
    if machine.loop_state[step] == RUNNING:
        return "native_or_python"
    if machine.loop_state[step] == RUNNABLE:
        return "run_queue"
    if machine.gil[step]:
        return "gil"
    busy = {worker.role for worker in machine.workers if worker.busy[step].any()}
    for name in (group, *(other for other in ROLE_GROUPS if other != group)):
        if name == "renderer":
            raster, cpu = "raster" in busy, bool(busy & {"renderer", "task_pool"})
            draws = machine.gpu["graphics"][step]
            if (raster or draws) and cpu:
                return "renderer_both"
            if raster or cpu or draws:
                return "gpu_only" if draws else "raster" if raster else "renderer_cpu_only"
            continue
        for role in ROLE_GROUPS[name]:
            if role in busy:
                return ROLE_CAUSES[role]
        if name == "policy" and machine.gpu["cuda"][step]:
            return "cuda"
    return "idle"
