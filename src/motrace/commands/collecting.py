"""The options of ``run_record`` that are about collectors."""

from __future__ import annotations

import argparse
import shlex

from ..collect import registry
from ..collect.registry import Settings
from ..errors import UsageError
from . import Parser, refuse

OPTIONS_OF = {"nsys": ("nsys_args", "collect_timeout"), "pyspy": ("pyspy_rate", "pyspy_light")}
"""Options that are for one collector alone."""


def add_options(made: Parser) -> None:
    """Which tools watch, and how."""
    made.add_argument(
        "--collect",
        metavar="LIST",
        help=f"tools that watch, separated by commas ({', '.join(registry.COLLECTORS)}); "
        "each that disturbs gets a run of its own, after the others",
    )
    made.takes_flags = ("--nsys-args",)
    made.add_argument("--nsys-args", default="", metavar="ARGS", help="flags for nsys profile, in place of ours")
    made.add_argument(
        "--pyspy-rate",
        type=int,
        metavar="HZ",
        help="samples per second of py-spy (default: up to 100, fewer where there are many threads)",
    )
    made.add_argument(
        "--pyspy-light", action="store_true", help="py-spy stops nothing: no native stacks, no split of running time"
    )
    made.add_argument(
        "--collect-timeout",
        type=float,
        default=Settings.timeout_s,
        help="end an nsys that makes no progress for this many seconds after its run (default: 60)",
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """What the command line says to collectors. Raises UsageError."""
    if not args.collect_timeout > 0:  # nan is neither
        raise UsageError(f"--collect-timeout {args.collect_timeout:g}: must be more than 0 seconds")
    if args.pyspy_rate is not None and not 1 <= args.pyspy_rate <= 1000:
        raise UsageError(f"--pyspy-rate {args.pyspy_rate}: must be 1 to 1000 samples per second")
    asked = registry.names(args.collect) if args.collect is not None else ()
    try:
        nsys_args = tuple(shlex.split(args.nsys_args))
    except ValueError as error:
        raise UsageError(f"--nsys-args {args.nsys_args}: {error}; quote it as for a shell") from error
    for tool, options in OPTIONS_OF.items():
        if tool not in asked:
            refuse(args, options, f": add {tool} to --collect")
    return Settings(args.collect_timeout, nsys_args, pyspy_rate=args.pyspy_rate, pyspy_light=bool(args.pyspy_light))
