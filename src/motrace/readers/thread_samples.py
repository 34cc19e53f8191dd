"""Samples of thread states (``threads.arrow``, or ``threads.bin`` where the launcher could not convert it)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc

from .. import output
from ..arrays import Array
from ..dataset.tables import without_key
from ..errors import MotraceError
from ..output import JsonValue
from ..vocabulary import Tool
from .syscalls import waits_on
from .thread_format import BLOCK, MAGIC, OLD_BLOCK, OLD_MAGIC, ROW, ROW_FIELDS, SamplerFacts

SOURCE = Tool.THREADS.value
ROWS = np.dtype(
    {"names": ROW_FIELDS, "formats": ["<i8", "<i8", "<u4", "<u4", "<u2"], "offsets": [0, 8, 16, 20, 24], "itemsize": 32}
)
MAX_GAP_NS = 250_000_000
"""Between samples further apart than this nothing is known."""

SLOWEST_HZ = 50.0
"""The sampler's slowest pace: taken for a file that does not say how often it looked."""

_ENDED = "XZx"
_FACTS, _TICKS = b"motrace", b"motrace.ticks"
ThreadRow = tuple[int, int, int, str]
"""Number, process, thread, name."""
StateRow = tuple[int, str, str, str, str]
"""Number, letter, kernel function, system call, file."""
STATES_SCHEMA = without_key("thread_states")
STAYS_SCHEMA = pa.schema(
    [
        ("pid", pa.int64()),
        ("tid", pa.int64()),
        ("name", pa.dictionary(pa.int32(), pa.string())),
        ("first_ns", pa.int64()),
        ("last_ns", pa.int64()),
        ("samples", pa.int64()),
        ("state", pa.dictionary(pa.int32(), pa.string())),
        ("waits_on", pa.dictionary(pa.int32(), pa.string())),
    ]
)


class _Block(msgspec.Struct):
    """What a block of the sampler's file adds, beside its facts."""

    threads: list[ThreadRow]
    states: list[StateRow]


@dataclass(frozen=True)
class ThreadSamples:
    """Stays of threads in states, and what it cost to see them.

    ``stays``: a row for each, sorted by thread and time: pid, tid, name, first_ns and last_ns of
    the samples that saw it (CLOCK_MONOTONIC), samples, state (running, which /proc can't distinguish from
    runnable, or blocked), waits_on. ``ticks``: when each of the sampler's rounds began, int64 ns; none in files of the
    first version.
    """

    stays: pa.Table
    facts: SamplerFacts = field(default_factory=SamplerFacts)
    ticks: Array = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def cost_share(self) -> float:
        """CPU time of the sampler over the wall time that it watched (1 = one core)."""
        return self.facts.cpu_ns / max(1, self.facts.wall_ns)

    @property
    def late_share(self) -> float:
        """Share of the rounds that waited for a core: they come when somebody blocks, so they are biased."""
        return self.facts.late / max(1, self.facts.rounds)

    @property
    def step_ns(self) -> int:
        """How far apart samples are around a moment, ns: the sampler's own gaps, weighted by their length.

        So a sampler that was starved for a part of the time errs by more, and no thread's sightings make it err by
        less. Where a look at every thread took several rounds, it is as many times wider. A file without ticks: the
        gaps between all samples of all threads, and no less than its own count of rounds says.
        """
        wide = max(1.0, self.facts.passes)
        if len(self.ticks) > 1:
            return max(1, round(_typical_gap(self.ticks) * wide))
        rounds, wall_ns = self.facts.rounds, self.facts.wall_ns
        if rounds > 1 and wall_ns > 0:
            counted = wall_ns // rounds
        else:
            counted = round(1e9 / (self.facts.hz or self.facts.asked_hz or SLOWEST_HZ))
        seen = np.unique(self.points().column("t_ns").to_numpy()) if self.stays.num_rows else self.ticks
        return max(1, counted, round(_typical_gap(seen)))

    def intervals(self) -> dict[tuple[int, int], int]:
        """Mean time between samples in ns, by (pid, tid): a state's edges are known to half of it."""
        group = self.stays.group_by(["pid", "tid"])
        rows = group.aggregate([("first_ns", "min"), ("last_ns", "max"), ("samples", "sum")]).to_pylist()
        return {
            (row["pid"], row["tid"]): (row["last_ns_max"] - row["first_ns_min"]) // max(1, row["samples_sum"] - 1)
            for row in rows
        }

    def states(self) -> pa.Table:
        """Schema ``thread_states`` without its key, times CLOCK_MONOTONIC.

        Between two samples a thread changed its state at an unknown moment: half of the time goes
        to either, so that neither durations nor positions are biased. Nothing is said about gaps
        longer than MAX_GAP_NS.
        """
        return _states(self.stays)

    def points(self) -> pa.Table:
        """A row for each sample: t_ns, pid, tid, state, waits_on.

        Counted inside spans of one kind they give its shares without the error that ``states`` has
        at the spans' edges. Of a stay only the first and the last moment are kept; samples between
        them are spread evenly.
        """
        stays = self.stays.combine_chunks()
        first, last, count = (stays.column(name).to_numpy() for name in ("first_ns", "last_ns", "samples"))
        row = np.repeat(np.arange(len(count)), count)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        t_ns = first[row] + (last - first)[row] * nth // np.maximum(count - 1, 1)[row]
        kept = stays.select(["pid", "tid", "state", "waits_on"]).take(pa.array(row))
        return kept.add_column(0, "t_ns", pa.array(t_ns))


