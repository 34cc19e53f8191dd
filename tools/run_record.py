"""``python -m tools.run_record``: see motrace.commands.record."""

import sys

from motrace.cli import command

if __name__ == "__main__":
    sys.exit(command("record"))
