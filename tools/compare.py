"""``python -m tools.compare``: see motrace.commands.compare."""

import sys

from motrace.commands.compare import main

if __name__ == "__main__":
    sys.exit(main())