def read(path: Path) -> ThreadSamples:
    """Read either file, up to where it was written or cut off. Raises MotraceError."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
        if head in (MAGIC, OLD_MAGIC):
            return _parse(path.read_bytes())
        return _read_arrow(path)
    except OSError as error:
        raise MotraceError(f"{path.name} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, zlib.error, pa.ArrowException) as error:
        text = " ".join(str(error).split())[:200]
        raise MotraceError(f"{path.name} is not a thread-state file of motrace: {text}") from error


def write(samples: ThreadSamples, path: Path) -> None:
    """Write ``threads.arrow``, atomically. Raises OSError."""
    ticks = zlib.compress(np.diff(samples.ticks, prepend=0).astype("<i8").tobytes())
    table = samples.stays.replace_schema_metadata({_FACTS: msgspec.json.encode(samples.facts), _TICKS: ticks})
    options = ipc.IpcWriteOptions(compression="zstd")
    with (
        output.replacing(path) as temporary,
        ipc.new_stream(str(temporary), table.schema, options=options) as writer,
    ):
        writer.write_table(table, max_chunksize=1 << 16)


def _read_arrow(path: Path) -> ThreadSamples:
    batches = []
    with path.open("rb") as file, ipc.open_stream(file) as stream:
        metadata = stream.schema.metadata or {}
        facts = msgspec.json.decode(metadata[_FACTS], type=SamplerFacts, strict=False)
        ticks = zlib.decompress(metadata.get(_TICKS, zlib.compress(b"")))
        if not stream.schema.remove_metadata().equals(STAYS_SCHEMA):
            raise ValueError("its columns are other ones")
        try:
            batches = list(stream)
        except pa.ArrowInvalid:  # cut off: whole batches count
            facts = replace(facts, damaged=True)
    stays = pa.Table.from_batches(batches, STAYS_SCHEMA).replace_schema_metadata(None)
    return ThreadSamples(stays, facts, np.cumsum(np.frombuffer(ticks, "<i8")))


def _parse(data: bytes) -> ThreadSamples:
    """The sampler's own file; see ``thread_format``."""
    layout = BLOCK if data.startswith(MAGIC) else OLD_BLOCK
    facts: dict[str, JsonValue] = {}
    threads: list[ThreadRow] = []
    states: list[StateRow] = []
    rows: list[Array] = []
    ticks = [np.empty(0, np.int64)]
    position = len(MAGIC)
    while position + layout.size <= len(data):
        text, count, *rounds = layout.unpack_from(data, position)
        begin = position + layout.size
        at_ticks = begin + text + count * ROW.size
        end = at_ticks + 8 * sum(rounds)
        if end > len(data):
            break  # cut off
        new = msgspec.json.decode(data[begin : begin + text], type=_Block)
        threads += new.threads
        states += new.states
        facts |= msgspec.json.decode(data[begin : begin + text])
        rows.append(np.frombuffer(data, ROWS, count, begin + text))
        ticks.append(np.frombuffer(data, "<i8", sum(rounds), at_ticks))
        position = end
    stays = np.concatenate(rows) if rows else np.empty(0, ROWS)
    said = msgspec.convert({**facts, "threads": len(threads)}, SamplerFacts, strict=False)
    return ThreadSamples(_table(stays, threads, states, said.machine), said, np.concatenate(ticks))


