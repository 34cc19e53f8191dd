"""What tests look up in a report by name, and its warnings as people read them."""

from __future__ import annotations

from pathlib import Path

from motrace.cautions import Caution
from motrace.dataset.times import BucketTime
from motrace.findings.benchmark_codes import BenchmarkItem
from motrace.findings.model import BenchmarkRow, Report
from motrace.findings.run_model import Composition, Pool, RunSummary
from motrace.findings.sweep_model import SweepResults
from motrace.findings.values import PhaseTime, SegmentPhase
from motrace.report.say import pool_name, say
from motrace.report.schema import decode


def read_report(folder: Path) -> Report:
    """report.json of a folder of results."""
    return decode((folder / "report.json").read_bytes(), "report.json", Report)


def pools(report: Report) -> dict[str, Pool]:
    """Pools by the mode, and the profilers that watched."""
    return {pool_name(pool.key): pool for pool in report.pools}


def phases(of: RunSummary | Pool) -> dict[str, PhaseTime]:
    """Phases by name."""
    return {one.phase: one for one in of.phases}


def segments(of: RunSummary | Pool) -> dict[str, int]:
    """Wall times by segment."""
    return {one.segment: one.wall_ns for one in of.segments}


def segment_phases(of: RunSummary | Pool, segment: str) -> dict[str, SegmentPhase]:
    """Phases of a segment by name."""
    return {one.phase: one for one in of.segment_phases if one.segment == segment}


def buckets(of: RunSummary | Pool | Composition) -> dict[str, BucketTime]:
    """Buckets by id."""
    return {one.bucket: one for one in of.buckets}


def events(run: RunSummary) -> dict[str, int]:
    """Rows of event tables."""
    return {} if run.trace is None else {one.table: one.rows for one in run.trace.events}


def rows(report: Report) -> dict[BenchmarkItem, BenchmarkRow]:
    """Benchmark rows by item."""
    return {row.item: row for row in report.benchmark}


def said(of: Report | RunSummary | SweepResults) -> list[str]:
    """Warnings in words."""
    return [in_words(one) for one in of.warnings]


def in_words(one: Caution) -> str:
    """A warning in words, with the runs that it is about."""
    text = say(one.code, one.values)
    return f"{', '.join(one.runs)}: {text}" if one.runs else text
