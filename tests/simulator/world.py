"""Who worked when: slices of random length, and in each what everybody did. NumPy all the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .config import Config
from .layout import Layout, drain_layout, frame_layout, shutdown_layout, startup_layout

Array = np.ndarray[Any, Any]
RUNNING, RUNNABLE, BLOCKED = range(3)

_LOOP = {  # chances of running and of being blocked; the rest is waiting for a core
    "policy": (0.6, 0.35), "step": (0.35, 0.6), "submit": (0.5, 0.45), "wait": (0.05, 0.9), "take": (0.7, 0.25),
    "copy": (0.8, 0.1), "encode.write": (0.4, 0.55), "encode.finish": (0.1, 0.85),
}  # fmt: skip
_BUSY = {  # chance that a thread of the role works while the loop thread is in the phase
    "raster": {"submit": 0.4, "wait": 0.9, "take": 0.2},
    "renderer": {"submit": 0.7, "wait": 0.5, "take": 0.3, "renderer": 0.5, "close": 0.3},
    "task_pool": {"submit": 0.5, "wait": 0.3},
    "sim_pool": {"step": 0.8, "environment": 0.5},
    "policy_pool": {"policy": 0.7, "checkpoint": 0.3},
    "encoder": {"encode.write": 0.8, "policy": 0.5, "step": 0.5, "wait": 0.4, "encode.finish": 0.95},
    "child": {"encode.write": 0.1},
    "other": {"imports": 0.1},
    "graphics": {"submit": 0.5, "wait": 0.8, "take": 0.1},
    "cuda": {"policy": 0.6},
}
_ASYNC = {role: {"policy": 0.6, "step": 0.6, "submit": 0.3, "wait": 0.3} for role in ("raster", "renderer", "graphics")}


@dataclass
class Chunk:
    """Some frames (or a part of the run without frames) in a row.

    ``edges`` are the times of the slices' ends, int64 ns on CLOCK_MONOTONIC, frames * slices + 1 of
    them. ``loop`` is the loop thread's state, ``busy`` (threads, slices) who was on a core,
    ``graphics`` and ``cuda`` what the GPU did, all flat in time. ``first_frame`` is the number of
    the first frame, None outside frames.
    """

    segment: str
    layout: Layout
    first_frame: int | None
    frames: int
    edges: Array
    loop: Array
    busy: Array
    graphics: Array
    cuda: Array

    @property
    def slices(self) -> int:
        """Slices of one frame."""
        return len(self.layout.phase)

    def stamps(self, position: int) -> Array:
        """The time at which slice ``position`` of each frame begins (or, if it is after the last one, ends)."""
        return np.asarray(self.edges[position + self.slices * np.arange(self.frames)])


def chunks(config: Config, random: np.random.Generator, start_ns: int) -> Iterator[Chunk]:
    """The whole run, piece by piece."""
    frame = frame_layout(config)
    first = 0
    parts: list[tuple[str, Layout, int | None, int]] = [("startup", startup_layout(config), None, 1)]
    for segment, count in (("warmup", config.warmup), ("loop", config.frames)):
        for begin in range(0, count, config.chunk_frames):
            some = min(config.chunk_frames, count - begin)
            parts.append((segment, frame, first, some))
            first += some
    parts += [("drain", drain_layout(config), None, 1), ("shutdown", shutdown_layout(config), None, 1)]
    for segment, layout, number, count in parts:
        chunk = _chunk(config, random, segment, layout, number, count, start_ns)
        start_ns = int(chunk.edges[-1])
        yield chunk


def _chunk(
    config: Config,
    random: np.random.Generator,
    segment: str,
    layout: Layout,
    first: int | None,
    frames: int,
    start_ns: int,
) -> Chunk:
    slices = len(layout.phase)
    mean = np.full(slices, float(config.slice_ns))
    mean[layout.calm] /= 8
    lengths = np.ceil(random.exponential(mean, (frames, slices)) * random.lognormal(0, 0.3, (frames, 1)))
    lengths = np.maximum(lengths, 1).astype(np.int64).reshape(-1)
    edges = np.concatenate(([start_ns], start_ns + np.cumsum(lengths)))
    loop = _loop(config, random, layout, frames)
    threads = config.threads()
    busy = np.stack([_works(config, random, thread.role, layout, frames) for thread in threads])
    room = config.cores - (loop == RUNNING)
    busy &= np.cumsum(busy, axis=0) <= room
    nothing = np.zeros(frames * slices, bool)
    graphics = nothing if config.software else _works(config, random, "graphics", layout, frames)
    cuda = _works(config, random, "cuda", layout, frames) if config.cuda else nothing
    return Chunk(segment, layout, first, frames, edges, loop, busy, graphics, cuda)


def _loop(config: Config, random: np.random.Generator, layout: Layout, frames: int) -> Array:
    chance = np.array(
        [
            _LOOP.get(phase, (0.5, 0.45))
            if (plant := config.planted(phase)) is None
            else (plant.running, plant.blocked)
            for phase in layout.phase
        ]
    )
    dice = random.random((frames, len(chance)))
    state = np.where(dice < chance[:, 0], RUNNING, np.where(dice < chance.sum(axis=1), BLOCKED, RUNNABLE))
    state[:, layout.calm] = RUNNING
    if config.run_queue == "none":
        state[state == RUNNABLE] = BLOCKED
    elif config.run_queue == "preempted":  # it leaves its core to wait for one, and comes back without sleeping
        near = np.zeros(state.shape, bool)
        near[:, 1:] |= state[:, :-1] == BLOCKED
        near[:, :-1] |= state[:, 1:] == BLOCKED
        state[(state == RUNNABLE) & near] = RUNNING
    return state.astype(np.int8).reshape(-1)


def _works(config: Config, random: np.random.Generator, role: str, layout: Layout, frames: int) -> Array:
    likely = _ASYNC.get(role) if config.capture == "async" else None
    table = likely or _BUSY[role]
    chance = np.array([
        max(table.get(phase, 0.0) if (plant := config.planted(phase)) is None else dict(plant.busy).get(role, 0.0),
            config.noise)
        for phase in layout.phase
    ])  # fmt: skip
    return np.asarray((random.random((frames, len(chance))) < chance).reshape(-1))


def runs(flags: Array, edges: Array) -> tuple[Array, Array]:
    """Begins and ends of the stretches in which a flag holds, int64 ns."""
    step = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return edges[:-1][step[:-1] == 1] if len(flags) else edges[:0], edges[1:][step[1:] == -1]
