"""The phases of a frame, of start-up and of shutdown, cut into slices; spans are ranges of slices."""

from __future__ import annotations

from dataclasses import dataclass, field

from .config import Config

GLUE = "glue"


@dataclass
class Layout:
    """``phase``: of each slice, the leaf it belongs to. ``spans``: name, first slice, slice after the last one.

    Spans come in order of begin, the outer first. ``calm`` slices are those in which the loop thread runs.
    """

    phase: list[str] = field(default_factory=list)
    spans: list[tuple[str, int, int]] = field(default_factory=list)
    calm: list[int] = field(default_factory=list)

    def own(self, phase: str) -> None:
        """One slice of the loop thread's own work."""
        self.calm.append(len(self.phase))
        self.phase.append(phase)

    def leaf(self, name: str, slices: int) -> None:
        """A leaf span."""
        self.spans.append((name, len(self.phase), len(self.phase) + slices))
        self.phase += [name] * slices

    def open(self, name: str) -> int:
        """Begin a span that has others inside; returns its number."""
        self.spans.append((name, len(self.phase), -1))
        return len(self.spans) - 1

    def close(self, number: int) -> None:
        """End it."""
        name, first, _ = self.spans[number]
        self.spans[number] = (name, first, len(self.phase))


def frame_layout(config: Config) -> Layout:
    """A recorded frame. The frame's own span is the first."""
    made = Layout()
    frame = made.open("frame")
    for name in ("policy", "step"):
        made.own(GLUE)
        made.leaf(name, config.slices_of(name))
    made.own(GLUE)
    capture = made.open("capture")
    made.own("capture")
    for name in ("submit", "wait", *["take"] * config.num_envs):
        made.leaf(name, config.slices_of(name))
        made.own("capture")
    made.close(capture)
    for _ in range(config.num_envs):
        made.own(GLUE)
        made.leaf("copy", config.slices_of("copy"))
    made.own(GLUE)
    encode = made.open("encode")
    made.own("encode")
    for _ in range(config.num_envs):
        made.leaf("encode.write", config.slices_of("encode.write"))
        made.own("encode")
    made.close(encode)
    made.own(GLUE)
    made.close(frame)
    return made


def startup_layout(config: Config) -> Layout:
    """From the process's start to the first frame."""
    made = Layout()
    made.own("startup")
    for name in ("imports", "environment", "renderer", "checkpoint"):
        made.leaf(name, config.slices)
        made.own("startup")
    return made


def drain_layout(config: Config) -> Layout:
    """From the last frame to the end of the recording's drain."""
    made = Layout()
    made.own("drain")
    made.leaf("encode.finish", config.slices)
    made.own("drain")
    return made


def shutdown_layout(config: Config) -> Layout:
    """From there to the process's end."""
    made = Layout()
    made.own("shutdown")
    made.leaf("close", config.slices)
    made.own("shutdown")
    return made
