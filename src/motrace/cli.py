"""The ``motrace`` command and its commands, the same as ``python -m tools.*``."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

from . import __version__
from .commands import Parser, execute, parsers
from .errors import close_to

COMMANDS: dict[str, Callable[[], Parser]] = {
    "record": parsers.record,
    "analyze": parsers.analyze,
    "compare": parsers.compare,
    "sweep": parsers.sweep,
}
"""Each command is the module ``commands.NAME`` with ``run(args)``, and its parser here."""
USAGE = f"usage: motrace {{{','.join(COMMANDS)}}} ...  (motrace COMMAND --help says more; --version)"
INTERRUPTED = 130


def command(name: str, words: Sequence[str] | None = None) -> int:
    """Run one of ``COMMANDS``; returns its exit status. ``words`` are the process's own if not given."""
    return execute(COMMANDS[name](), partial(_run, name), words)


def _run(name: str, args: argparse.Namespace) -> int:
    """Import the command and run it.

    Importing what a command needs takes a second or more; Ctrl-C in that time ends the process here, since a
    KeyboardInterrupt inside a native module's initialisation may come out as any other error.
    """
    before = signal.signal(signal.SIGINT, lambda number, frame: _interrupted(name))
    try:
        run = importlib.import_module(f"motrace.commands.{name}").run
    finally:
        signal.signal(signal.SIGINT, before)
    return int(run(args))


def _interrupted(name: str) -> None:
    os.write(2, f"{'run_record' if name == 'record' else name}: interrupted\n".encode())
    os._exit(INTERRUPTED)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if words[:1] == ["--version"]:
        print(f"motrace {__version__}")
        return 0
    if not words or words[0] not in COMMANDS:
        wrong = "no command" if not words else f"no command {words[0]!r}{close_to(words[0], COMMANDS)}"
        print(f"motrace: {wrong}; {USAGE}", file=sys.stderr)
        return 2
    return command(words[0], words[1:])
