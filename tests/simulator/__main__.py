"""``python -m tests.simulator OUT``: write a simulated run, and say what is in it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from .config import ADAPTERS, CAPTURES, RUN_QUEUES, Config
from .schema import VERSIONS
from .simulate import simulate

_SAMPLE = 40


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    made.add_argument("out", type=Path, help="folder to make")
    made.add_argument("--frames", type=int, help="frames after the warm-up")
    made.add_argument("--events", type=float, help="about so many rows in the trace, in place of --frames")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--schema", choices=VERSIONS, default="3.13")
    made.add_argument("--capture", choices=CAPTURES, default="blocking")
    made.add_argument("--adapter", choices=ADAPTERS, default="gpu")
    made.add_argument("--run-queue", choices=RUN_QUEUES, default="preempted")
    made.add_argument("--num-envs", type=int, default=1)
    made.add_argument("--calls-per-slice", type=int, default=8, help="Vulkan calls: how dense the trace is")
    made.add_argument("--drift-ppm", type=float, default=12.0)
    made.add_argument("--jitter-ns", type=int, default=600)
    made.add_argument("--no-scheduling", action="store_true")
    made.add_argument("--no-cpu-log", action="store_true")
    made.add_argument("--no-span-log", action="store_true", help="a trace alone, as another program's")
    made.add_argument("--no-cuda", action="store_true")
    return made


def frames_for(events: float, config: Config) -> int:
    """How many frames make so many rows, from a sample."""
    with tempfile.TemporaryDirectory() as folder:
        counts = [
            sum(simulate(Path(folder) / str(frames), replace(config, frames=frames, warmup=0)).events.values())
            for frames in (_SAMPLE, 2 * _SAMPLE)
        ]
    per_frame = (counts[1] - counts[0]) / _SAMPLE
    return max(1, round((events - counts[0] + _SAMPLE * per_frame) / per_frame))


def main() -> int:
    """Simulate, print the rows by table."""
    args = parser().parse_args()
    config = Config(
        frames=args.frames or 100, seed=args.seed, schema=args.schema, capture=args.capture, adapter=args.adapter,
        run_queue=args.run_queue, num_envs=args.num_envs, calls_per_slice=args.calls_per_slice,
        drift_ppm=args.drift_ppm, jitter_ns=args.jitter_ns, scheduling=not args.no_scheduling,
        cpu_log=not args.no_cpu_log, span_log=not args.no_span_log, cuda=not args.no_cuda,
    )  # fmt: skip
    if args.events:
        config = replace(config, frames=frames_for(args.events, config))
    done = simulate(args.out, config)
    for table, rows in sorted(done.events.items()):
        print(f"{table:40} {rows:12,}")
    print(f"{'all':40} {sum(done.events.values()):12,}   in {config.frames:,} frames: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
