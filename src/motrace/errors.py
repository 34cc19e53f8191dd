"""Errors that a user can cause: one line that says what is wrong and what to do, and an exit status."""

from __future__ import annotations


class MotraceError(Exception):
    """Something failed; the message is the one line that the user reads."""

    exit_status = 1


class UsageError(MotraceError):
    """The command was called wrongly."""

    exit_status = 2
