"""What py-spy saw in a run: samples, stacks, and how well their times are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from ...arrays import Array
from ...dataset.ranges import Ranges
from ...dataset.tables import without_key
from ...errors import MotraceError
from ...vocabulary import ClockMethod, Tool
from ..clock_offset import ClockOffset
from .align import FEWER, find_shift
from .formats import ORDERED, TIMED, Profile, ThreadProfile, read_any
from .lock_log import Groups, read_log

SOURCE = Tool.PYSPY.value
FACTS_FILE, LOG_FILE, ZIPPED_LOG_FILE = "py-spy.json", "py-spy.log", "py-spy.log.gz"
PROFILES = {"speedscope": "py-spy.speedscope.json", "chrometrace": "py-spy.chrometrace.json"}

SAMPLES_SCHEMA = without_key("samples")
STACKS_SCHEMA = without_key("stacks")
START_ERROR_NS = 1_000_000
"""Of ``ClockMethod.START_LINE``: 0.07 ms at 100 Hz in our measurements, and a margin."""


@dataclass(frozen=True)
class PySpyFacts:
    """What our collector wrote of it: samples per second, the process, and readings of CLOCK_MONOTONIC and UTC."""

    rate: float | None = None
    pid: int = 0
    clock: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class PySpySamples:
    """``samples`` and ``stacks`` without their key, times CLOCK_MONOTONIC.

    With ``ClockMethod.NONE`` all
    times are 0: the stacks and their weights are known, not when. ``native`` says whether native
    frames were recorded; without them running time can't be split.
    """

    samples: pa.Table
    stacks: pa.Table
    clock: ClockOffset
    native: bool
    warnings: list[str] = field(default_factory=list)

    @property
    def timed(self) -> bool:
        """Whether the samples' times are known."""
        return self.clock.method is not ClockMethod.NONE


def read_collected(run_dir: Path, spans: Mapping[int, Ranges]) -> PySpySamples | None:
    """What our own py-spy wrote into a run folder; None if it was not there. Raises MotraceError.

    ``spans``: by thread id, closed spans on CLOCK_MONOTONIC; those of the loop thread suffice.
    """
    path = next((run_dir / name for name in PROFILES.values() if (run_dir / name).exists()), None)
    if path is None:
        return None
    facts = _facts(run_dir / FACTS_FILE)
    profile = read_any(path)
    groups = None
    for name in (ZIPPED_LOG_FILE, LOG_FILE):
        if (run_dir / name).exists():
            groups = read_log(run_dir / name)
            break
    rate = facts.rate or 0.0
    if profile.kind == ORDERED and groups is not None and groups.count:
        return _by_locks(profile, groups, facts, spans)
    if profile.kind == TIMED and groups is not None and groups.first_utc_ns and facts.clock:
        start = int(_to_monotonic(facts, np.array([groups.first_utc_ns]))[0])
        return _timed(profile, start, rate, facts.pid)
    return read_profile(path, rate, facts.pid)


def read_profile(path: Path, rate: float = 0.0, pid: int = 0) -> PySpySamples:
    """Any file of py-spy: stacks and weights without times. Raises MotraceError.

    ``rate`` in samples per second gives weights to formats that only count (100, py-spy's own
    default, where it is 0); ``pid`` is for those that do not name the process.
    """
    profile = read_any(path)
    weight = 1.0 / (rate or 100.0)
    parts = []
    for thread in profile.threads:
        weights = np.where(thread.weight_s > 0, thread.weight_s, weight * thread.count)
        parts.append(_rows(thread, np.zeros(len(weights), np.int64), np.arange(len(weights)), weights, pid))
    warnings = (
        [] if rate or profile.kind == ORDERED else [f"{path.name} states no rate: 100 samples per second assumed"]
    )
    return _made(profile, parts, _clock(ClockMethod.NONE, 0, 0), warnings)


def _facts(path: Path) -> PySpyFacts:
    try:
        return msgspec.json.decode(path.read_bytes(), type=PySpyFacts)
    except FileNotFoundError:
        return PySpyFacts()
    except (OSError, msgspec.DecodeError) as error:
        raise MotraceError(f"{path.name} can't be read: {error}") from error


def _to_monotonic(facts: PySpyFacts, utc_ns: Array) -> Array:
    """UTC to CLOCK_MONOTONIC, by the pairs of readings at begin and end."""
    pairs = np.array(facts.clock, np.int64).reshape(-1, 2)
    shift = pairs[:, 0] - pairs[:, 1]
    between = np.interp(utc_ns - pairs[0, 1], pairs[:, 1] - pairs[0, 1], shift - shift[0])
    converted: Array = utc_ns + shift[0] + between.astype(np.int64)
    return converted


