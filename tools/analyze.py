"""``python -m tools.analyze``: see motrace.commands.analyze."""

import sys

from motrace.commands.analyze import main

if __name__ == "__main__":
    sys.exit(main())
