"""What goes wrong, on stderr. Standard library only: ``--help`` and wrong usage need nothing else."""

from __future__ import annotations

import sys

from ..errors import MotraceError
from ..escape import visible


def complain(who: str, text: str | MotraceError) -> None:
    """One line on stderr: which command, and what is wrong."""
    print(visible(f"{who}: {text}"), file=sys.stderr)
