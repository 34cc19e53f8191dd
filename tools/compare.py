"""``python -m tools.compare``: see motrace.commands.compare."""

import sys

from motrace.cli import command

if __name__ == "__main__":
    sys.exit(command("compare"))
