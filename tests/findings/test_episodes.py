"""What episodes say of a run: checked against episodes made up by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from motrace.findings.episodes import spread, summarise_episodes
from motrace.record.episodes import END, TERMINATED, TRUNCATED


def episodes(*rows: tuple[str, int, int, int, str, float | None, bool | None]) -> pd.DataFrame:
    """Rows of run, env, start, end, reason, return, success; one frame is warm-up."""
    made = pd.DataFrame(rows, columns=["run", "env", "start_step", "end_step", "reason", "return", "success"])
    made["length"] = made["end_step"] - made["start_step"] + 1
    made["warmup"] = made["end_step"] < 1
    return made


def frames(run: str, walls: list[int], steps: list[int]) -> pd.DataFrame:
    """Frames that took so long, and their steps; the first is warm-up."""
    numbers = range(len(walls))
    made = pd.DataFrame({"run": run, "frame": numbers, "start_ns": 0, "end_ns": walls, "step": steps})
    made["warmup"] = made["frame"] < 1
    return made


ROWS = (
    ("a", 0, 0, 2, TERMINATED, 3.0, False),
    ("a", 0, 3, 4, END, 2.0, None),
    ("a", 1, 0, 2, TRUNCATED, 5.0, True),
    ("a", 1, 3, 4, TRUNCATED, 1.0, True),
)
FRAMES = frames("a", [900, 10, 30, 12, 50], [90, 1, 3, 2, 5])


def test_counts_returns_and_what_a_reset_costs() -> None:
    told = summarise_episodes(episodes(*ROWS), FRAMES)
    assert (told["episodes"], told["ended"], told["terminated"], told["truncated"], told["open"]) == (4, 3, 1, 2, 1)
    assert told["success_rate"] == pytest.approx(2 / 3)
    assert told["return"] == {"mean": 3.0, "std": 2.0, "min": 1.0, "max": 5.0, "count": 3}
    assert told["length"]["mean"] == pytest.approx(8 / 3)
    assert told["reward_per_step"] == pytest.approx(11 / 10)
    assert (told["resets"], told["resets_per_frame"], told["frames_with_reset"]) == (3, 3 / 4, 2)
    assert told["step"] == {
        "with_reset": {"mean_ns": 4, "p50_ns": 4},
        "without_reset": {"mean_ns": 2, "p50_ns": 2},
    }
    assert told["frame"]["with_reset"]["mean_ns"] == 40 and told["frame"]["without_reset"]["mean_ns"] == 11


def test_what_was_over_with_the_warmup_does_not_count() -> None:
    told = summarise_episodes(episodes(("a", 0, 0, 0, TERMINATED, 9.0, False), ("a", 0, 1, 4, END, 1.0, None)), FRAMES)
    assert (told["episodes"], told["ended"], told["resets"]) == (1, 0, 0)
    assert told["return"] is None and told["length"] is None and told["success_rate"] is None
    assert told["step"]["with_reset"] is None


def test_steps_that_are_not_one_per_frame_say_nothing_of_frames() -> None:
    told = summarise_episodes(episodes(("a", 0, 0, 99, END, 1.0, None)), FRAMES)
    assert told["frames_with_reset"] is None and told["resets_per_frame"] is None
    assert told["step"] == {"with_reset": None, "without_reset": None}


def test_several_runs_are_pooled() -> None:
    twice = [(run, *row[1:]) for run in "ab" for row in ROWS]
    both = pd.concat([FRAMES, FRAMES.assign(run="b")])
    one, two = summarise_episodes(episodes(*ROWS), FRAMES), summarise_episodes(episodes(*twice), both)
    assert two["ended"] == 2 * one["ended"] and two["frames_with_reset"] == 2 * one["frames_with_reset"]
    assert two["resets_per_frame"] == one["resets_per_frame"] and two["step"] == one["step"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([None, float("nan")], None), ([2.0], (2.0, 0.0)), ([1.0, 3.0, None], (2.0, 2.0**0.5))],
)
def test_spread(values: list[Any], expected: tuple[float, float] | None) -> None:
    found = spread(values)
    assert (found and (found["mean"], pytest.approx(found["std"]))) == expected
