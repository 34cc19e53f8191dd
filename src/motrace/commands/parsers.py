"""The command lines of the commands. Standard library only: ``--help`` needs nothing else, and is there at once."""

from __future__ import annotations

from ..workloads.options import DEFAULT_WORKLOAD, MODES, PRESETS
from . import Parser
from .collecting import add_options

STALL_TIMEOUT_S = 300.0
TO_MEASURE_A_PROGRAM = "to measure a program use `--instrument FILE -- python prog.py`"
NUM_ENVS, SIZES = "1,4,16", "320x180,640x360,1280x720"
REPEAT, FRAMES, WARMUP = 3, 60, 10


def analyze() -> Parser:
    """Of ``analyze``."""
    made = Parser(prog="analyze", description="Read every recording below PATH and report where the time went.")
    made.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a run, an experiment, a folder above them, or a file that a profiler wrote",
    )
    made.add_argument("--out", help="folder for the results (default: `analysis` in each experiment's folder)")
    made.add_argument(
        "--phases",
        metavar="DOMAIN[:THREAD]",
        help="NVTX ranges that are the phases of a profiler-only trace (default: those that "
        "cover the most time); THREAD is an id or a name",
    )
    made.add_argument(
        "--scrub",
        metavar="OUT.sqlite",
        help="instead: write a copy of the SQLite export PATH that can be shared, without environment, "
        "command lines, user, host or paths",
    )
    made.add_argument(
        "--sums",
        action="store_true",
        help="instead: print the time by name of ranges, calls and GPU operations of each report of Nsight Systems, "
        "straight from it; all rows go to OUT/sums.csv with --out",
    )
    made.add_argument("--jobs", type=int, default=1, help="runs analysed at once (default: 1)")
    return made


def compare() -> Parser:
    """Of ``compare``."""
    made = Parser(prog="compare", description="Compare the runs of two experiments, mode by mode.")
    made.add_argument("base", help="the experiment to compare with")
    made.add_argument("new", help="the experiment to judge")
    made.add_argument(
        "--fail-over",
        metavar="PERCENT",
        help="exit with 3 unless it is certain that no frame got slower by more, as in 5%% (or 5)",
    )
    made.add_argument("--unlike", action="store_true", help="compare even if the two did not do the same work")
    made.on_stray_word = "; two experiments are compared: BASE and NEW"
    return made


def _add_common(made: Parser, on_stray_word: str) -> None:
    """What every command that records has."""
    made.add_argument("--seed", type=int, help="seed of policy and start states (default: 0)")
    made.add_argument("--python", metavar="PATH", help="UniLab's interpreter (default: what `make unilab` made)")
    made.add_argument(
        "--stall-timeout",
        type=float,
        default=STALL_TIMEOUT_S,
        help="end a run that begins no span for this many seconds (default: 300)",
    )
    made.rest, made.on_stray_word = "workload_args", on_stray_word
    made.add_argument("workload_args", nargs="*", metavar="-- WORKLOAD ARGS", help="arguments for the workload itself")


def record() -> Parser:
    """Of ``record``."""
    made = Parser(prog="run_record", description="Record a simulate-render-record loop and account for its time.")
    made.add_argument("--workload", help="humanoid, unilab, or MODULE:CLASS of your own (default: humanoid)")
    made.add_argument(
        "--mode",
        choices=("all", "both", *MODES),
        help="record, capture (pictures dropped), none (no renderer), both (record and none; default), or all three",
    )
    made.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="a set of sizes (default: chosen by the Vulkan adapter)",
    )
    made.add_argument("--frames", type=int, help="frames of the loop, warm-up not counted")
    made.add_argument("--warmup", type=int, help="warm-up frames, at least")
    made.add_argument("--num-envs", type=int, help="environments in the batch")
    made.add_argument("--size", help="WxH of the picture in pixels, both even")
    made.add_argument("--video-per-env", action="store_true", default=None, help="a video of each environment, too")
    made.add_argument("--repeat", type=int, default=1, help="runs of each mode, in the order A B B A ... (default: 1)")
    made.add_argument(
        "--checkpoint", help="policy checkpoint (rsl_rl's layout, 160-512-256-128-29; default: a seeded one)"
    )
    made.add_argument(
        "--instrument",
        metavar="FILE",
        help="record any Python program: FILE maps its functions to phases; the program comes after --",
    )
    made.add_argument("--out", default="traces", help="folder for experiments (default: traces)")
    made.add_argument("--name", help="name of the experiment (default: workload and time)")
    add_options(made)
    _add_common(made, f"; {TO_MEASURE_A_PROGRAM}")
    return made


def sweep() -> Parser:
    """Of ``sweep``."""
    made = Parser(
        prog="sweep", description="Record a grid of environments and sizes, and report how the frame time grows."
    )
    made.add_argument("--num-envs", default=NUM_ENVS, help=f"environments, separated by commas (default: {NUM_ENVS})")
    made.add_argument("--size", default=SIZES, help=f"sizes WxH, separated by commas (default: {SIZES})")
    made.add_argument("--repeat", type=int, default=REPEAT, help=f"runs of each point, interleaved (default: {REPEAT})")
    made.add_argument("--frames", type=int, default=FRAMES, help=f"frames of each run (default: {FRAMES})")
    made.add_argument("--warmup", type=int, default=WARMUP, help=f"warm-up frames, at least (default: {WARMUP})")
    made.add_argument("--mode", default="record", choices=MODES, help="record (default), capture or none")
    made.add_argument(
        "--workload", default=DEFAULT_WORKLOAD, help="humanoid (default), unilab, or MODULE:CLASS of your own"
    )
    made.add_argument("--out", default="traces", help="folder for sweeps (default: traces)")
    made.add_argument("--name", help="name of the sweep (default: workload and time)")
    made.add_argument("--resume", action="store_true", help="continue the sweep --name: record only the missing runs")
    made.add_argument("--analyze", metavar="FOLDER", help="record nothing: fit the recordings below FOLDER again")
    _add_common(made, "; arguments of the workload come after `--`")
    return made
