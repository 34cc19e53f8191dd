"""What goes wrong, on stderr. Standard library only: ``--help`` and wrong usage need nothing else."""

from __future__ import annotations

import sys

from ..escape import visible


def complain(who: str, text: object) -> None:
    """One line on stderr: which command, and what is wrong."""
    print(visible(f"{who}: {text}"), file=sys.stderr)
