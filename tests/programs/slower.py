"""The plain workload, slower."""

import time

import motrace
from tests.programs.workloads import Base


class Slower(Base):
    """Frames of 40 ms where ``Plain`` takes 2 ms: far beyond what a busy machine adds to either."""

    def frames(self) -> None:
        """The loop."""
        for _ in range(self.options.frames):
            with motrace.frame(), motrace.span("step"):
                time.sleep(0.04)


class Fast(Base):
    """Frames of nothing: only the recorder works."""

    def frames(self) -> None:
        """The loop."""
        for _ in range(self.options.frames):
            with motrace.frame(), motrace.span("step"):
                pass
