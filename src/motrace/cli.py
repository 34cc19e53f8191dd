"""The ``motrace`` command: ``motrace record|analyze|compare|sweep``, the same as ``python -m tools.*``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = ("record", "analyze", "compare", "sweep")
USAGE = f"usage: motrace {{{','.join(COMMANDS)}}} ...  (motrace COMMAND --help says more)"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if not words or words[0] not in COMMANDS:
        print(f"motrace: {'no command' if not words else f'no command {words[0]!r}'}; {USAGE}", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"motrace.commands.{words[0]}").main(words[1:]))
