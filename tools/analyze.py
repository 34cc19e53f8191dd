"""``python -m tools.analyze``: see motrace.commands.analyze."""

import sys

from motrace.cli import command

if __name__ == "__main__":
    sys.exit(command("analyze"))
