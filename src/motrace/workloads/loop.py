"""The simulate-render-record loop, with its spans: what UniLab's playback does, made measurable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from ..record.annotate import frame, segment, span
from ..record.torch_hook import frame_hook
from ..run_folder import JsonObject
from .options import Options, RunContext
from .video import BufferedSink, Picture, is_blank

Actions = TypeVar("Actions")
MAX_EXTRA_WARMUP = 120
"""Warm-up ends here even if the picture is still blank."""


class Workload(Protocol):
    """A class named by ``--workload MODULE:CLASS``: called with the context, then run once.

    ``run`` marks its segments, frames and spans with ``motrace`` and returns facts for the
    manifest: JSON values, of which ``interrupted`` (bool) says that Ctrl-C ended the loop early.
    """

    def __init__(self, context: RunContext) -> None: ...

    def run(self) -> JsonObject:
        """The whole run."""


class Stage(Protocol[Actions]):
    """What the loop drives."""

    fps: float

    def reset(self) -> None:
        """Back to the seed's state."""

    def act(self) -> Actions:
        """The policy's actions."""

    def step(self, actions: Actions) -> None:
        """One control step."""

    def capture(self) -> Picture:
        """A picture of the state, (height, width, 4) of uint8; not called in mode none."""

    def film(self) -> None:
        """Pictures of single environments, where they were asked for; called once per recorded frame."""


@dataclass
class LoopFacts:
    """What happened; a part of run.json."""

    warmup_frames: int = 0
    blank_warmup_frames: int = 0
    frames: int = 0
    video_frames: int = 0
    interrupted: bool = False


def warmup_rule(options: Options) -> str:
    """The rule that says which frames are warm-up, as the report prints it."""
    if not options.warmup:
        return "no warm-up frames (--warmup 0): the first frames, blank or compiling shaders, count"
    if options.mode == "none":
        return f"the first {options.warmup} frames; then the state goes back to the seed's"
    return (
        f"the first {options.warmup} frames, and further ones while the picture is blank (at most {MAX_EXTRA_WARMUP}); "
        "then the state goes back to the seed's"
    )


def run_loop(stage: Stage[Actions], options: Options, video: Path) -> LoopFacts:
    """Warm up, run the frames, encode. Segments: warmup, loop, drain.

    Ctrl-C ends the frames early; what was captured is encoded all the same.
    """
    facts = LoopFacts()
    sink = BufferedSink(video, stage.fps) if options.mode == "record" else None
    hook = frame_hook()
    segment("warmup")
    try:
        _warm_up(stage, options, facts)
        segment("loop")
        for number in range(options.frames):
            if hook is not None:
                hook.frame(number)
            _turn(stage, options.mode, sink, film=True)
            facts.frames += 1
    except KeyboardInterrupt:
        facts.interrupted = True
    segment("drain")
    if hook is not None:
        hook.end()
    if sink is not None:
        facts.video_frames = sink.close()
    return facts


def _warm_up(stage: Stage[Actions], options: Options, facts: LoopFacts) -> None:
    blank = options.mode != "none"
    while facts.warmup_frames < options.warmup or (
        options.warmup and blank and facts.warmup_frames < options.warmup + MAX_EXTRA_WARMUP
    ):
        picture = _turn(stage, options.mode, BufferedSink(Path(), stage.fps) if options.mode == "record" else None)
        facts.warmup_frames += 1
        blank = picture is not None and is_blank(picture)
        facts.blank_warmup_frames += blank
    if options.warmup:
        with span("reset"):
            stage.reset()


def _turn(stage: Stage[Actions], mode: str, sink: BufferedSink | None, film: bool = False) -> Picture | None:
    """One iteration of the loop; returns the picture, if one was made."""
    with frame():
        with span("policy"):
            actions = stage.act()
        with span("step"):
            stage.step(actions)
        if mode == "none":
            return None
        with span("capture"):
            rgba = stage.capture()
        if sink is None:
            return rgba
        with span("copy"):
            # As UniLab does it: drop alpha, make it contiguous, and copy once more into the list.
            rgb = np.ascontiguousarray(rgba[..., :3])
            sink.add(rgb.copy())
        if film:
            stage.film()
    return rgb
