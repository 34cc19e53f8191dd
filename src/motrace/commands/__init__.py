"""The commands. Each module has ``run(args) -> int``; their command lines are in ``parsers``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DEBUG_VARIABLE, MotraceError, UsageError, not_installed, reason


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit status 2."""

    takes_flags: tuple[str, ...] = ()
    """Options whose value may itself begin with a dash, as in ``--nsys-args --sample=none``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As ArgumentParser, with --debug."""
        super().__init__(*args, **kwargs)
        self.add_argument("--debug", action="store_true", help="show the traceback of each error on stderr")

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
        args = parser.parse_args(argv)
        if args.debug:
            os.environ[DEBUG_VARIABLE] = "1"  # for processes of ours too
        return run(args)
    except MotraceError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_status
    except ModuleNotFoundError as error:
        print(f"{parser.prog}: {not_installed(error) or reason('a module is missing', error)}", file=sys.stderr)
        return MotraceError.exit_status
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away
        return 1
    except Exception as error:  # noqa: BLE001  (a fault of ours: one line all the same)
        print(f"{parser.prog}: {reason('this should not happen', error)} (--debug shows where)", file=sys.stderr)
        return 1
