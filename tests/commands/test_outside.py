"""What run_record tells somebody who started it under an ``nsys profile`` of their own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from motrace.collect.nsys_outside import Outside
from motrace.commands import outside


@pytest.mark.parametrize("perf_events", [True, False])
def test_where_to_go_on_and_what_to_do_if_it_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, perf_events: bool
) -> None:
    found = Outside(tmp_path / "traces/g1/report.nsys-rep", perf_events)
    monkeypatch.setattr(outside, "nsys_around", lambda: found)
    monkeypatch.setattr(outside, "profiled_by", lambda: "nsys")
    told = io.StringIO()
    home = tmp_path / "traces/humanoid"
    folder = outside.tell_of_profiler(home, Console(file=told, soft_wrap=True))
    assert folder.resolve() == (tmp_path / "traces").resolve()  # above the report and the runs
    assert ("it hangs" in told.getvalue()) is perf_events


def test_without_a_profiler_the_experiment_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "nsys_around", lambda: None)
    monkeypatch.setattr(outside, "profiled_by", lambda: None)
    told = io.StringIO()
    assert outside.tell_of_profiler(tmp_path, Console(file=told)) == tmp_path and not told.getvalue()
