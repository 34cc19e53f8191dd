"""What episodes say of a run: checked against episodes made up by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from motrace.dataset.frames import FrameTimes
from motrace.findings.episodes import episode_statistics
from motrace.findings.spreads import spread
from motrace.findings.values import FrameCost, Spread
from motrace.record.episodes import END, TERMINATED, TRUNCATED

Row = tuple[str, int, int, int, str, float | None, bool | None]


def episodes(*rows: Row) -> pa.Table:
    """Rows of run, env, start, end, reason, return, success; one frame is warm-up."""
    names = ("run", "env", "start_step", "end_step", "reason", "return", "success")
    made = [dict(zip(names, row)) for row in rows]
    more = [{**row, "length": row["end_step"] - row["start_step"] + 1, "warmup": row["end_step"] < 1} for row in made]
    return pa.Table.from_pylist(
        more, pa.schema([*pa.Table.from_pylist(more).schema.remove(6), ("success", pa.bool_())])
    )


def frames(walls: list[int], steps: list[int], *runs: str) -> FrameTimes:
    """Frames of runs that took so long, and their steps; the first is warm-up."""
    count, times = len(walls), len(runs)
    numbers = np.tile(np.arange(count), times)
    phases = {"step": np.tile(steps, times)}
    return FrameTimes(np.repeat(np.array(runs, object), count), numbers, np.tile(walls, times), numbers < 1, phases)


ROWS = (
    ("a", 0, 0, 2, TERMINATED, 3.0, False),
    ("a", 0, 3, 4, END, 2.0, None),
    ("a", 1, 0, 2, TRUNCATED, 5.0, True),
    ("a", 1, 3, 4, TRUNCATED, 1.0, True),
)
WALLS, STEPS = [900, 10, 30, 12, 50], [90, 1, 3, 2, 5]
FRAMES = frames(WALLS, STEPS, "a")


def test_counts_returns_and_what_a_reset_costs() -> None:
    one = episode_statistics(episodes(*ROWS), FRAMES)
    assert (one.episodes, one.ended, one.terminated, one.truncated, one.cut_off) == (4, 3, 1, 2, 1)
    assert one.success_rate == pytest.approx(2 / 3)
    assert one.returns == Spread(3.0, 2.0, 1.0, 5.0, 3)
    assert one.lengths is not None and one.lengths.mean == pytest.approx(8 / 3)
    assert one.reward_per_step == pytest.approx(11 / 10)
    assert (one.resets, one.resets_per_frame, one.frames_with_reset) == (3, 3 / 4, 2)
    assert (one.step.with_reset, one.step.without_reset) == (FrameCost(4, 4), FrameCost(2, 2))
    assert (one.frame.with_reset, one.frame.without_reset) == (FrameCost(40, 40), FrameCost(11, 11))


def test_what_was_over_with_the_warmup_does_not_count() -> None:
    rows = episodes(("a", 0, 0, 0, TERMINATED, 9.0, False), ("a", 0, 1, 4, END, 1.0, None))
    one = episode_statistics(rows, FRAMES)
    assert (one.episodes, one.ended, one.resets) == (1, 0, 0)
    assert one.returns is None and one.lengths is None and one.success_rate is None
    assert one.step.with_reset is None


def test_steps_that_are_not_one_per_frame_say_nothing_of_frames() -> None:
    one = episode_statistics(episodes(("a", 0, 0, 99, END, 1.0, None)), FRAMES)
    assert one.frames_with_reset is None and one.resets_per_frame is None
    assert one.step.with_reset is None and one.step.without_reset is None


def test_several_runs_are_pooled() -> None:
    twice: list[Row] = [(run, *row[1:]) for run in "ab" for row in ROWS]
    one = episode_statistics(episodes(*ROWS), FRAMES)
    two = episode_statistics(episodes(*twice), frames(WALLS, STEPS, "a", "b"))
    assert two.ended == 2 * one.ended
    assert one.frames_with_reset is not None and two.frames_with_reset == 2 * one.frames_with_reset
    assert two.resets_per_frame == one.resets_per_frame and two.step == one.step


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([float("nan")] * 2, None), ([2.0], (2.0, 0.0)), ([1.0, 3.0, float("nan")], (2.0, 2.0**0.5))],
)
def test_spread(values: list[float], expected: tuple[float, float] | None) -> None:
    found = spread(values)
    assert (found and (found.mean, pytest.approx(found.std))) == expected
