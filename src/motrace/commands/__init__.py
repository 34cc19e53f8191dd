"""The commands. Each module has ``run(args) -> int``; their command lines are in ``parsers``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import MotraceError, UsageError, not_installed


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit status 2."""

    takes_flags: tuple[str, ...] = ()
    """Options whose value may itself begin with a dash, as in ``--nsys-args --sample=none``."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ArgumentParser's, which would take such a value for an option of its own."""
        waiting = list(sys.argv[1:] if args is None else args)
        words: list[str] = []
        while waiting:
            word = waiting.pop(0)
            if word == "--":
                return super().parse_known_args([*words, word, *waiting], namespace)
            words.append(f"{word}={waiting.pop(0)}" if word in self.takes_flags and waiting else word)
        return super().parse_known_args(words, namespace)

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
    except ModuleNotFoundError as error:
        missing = not_installed(error)
        if missing is None:
            raise
        print(f"{parser.prog}: {missing}", file=sys.stderr)
        return MotraceError.exit_status
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away
        return 1
