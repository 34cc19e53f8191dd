"""What every file format says of itself: the protocol of sources, and what passes between them and the run.

A format is one class: whether a file is of it, which process it watched, and its tables on the run's clock. A new one
is such a class and an entry in ``registry.SOURCES``.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..attribution.interval_evidence import StatesFrom
from ..attribution.windows import LoopStacks
from ..dataset import tables
from ..dataset.profiles import ProfileTimes, UserProfile
from ..dataset.ranges import Ranges
from ..dataset.tables import ColumnValues, ExperimentKey, RunKey
from ..errors import MotraceError
from ..escape import encodable
from ..readers.nsys.export import Exporter
from ..readers.pieces import GZIP, pieces
from ..readers.recording import RunRecording
from ..timeline.clocks import ClockFit
from ..vocabulary import Tool

HEAD_BYTES = 1 << 16
"""So much is looked at of a file whose first bytes do not rule it out."""
_FIRST_BYTES = 256
_TIMES = ("t_ns", "start_ns", "end_ns", "launch_ns")


@dataclass(frozen=True)
class Head:
    """The beginning of a regular file; empty of one that can't be read."""

    path: Path

    @cached_property
    def data(self) -> bytes:
        """Its first bytes: 64 KiB, fewer if they are binary."""
        try:
            if not self.path.is_file():
                return b""
            with self.path.open("rb") as file:
                first = file.read(_FIRST_BYTES)
                binary = not first.startswith(GZIP) and b"\0" in first
                return first if binary else first + file.read(HEAD_BYTES - len(first))
        except OSError:
            return b""

    @cached_property
    def text(self) -> str:
        """The beginning as text, unzipped if it is zipped; empty of a binary file."""
        data = self.data
        if data.startswith(GZIP):
            try:
                data = zlib.decompressobj(wbits=31).decompress(data, HEAD_BYTES)
            except zlib.error:
                return ""
        return "" if b"\0" in data[:_FIRST_BYTES] else data.decode(errors="replace").lstrip("\ufeff").lstrip()

    @property
    def is_zipped(self) -> bool:
        """Whether it is zipped."""
        return self.data.startswith(GZIP)

    @property
    def is_regular(self) -> bool:
        """Whether it is a file that can be read."""
        with suppress(OSError), self.path.open("rb"):
            return self.path.is_file()
        return False

    @property
    def is_whole(self) -> bool:
        """Whether the file has no more than this."""
        return len(self.data) < HEAD_BYTES

    @cached_property
    def tail(self) -> bytes:
        """Its last bytes, without white space."""
        with suppress(OSError), self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - _FIRST_BYTES))
            return file.read().rstrip()
        return b""

    def has(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether the pattern is anywhere in the file, unzipped: for formats that name their maker at the end."""
        before = b""
        with suppress(OSError):
            for piece in pieces(self.path):
                if pattern.search(before + piece):
                    return True
                before = (before + piece)[-_FIRST_BYTES:]
        return False


@dataclass(frozen=True)
class Identity:
    """What a file says of the process that it watched; empty and None where it says nothing.

    ``marks`` are run ids and pids that motrace wrote into it, ``ours`` whether its frames are in it. ``utc_ns`` is its
    begin and end, ``written_ns`` when it was last written, if that counts for its time. ``by_folder``: it belongs to
    the run in whose folder it lies, unless something speaks against it.
    """

    pids: frozenset[int] = frozenset()
    tids: frozenset[int] = frozenset()
    marks: frozenset[tuple[str, int]] = frozenset()
    utc_ns: tuple[int, int] | None = None
    written_ns: int | None = None
    ours: bool = False
    by_folder: bool = True


@dataclass(frozen=True)
class Part:
    """One file's tables in ``folder``, and what is known of its clock (None: no times).

    ``covered_ns``: from when to when it saw thread states or GPU work; None if it saw none. ``states_from`` says what
    the states are, ``step_ns`` how far apart samples are (0 for events). ``profile`` is what the report shows of a file
    that the user made.
    """

    folder: Path
    clock: ClockFit | None = None
    covered_ns: tuple[int, int] | None = None
    states_from: StatesFrom = StatesFrom.SCHEDULING
    step_ns: int = 0
    names: Mapping[tuple[int, int], str] = field(default_factory=dict)
    stacks: LoopStacks | None = None
    profile: UserProfile | None = None


class Source(Protocol):
    """A file format. ``collected`` are the names under which a collector of ours writes it into a run's folder.

    ``tool`` is the tool that writes it, where a finding depends on what recorded a run.

    Without more it is read as it is, and says nothing of its process but when it was written.
    """

    name: ClassVar[str]
    tool: ClassVar[Tool | None] = None
    collected: ClassVar[tuple[str, ...]] = ()

    def recognise(self, head: Head) -> bool:
        """Whether a file, or a folder of files, is of this format; never raises."""

    def prepare(self, file: ProfilerFile, scratch: Path, export: Exporter | None) -> ProfilerFile:
        """The file as it is read: exported, where it has to be. Raises MotraceError."""
        return file

    def identity(self, file: ProfilerFile) -> Identity:
        """What it says of the process that it watched. Raises MotraceError where it can't be read."""
        return Identity(written_ns=file.path.stat().st_mtime_ns)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """Its tables, as a file of a run, which gets its warnings; None if it holds nothing. Raises MotraceError.

        ``number`` tells the files of a run apart.
        """

    def alone(
        self, file: ProfilerFile, experiment: ExperimentKey, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """Its tables, as a file of no run; as a run of its own where its ranges can be phases. Raises MotraceError."""
        raise MotraceError(
            f"{file.path.name}: this {self.name} file belongs to no run here; give the folder of its run, too"
        )


@dataclass(frozen=True)
class ProfilerFile:
    """A file that a profiler wrote, and its format.

    ``collected``: by a collector of ours, into the run's folder. ``export`` is what is read of it, if not
    itself, ``scratch`` a folder for what is not kept; ``joined_by`` why it belongs to its run.
    """

    path: Path
    source: Source
    collected: bool = False
    export: Path | None = None
    scratch: Path = Path()
    joined_by: str | None = None

    @property
    def name(self) -> str:
        """The file's name, for tables and messages."""
        return encodable(self.path.name)

    def profile(self, run: RunRecording | None, form: str, times: ProfileTimes) -> UserProfile:
        """What the report shows of it, but for what is in it."""
        run_id = run.run_id if run is not None else None
        return UserProfile(self.name, self.source.name, form, run_id, self.joined_by, times)


def write_table(name: str, columns: pa.Table | Mapping[str, ColumnValues], key: RunKey, folder: Path) -> None:
    """Write a table of the declared schema; the key is added."""
    given = dict(zip(columns.column_names, columns.columns)) if isinstance(columns, pa.Table) else columns
    schema = tables.SCHEMAS[name]
    whole = {**given, **key.columns(len(next(iter(given.values()))))}
    folder.mkdir(parents=True, exist_ok=True)
    tables.write(pa.table([whole[entry.name] for entry in schema], schema=schema), folder / f"{name}.parquet")


def moved(table: pa.Table, by_ns: int) -> pa.Table:
    """The table with all its times moved."""
    for name in _TIMES:
        if name in table.column_names:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(at), pc.add(table.column(name), by_ns))
    return table


def write_events(events: Mapping[str, pa.Table], key: RunKey, by_ns: int, folder: Path) -> tuple[int, int] | None:
    """Write tables of events, their times moved; the begin of the first and the end of the last."""
    edges: list[int] = []
    for name, table in events.items():
        if table.num_rows:
            there = moved(table, by_ns)
            edges += [int(np.min(there.column("start_ns"))), int(np.max(there.column("end_ns")))]
            write_table(name, there, key, folder)
    return (min(edges), max(edges)) if edges else None


def loop_ranges(run: RunRecording, frames: bool = True) -> Ranges:
    """Spans of the loop thread that had ended, ``frames`` among them or not, on CLOCK_MONOTONIC."""
    done = run.loop.rows(run.loop.closed & (frames | ~run.loop.is_frame))
    return Ranges(done.name.astype(str), done.start_ns + run.origin_ns, done.end_ns + run.origin_ns)
