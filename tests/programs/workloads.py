"""Workloads for the launcher's tests; named as ``--workload tests.programs.workloads:CLASS``."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

import motrace


class Base:
    """Two frames of nothing."""

    def __init__(self, context: Any) -> None:
        self.options = context.options
        self.run_dir = context.run_dir

    def frames(self) -> None:
        """The loop."""
        for _ in range(self.options.frames):
            with motrace.frame(), motrace.span("step"):
                time.sleep(0.002)

    def run(self) -> dict[str, Any]:
        """See ``Workload.run``."""
        motrace.segment("loop")
        self.frames()
        motrace.segment("drain")
        return {"arguments": list(self.options.workload_args)}


class Plain(Base):
    """Completes."""


class RaisesWhatItIsGiven(Base):
    """Fails with its first argument as the reason."""

    def frames(self) -> None:
        """The loop."""
        raise ValueError(self.options.workload_args[0])


class Slow(Base):
    """Frames of 0.6 s; tells how many it finished when Ctrl-C ends it."""

    def run(self) -> dict[str, Any]:
        """See ``Workload.run``."""
        motrace.segment("loop")
        finished = 0
        try:
            for _ in range(self.options.frames):
                with motrace.frame(), motrace.span("step"):
                    time.sleep(0.6)
                finished += 1
        except KeyboardInterrupt:
            pass
        motrace.segment("drain")
        return {"frames": finished, "interrupted": True}


class Awaits(Base):
    """Goes on until somebody has put a file called ``attached`` into its folder."""

    def frames(self) -> None:
        while not (self.run_dir / "attached").exists():
            super().frames()


class Sleeps(Base):
    """Does nothing for ever."""

    def frames(self) -> None:
        with motrace.span("stuck here"):
            time.sleep(3600)


class Raises(Base):
    """Fails after some frames."""

    def frames(self) -> None:
        super().frames()
        raise ValueError("something\nin two lines")


class Exits(Base):
    """Leaves without a word."""

    def frames(self) -> None:
        super().frames()
        print("last words", flush=True)
        os._exit(7)


class Killed(Base):
    """Is killed in mid-span."""

    def frames(self) -> None:
        super().frames()
        with motrace.span("doomed"):
            os.kill(os.getpid(), 9)


class Panics(Base):
    """Makes the real engine panic: it does on a height field without data."""

    def frames(self) -> None:
        import motrixsim

        super().frames()
        asset = "<asset><hfield name='h' nrow='4' ncol='4' size='1 1 1 1'/></asset>"
        motrixsim.load_mjcf_str(f"<mujoco>{asset}<worldbody><geom type='hfield' hfield='h'/></worldbody></mujoco>")


class Closes(Base):
    """Goes on with the real renderer after it was closed."""

    def frames(self) -> None:
        from motrace.workloads.humanoid_env import HumanoidEnv
        from motrace.workloads.motrix_camera import MotrixCamera

        env = HumanoidEnv(1, 0)
        camera = MotrixCamera(env.model, 1, 64, 36)
        camera.capture(env.data)
        super().frames()
        camera.close()
        camera.capture(env.data)


class EndlessUnderProfiler(Base):
    """Goes on until it is ended, but only while a profiler is attached; else it is two frames."""

    def frames(self) -> None:
        super().frames()
        while os.environ.get("NVTX_INJECTION64_PATH"):
            super().frames()


class KilledUnderProfiler(Base):
    """Is killed in mid-run, but only while a profiler is attached."""

    def frames(self) -> None:
        super().frames()
        if os.environ.get("NVTX_INJECTION64_PATH"):
            os.kill(os.getpid(), 9)


class LongUnderProfiler(Base):
    """Goes on until a file called ``go`` is in its folder, but only in the first pass under a profiler."""

    def frames(self) -> None:
        super().frames()
        while self.run_dir.name.endswith("-nsys") and not (self.run_dir / "go").exists():
            super().frames()


class Busy(Base):
    """Spends one phase in the interpreter, one in native code, one asleep."""

    def frames(self) -> None:
        data = bytes(1 << 20)
        for _ in range(self.options.frames):
            with motrace.frame():
                with motrace.span("python"):
                    until = time.thread_time_ns() + 8_000_000
                    while time.thread_time_ns() < until:
                        for _ in range(500):
                            pass
                with motrace.span("hash"):
                    for _ in range(5):
                        hashlib.sha256(data).digest()
                with motrace.span("sleep"):
                    time.sleep(0.002)
