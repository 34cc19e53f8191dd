"""Errors that a user can cause: one line that says what is wrong and what to do, and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

DEBUG_VARIABLE = "MOTRACE_DEBUG"
"""Set in the environment (by --debug), so that processes of ours see it: tracebacks are shown."""
EXTRAS = {
    "analyze": "adbc_driver_manager adbc_driver_sqlite msgspec numpy pandas psutil pyarrow rich scipy tomli",
    "workload": "imageio_ffmpeg mediapy motrixsim pynvml torch",
}
"""The extras of our package, and what they bring, by module."""


def not_installed(error: ModuleNotFoundError) -> str | None:
    """What to install where a package of an extra is missing; None where the missing module is none of these."""
    name = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if name in modules.split()), None)
    return extra and f"{name} is not installed: pip install 'motrace[{extra}]'"


def command(name: str) -> str:
    """What one types for a command: ``python -m tools.run_record`` in a checkout, else ``motrace record``."""
    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if os.path.basename(sys.argv[0]) != "motrace" and os.path.exists(os.path.join(checkout, "tools", f"{name}.py")):
        return f"python -m tools.{name}"
    return f"motrace {name.removeprefix('run_')}"


class MotraceError(Exception):
    """Something failed; the message is the one line that the user reads."""

    exit_status = 1


class UsageError(MotraceError):
    """The command was called wrongly."""

    exit_status = 2


def reason(what: str, error: BaseException) -> str:
    """Why ``what`` failed, in one line that names it; with DEBUG_VARIABLE set its traceback goes to stderr."""
    if os.environ.get(DEBUG_VARIABLE):
        import traceback  # the measured process has no need of it

        traceback.print_exception(error, file=sys.stderr)
    text = " ".join(str(error).split())
    if not isinstance(error, MotraceError):
        text = f"{type(error).__name__}: {text}"[:300].rstrip(": ")
    name = os.path.basename(what)
    if name and text.startswith((f"{name}: ", f"{name} ")):
        return what + text[len(name) :]
    named = error.filename if isinstance(error, OSError) else None
    return text if text.startswith(what) or named == what else f"{what}: {text}"


class Sink(Protocol):
    """Takes warnings."""

    def append(self, text: str, /) -> None:
        """One of them."""


@contextmanager
def left_out(what: str, warnings: Sink) -> Iterator[None]:
    """Whatever goes wrong inside becomes a warning that names ``what``; the rest goes on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  (files may hold anything)
        warnings.append(reason(what, error))


def close_to(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` where a known word is like this one, else nothing."""
    import difflib

    found = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {found[0]}?" if found else ""
