"""Errors that a user can cause: one line that says what is wrong and what to do, and an exit status."""

from __future__ import annotations

EXTRAS = {
    "analyze": "adbc_driver_manager adbc_driver_sqlite jinja2 numpy pandas psutil pyarrow rich scipy tomli",
    "workload": "imageio_ffmpeg mediapy motrixsim pynvml torch",
}
"""The extras of our package, and what they bring, by module."""


def not_installed(error: ModuleNotFoundError) -> str | None:
    """What to install where a package of an extra is missing; None where the missing module is none of these."""
    name = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if name in modules.split()), None)
    return extra and f"{name} is not installed: pip install 'motrace[{extra}]'"


class MotraceError(Exception):
    """Something failed; the message is the one line that the user reads."""

    exit_status = 1


class UsageError(MotraceError):
    """The command was called wrongly."""

    exit_status = 2
