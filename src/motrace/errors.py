"""Errors that a user can cause: one line that says what is wrong and what to do, and an exit status."""

from __future__ import annotations

from collections.abc import Iterable


class MotraceError(Exception):
    """Something failed; the message is the one line that the user reads."""

    exit_status = 1


class UsageError(MotraceError):
    """The command was called wrongly."""

    exit_status = 2


def close_to(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` where a known word is like this one, else nothing."""
    import difflib

    found = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {found[0]}?" if found else ""