def _table(stays: Array, threads: list[ThreadRow], states: list[StateRow], machine: str) -> pa.Table:
    if len(stays) and (stays["thread"].max() >= len(threads) or stays["state"].max() >= len(states)):
        raise ValueError("it names threads or states that it does not define")
    letters = [str(state[1]) for state in states]
    kept = stays[~np.isin(stays["state"], [index for index, letter in enumerate(letters) if letter in _ENDED])]
    kept = kept[np.lexsort((kept["first_ns"], kept["thread"]))]
    words = [
        None if letter == "R" else waits_on(letter, wchan, call, file, machine)
        for _, letter, wchan, call, file in states
    ]
    named = ["running" if letter == "R" else "blocked" for letter in letters]
    who = kept["thread"]
    return pa.table(
        {
            "pid": np.array([thread[1] for thread in threads], np.int64)[who],
            "tid": np.array([thread[2] for thread in threads], np.int64)[who],
            "name": pa.array([thread[3] for thread in threads], pa.string()).take(pa.array(who)).dictionary_encode(),
            "first_ns": kept["first_ns"],
            "last_ns": kept["last_ns"],
            "samples": kept["samples"].astype(np.int64),
            "state": pa.array(named, pa.string()).take(pa.array(kept["state"])).dictionary_encode(),
            "waits_on": pa.array(words, pa.string()).take(pa.array(kept["state"])).dictionary_encode(),
        },
        schema=STAYS_SCHEMA,
    )


def _typical_gap(times: Array) -> float:
    """The gap between ``times`` in which a moment chosen at random lies, on average; 0 where there is none.

    Gaps of which nothing is said are left out.
    """
    gaps = np.diff(times).astype(float)
    gaps = gaps[(gaps > 0) & (gaps <= MAX_GAP_NS)]
    return float((gaps**2).sum() / gaps.sum()) if len(gaps) else 0.0


def _states(stays: pa.Table) -> pa.Table:
    stays = stays.combine_chunks()
    columns = {name: stays.column(name).to_numpy() for name in ("pid", "tid", "first_ns", "last_ns")}
    first, last = columns["first_ns"], columns["last_ns"]
    count = len(first)
    keys = ("pid", "tid")
    follows = np.zeros(count, bool)  # the row goes on where the one before it ended
    if count:
        same = np.logical_and.reduce([columns[key][1:] == columns[key][:-1] for key in keys])
        follows[1:] = same & (first[1:] - last[:-1] <= MAX_GAP_NS)
    start, end = first.copy(), last.copy()
    middle = (first[1:] + last[:-1]) // 2
    start[1:] = np.where(follows[1:], middle, start[1:])
    end[:-1] = np.where(follows[1:], middle, end[:-1])
    state = _codes(stays.column("state")) * (1 << 20) + _codes(stays.column("waits_on"))
    heads = np.flatnonzero(~(follows & np.concatenate(([False], state[1:] == state[:-1]))))
    tails = np.append(heads[1:], count) - 1 if count else heads
    kept = pa.array(heads)
    wide = end[tails] > start[heads]
    table = pa.table(
        {
            **{key: stays.column(key).take(kept) for key in keys},
            "start_ns": start[heads],
            "end_ns": end[tails],
            "state": stays.column("state").take(kept),
            "waits_on": stays.column("waits_on").take(kept),
            "source": pa.array([SOURCE] * len(heads), pa.string()).dictionary_encode(),
        },
        schema=STATES_SCHEMA,
    )
    return table.filter(pa.array(wide))


def _codes(column: pa.ChunkedArray) -> Array:
    """Numbers that are equal where the texts are; null is one too."""
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    codes: Array = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes + 1
