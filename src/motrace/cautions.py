"""What a reader or a finding warns of: a code and the values of its sentence. The sentences are in the renderer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

Value = str | int | float | tuple[str, ...]
Values = dict[str, Value]
"""What fills a sentence, by name; shares are of 1, times in ns, names and texts as they are."""


class CautionCode(str, Enum):
    """Every warning that a report or a sweep can hold; its values in brackets."""

    RECORDED = "recorded"
    """Words of the recording itself, or of a reader (``text``)."""
    UNREADABLE = "unreadable"
    """A file or a run could not be read (``text``)."""
    BAD_BACKSLASHES = "bad_backslashes"
    """``count`` events of ``file``, which torch wrote, had them, from event ``first`` on."""
    BAD_UTF8 = "bad_utf8"
    """The same: ``file``, ``count``, ``first``."""
    CONTROL_CHARACTERS = "control_characters"
    """The same: ``file``, ``count``, ``first``."""
    BAD_NUMBERS = "bad_numbers"
    """The same: ``file``, ``count``, ``first``."""
    BAD_QUOTES = "bad_quotes"
    """The same: ``file``, ``count``, ``first``."""
    EVENTS_LOST = "events_lost"
    """The same: ``file``, ``count``, ``first``."""
    CUT_OFF = "cut_off"
    """``file`` ends in or after event ``first``."""
    CATEGORIES_UNREAD = "categories_unread"
    """``count`` events of ``file``, of the categories ``names``."""
    NOT_ALIGNED = "not_aligned"
    """``file``."""
    TIMES_MISSING = "times_missing"
    """``count`` events of ``file``."""
    DURATIONS_NEGATIVE = "durations_negative"
    """The same: ``file``, ``count``."""
    TIMES_ZERO = "times_zero"
    """The same: ``file``, ``count``."""
    TIMES_FAR_OFF = "times_far_off"
    """The same: ``file``, ``count``."""
    RATE_ASSUMED = "rate_assumed"
    """``file`` of a py-spy that wrote counts instead of seconds."""
    NO_SECONDS = "no_seconds"
    """The same, and not even the version is known (``file``)."""
    NO_EXPERIMENT_FILE = "no_experiment_file"
    STATES_DIFFER = "states_differ"
    RUNGS_DIFFER = "rungs_differ"
    """What both do took ``shared_ns`` more (or less) in ``new`` than in ``base``, its own phases ``own_ns``."""
    LOW_DISK = "low_disk"
    """Free space when the run, or the experiment, began (``free_bytes``)."""
    SOFTWARE_ADAPTER = "software_adapter"
    """``adapter``."""
    BLANK_FRAMES = "blank_frames"
    """``blank`` of ``frames`` of the video."""
    VIDEO_FRAMES_ALIKE = "video_frames_alike"
    VIDEO_FRAMES_DIFFER = "video_frames_differ"
    """The video holds ``video``, the loop made ``loop``."""
    NO_VIDEO = "no_video"
    """``reason``, if it is known."""
    UNEXPLAINED_TIME = "unexplained_time"
    """``share`` of loop and drain."""
    CONTENTION = "contention"
    """Other processes used ``share`` of the cores."""
    CONTENTION_WITH_PROFILER = "contention_with_profiler"
    """The same of a profiled run: the profiler is among them (``share``)."""
    PROFILER_ATTACHED = "profiler_attached"
    NO_NVTX = "no_nvtx"
    RUN_LEFT_OUT = "run_left_out"
    """Of a sweep: a run that did not complete (``run``, ``status``, ``reason``)."""
    SIZE_UNKNOWN = "size_unknown"
    """Of a sweep: an experiment whose environments and size are not known (``experiment``)."""
    NO_REPEATS = "no_repeats"
    """Of a sweep (``points``)."""
    ADAPTERS_DIFFER = "adapters_differ"
    """Of a sweep (``adapters``)."""
    SOFTWARE_SWEEP = "software_sweep"
    NO_FIT = "no_fit"
    """``mode``, ``quantity``, ``reason``."""
    LACK_OF_FIT = "lack_of_fit"
    """``mode``, ``quantity``, ``p``."""
    NOISY_FIT = "noisy_fit"
    """``mode``, ``quantity``, ``residual_sd``."""
    HELD_AT_ZERO = "held_at_zero"
    """``mode``, ``quantity``, ``terms``."""


@dataclass(frozen=True)
class Caution:
    """A warning. ``runs`` are those that it is about; empty for the whole experiment."""

    code: CautionCode
    values: Values = field(default_factory=dict)
    runs: tuple[str, ...] = ()


def caution(code: CautionCode, **values: Value) -> Caution:
    """A warning with the values of its sentence."""
    return Caution(code, values)


def recorded(warning: str | Caution) -> Caution:
    """A warning as it is, or in the words of a recording or a reader."""
    return warning if isinstance(warning, Caution) else caution(CautionCode.RECORDED, text=warning)


def shared(cautions: Iterable[tuple[str, Caution]]) -> tuple[Caution, ...]:
    """Warnings of runs (run id, warning), each said once, about all runs that share it."""
    whose: list[tuple[Caution, list[str]]] = []
    for run, one in cautions:
        runs = next((runs for known, runs in whose if known == one), None)
        if runs is None:
            whose.append((one, [run]))
        else:
            runs.append(run)
    return tuple(replace(one, runs=tuple(runs)) for one, runs in whose)
