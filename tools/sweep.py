"""``python -m tools.sweep``: see motrace.commands.sweep."""

import sys

from motrace.commands.sweep import main

if __name__ == "__main__":
    sys.exit(main())
