"""``python -m tools.sweep``: see motrace.commands.sweep."""

import sys

from motrace.cli import command

if __name__ == "__main__":
    sys.exit(command("sweep"))
