"""One recording of a process: its logs, and the manifest that says how it ended."""

from __future__ import annotations

import sys
from pathlib import Path

from .. import run_folder
from ..errors import MotraceError
from ..run_folder import JsonValue
from .cpuclock import CpuClock
from .spans import ThreadLog
from .wordlog import FLAGS, WordLog


class Recording:
    """What one recording process is doing: a session between ``start`` and ``stop``.

    ``launched``: the launcher began it, and writes run.json; else the program did, and a fork of it writes nothing.
    """

    def __init__(self, directory: str, run_id: str, cpu_clocks: bool, launched: bool) -> None:
        self.directory = directory
        self.run_id = run_id
        self.cpu_clocks = cpu_clocks
        self.made: list[ThreadLog] = []
        self.home: ThreadLog | None = None  # of the thread that began it, in a fork too
        self.launched = launched
        self.owns_manifest = not launched
        self.clock: CpuClock | None = None

    def tell(self, flag: int = 0, **fields: JsonValue) -> None:
        """Write fields into the manifest, if it is ours; what goes wrong is a line on stderr, no exception.

        ``flag`` goes into the log's header, for which there is always room.
        """
        if self.owns_manifest and self.home is not None:
            self.home.words[FLAGS] = flag
            try:
                run_folder.update_run(Path(self.directory), **fields)
            except (OSError, MotraceError) as error:
                print(f"motrace: {self.directory}: {run_folder.RUN_FILE} can't be written: {error}", file=sys.stderr)

    def logs(self) -> list[WordLog]:
        """All that this process writes."""
        return [*self.made, *([self.clock.log] if self.clock is not None else [])]

    def dropped(self) -> int:
        """How many records could not be kept."""
        return sum(log.dropped for log in self.logs())