def _by_locks(profile: Profile, groups: Groups, facts: PySpyFacts, spans: Mapping[int, Ranges]) -> PySpySamples:
    """Times from the lock log, if the stacks agree with the spans; else stacks alone."""
    pid, rate = facts.pid, facts.rate or 100.0
    warnings: list[str] = []
    if not facts.clock:
        return _without(profile, pid, f"{FACTS_FILE} is missing: the times of the samples are not known")
    stops = {
        tid: (table[:, 0], _to_monotonic(facts, table[:, 1]), table[:, 2] - table[:, 1])
        for tid, table in groups.stops.items()
        if len(table)
    }
    checked = max((thread for thread in profile.threads if thread.tid in spans and thread.tid in stops),
                  key=lambda thread: len(thread.stack), default=None)  # fmt: skip
    if checked is None or len(checked.stack) < FEWER:
        few = f"only {len(checked.stack)} samples" if checked else "no samples"
        return _without(profile, pid, f"{few} of a thread with spans: their times can't be checked, and are not used")
    own = profile.has_python()
    stop_ns = stops[checked.tid][1]
    found = find_shift(profile.stacks, checked.stack[own[checked.stack]], stop_ns, spans[checked.tid])
    if not found.holds:
        share = f"{found.agrees:.0%} of the {found.judged} samples that identify a span are in it by the log's times"
        return _without(profile, pid, f"{share}: they are not used")
    first_group = int(stops[checked.tid][0][found.shift]) if found.shift >= 0 else 0
    parts, lost = [], 0
    for thread in profile.threads:
        chosen = np.flatnonzero(own[thread.stack])
        number, t_ns, _ = stops.get(thread.tid, (np.empty(0, np.int64),) * 3)
        # A thread that came later was stopped, at first, before it had a stack: its last stops count.
        later = len(number) > 0 and number[0] > first_group
        place = (
            np.flatnonzero(number >= first_group)[-len(chosen) :] if later else np.flatnonzero(number >= first_group)
        )
        kept = min(len(place), len(chosen))
        lost += len(chosen) - kept
        parts.append(_rows(thread, t_ns[place[:kept]], chosen[:kept], thread.weight_s, pid))
    if lost:
        warnings.append(f"py-spy: {lost} samples of threads that came or went have no time in its log: left out")
    # Where the spans are so long that a shift by one changes little, so much is all that is known.
    error_ns = 2e9 / rate if found.ambiguous else float(np.quantile(stops[checked.tid][2], 0.95))
    return _made(profile, parts, _clock(ClockMethod.LOCK_LOG, int(error_ns), found.judged), warnings)


def _timed(profile: Profile, start_ns: int, rate: float, pid: int) -> PySpySamples:
    parts = []
    for thread in profile.threads:
        t_ns = start_ns + (thread.t_s * 1e9).astype(np.int64)
        parts.append(_rows(thread, t_ns, np.arange(len(t_ns)), np.full(len(t_ns), 1.0 / (rate or 100.0)), pid))
    once = "py-spy: equal samples in a row count once (chrometrace): long phases weigh too little"
    return _made(profile, parts, _clock(ClockMethod.START_LINE, START_ERROR_NS, 1), [once])


def _without(profile: Profile, pid: int, why: str) -> PySpySamples:
    parts = [
        _rows(thread, np.zeros(len(thread.stack), np.int64), np.arange(len(thread.stack)), thread.weight_s, pid)
        for thread in profile.threads
    ]
    return _made(profile, parts, _clock(ClockMethod.NONE, 0, 0), [f"py-spy: {why}"])


def _clock(method: ClockMethod, error_ns: int, pairs: int) -> ClockOffset:
    return ClockOffset(0, error_ns, pairs, method)


def _rows(thread: ThreadProfile, t_ns: Array, chosen: Array, weight_s: Array, pid: int) -> dict[str, Array]:
    count = len(chosen)
    return {
        "t_ns": t_ns,
        "weight_ns": (weight_s[chosen] * 1e9).round().astype(np.int64),
        "pid": np.full(count, thread.pid or pid, np.int64),
        "tid": np.full(count, thread.tid, np.int64),
        "stack_id": thread.stack[chosen],
    }


def _made(profile: Profile, parts: list[dict[str, Array]], clock: ClockOffset, warnings: list[str]) -> PySpySamples:
    columns = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0, np.int64)
        for name in ("t_ns", "weight_ns", "pid", "tid", "stack_id")
    }
    order = np.lexsort((columns["tid"], columns["t_ns"]))
    words = {"state": "unknown", "source": SOURCE}
    arrays: dict[str, Array | pa.Array] = {name: column[order] for name, column in columns.items()}
    arrays |= {name: pa.array([word] * len(order), pa.string()).dictionary_encode() for name, word in words.items()}
    samples = pa.table({name: arrays[name] for name in SAMPLES_SCHEMA.names}, schema=SAMPLES_SCHEMA)
    stacks = pa.table(
        {"stack_id": np.arange(len(profile.stacks)), "frames": [list(stack) for stack in profile.stacks]},
        schema=STACKS_SCHEMA,
    )
    return PySpySamples(samples, stacks, clock, profile.native, warnings)
