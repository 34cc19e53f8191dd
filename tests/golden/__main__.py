"""Take the golden numbers anew (``python -m tests.golden``): for a change that is meant to change them."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

from tests.golden.cases import CASES, FILE, taken

with tempfile.TemporaryDirectory() as folder:
    found = {name: taken(name, Path(folder)) for name in CASES}
FILE.write_bytes(gzip.compress(json.dumps(found, sort_keys=True).encode(), mtime=0))
print({name: len(values) for name, values in found.items()})
