"""``python -m tools.run_record``: see motrace.commands.record."""

import sys

from motrace.commands.record import main

if __name__ == "__main__":
    sys.exit(main())
