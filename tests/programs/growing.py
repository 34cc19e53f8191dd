"""Workloads for the tests of sweeps: cheap, and some points of the grid go wrong."""

from __future__ import annotations

import os
import time

import motrace
from tests.programs.workloads import Base


class Grows(Base):
    """A frame takes longer with more environments and pixels."""

    def frames(self) -> None:
        """The loop."""
        for _ in range(self.options.frames):
            with motrace.frame():
                with motrace.span("step"):
                    time.sleep(0.002 * self.options.num_envs)
                with motrace.span("capture"):
                    time.sleep(self.options.width * self.options.height * self.options.num_envs * 1e-7)


class FailsAtTwo(Grows):
    """Fails with two environments, unless HEALED is set."""

    def frames(self) -> None:
        """The loop."""
        super().frames()
        if self.options.num_envs == 2 and "HEALED" not in os.environ:
            raise ValueError("two are too many")


class HangsAtTwo(Grows):
    """Hangs with two environments, unless HEALED is set."""

    def frames(self) -> None:
        """The loop."""
        if self.options.num_envs == 2 and "HEALED" not in os.environ:
            with motrace.span("stuck here"):
                time.sleep(3600)
        super().frames()
