"""Scalene's profile, ours or the user's: hints where to look, not evidence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..dataset.profiles import LineProfile, ProfileTimes
from ..dataset.tables import ExperimentKey, RunKey
from ..readers.recording import RunRecording
from ..readers.scalene import program_lines, read_lines, when
from ..readers.source_calls import calls_of
from ..sampling.python_waits import any_waits
from ..sampling.thread_time import HintedLine, hinted_time
from ..sampling.user_profiles import heaviest_lines
from ..vocabulary import Tool
from .source import Head, Identity, Part, ProfilerFile, Source, write_table

_FIELDS = (re.compile(b'"elapsed_time_sec"'), re.compile(b'"files"'))


class ScaleneSource(Source):
    """Scalene."""

    name = "Scalene"
    tool = Tool.SCALENE
    collected = ("scalene.json",)

    def recognise(self, head: Head) -> bool:
        """A JSON object with Scalene's fields; its stacks may come before what is its own."""
        text = head.text
        if head.is_zipped or not text.startswith("{"):
            return False
        may_be = re.search(r'^\{\s*"alloc_samples"\s*:|"(elapsed_time_sec|n_cpu_percent_python)"', text)
        return may_be is not None and all(map(head.has, _FIELDS))

    def identity(self, file: ProfilerFile) -> Identity:
        """When the program ran."""
        return Identity(utc_ns=when(file.path).utc_ns, written_ns=file.path.stat().st_mtime_ns)

    def read(self, file: ProfilerFile, run: RunRecording, folder: Path, number: int) -> Part | None:
        """Lines, and of the user's a profile."""
        return _lines(file, run, run.key, folder)

    def alone(
        self, file: ProfilerFile, experiment: ExperimentKey, folder: Path, phases: str | None
    ) -> tuple[RunRecording | None, Part]:
        """The same."""
        return None, _lines(file, None, experiment.run(file.name), folder)


def _lines(file: ProfilerFile, run: RunRecording | None, key: RunKey, folder: Path) -> Part:
    table = read_lines(file.path)
    if table.num_rows:
        write_table("lines", table, key, folder)
    if file.collected:
        return Part(folder)
    watched = when(file.path)
    lines = LineProfile(watched.seconds, table.num_rows, heaviest_lines(table))
    hints = (
        HintedLine(line.name, any_waits(calls_of(line.source)), *line.numbers[:4]) for line in program_lines(file.path)
    )
    thread = hinted_time(hints, watched.seconds) if run is None else None
    profile = file.profile(run, "json", ProfileTimes.LINE_SHARES)
    return Part(folder, profile=replace(profile, lines=lines, thread=thread, warnings=watched.warnings))
