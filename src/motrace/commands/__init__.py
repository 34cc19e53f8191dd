"""The commands. Each module has ``parser() -> ArgumentParser`` and ``run(args) -> int``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from ..errors import MotraceError, UsageError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit status 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise UsageError instead of printing the whole usage."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def execute(parser: Parser, run: Callable[[argparse.Namespace], int], argv: Sequence[str] | None = None) -> int:
    """Parse and run a command; what a user can cause ends in one line on stderr and its exit status."""
    try:
        return run(parser.parse_args(argv))
    except MotraceError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away
        return 1
