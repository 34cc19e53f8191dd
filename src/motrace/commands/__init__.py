"""The commands. Each is a module with ``run(args) -> int``; its parser is in ``parsers``, its entry in ``cli``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence

from ..errors import DEBUG_VARIABLE, MotraceError, UsageError, close_to, command, not_installed, reason
from ..escape import visible


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit status 2.

    The namespace has ``given``: the destinations that were on the command line, whatever their value.
    """

    takes_flags: tuple[str, ...] = ()
    """Options whose value may itself begin with a dash, as in ``--nsys-args --sample=none``."""
    rest: str | None = None
    """The destination of the words after ``--``; a positional of this name is for the help alone."""
    on_stray_word = ""
    """What to do where a word is not an option."""

    def __init__(self, prog: str, description: str) -> None:
        """As ArgumentParser, with --debug."""
        super().__init__(prog=prog, description=description)
        self.add_argument("--debug", action="store_true", help="show the traceback of each error on stderr")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As ArgumentParser's. Raises UsageError for every word that has no meaning here."""
        words, rest = self._taken_apart(list(sys.argv[1:] if args is None else args))
        defaults = {action: action.default for action in self._actions}
        for action in defaults:
            action.default = argparse.SUPPRESS
        try:
            found, strays = self.parse_known_args(words, namespace)
        finally:
            for action, default in defaults.items():
                action.default = default
        if self.rest is not None:
            strays = [*getattr(found, self.rest, []), *strays]
            setattr(found, self.rest, rest)
        if strays:
            self._refuse(next((word for word in words if word in strays), strays[0]))
        given = frozenset(vars(found)) - ({self.rest} if not rest else set())
        for action, default in defaults.items():
            if default is not argparse.SUPPRESS and not hasattr(found, action.dest):
                setattr(found, action.dest, default)
        found.given = given
        return found

    def _taken_apart(self, waiting: list[str]) -> tuple[list[str], list[str]]:
        """The words for this parser, values that begin with a dash joined to their option; and those after ``--``."""
        words: list[str] = []
        while waiting:
            word = waiting.pop(0)
            if word == "--":
                return (words, waiting) if self.rest is not None else ([*words, word, *waiting], [])
            words.append(f"{word}={waiting.pop(0)}" if word in self.takes_flags and waiting else word)
        return words, []

    def _refuse(self, stray: str) -> None:
        if not stray.startswith("-"):
            self.error(f"unrecognized arguments: {stray}{self.on_stray_word}")
        name = stray.split("=", 1)[0]
        self.error(f"unrecognized arguments: {name}{close_to(name, self._option_string_actions)}")

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise UsageError instead of printing the whole usage."""
        raise UsageError(f"{message} (see `{command(self.prog)} --help`)")


def complain(who: str, text: str | MotraceError) -> None:
    """One line on stderr: which command, and what is wrong."""
    print(visible(f"{who}: {text}"), file=sys.stderr)


def refuse(args: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """An option without effect is an error: raises UsageError where one of ``names`` was given; ``why`` follows it."""
    for name in names:
        if name in args.given:
            raise UsageError(f"--{name.replace('_', '-')}{why}")


def execute(parser: Parser, run: Callable[[argparse.Namespace], int], argv: Sequence[str] | None = None) -> int:
    """Parse and run a command; what a user can cause ends in one line on stderr and its exit status."""
    try:
        args = parser.parse_args(argv)
        if args.debug:
            os.environ[DEBUG_VARIABLE] = "1"  # for processes of ours too
        return run(args)
    except MotraceError as error:
        complain(parser.prog, error)
        return error.exit_status
    except ModuleNotFoundError as error:
        complain(parser.prog, not_installed(error) or reason("a module is missing", error))
        return MotraceError.exit_status
    except KeyboardInterrupt:
        complain(parser.prog, "interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output went away
        return 1
    except Exception as error:  # noqa: BLE001  (a fault of ours: one line all the same)
        complain(parser.prog, f"{reason('this should not happen', error)} (--debug shows where)")
        return 1
