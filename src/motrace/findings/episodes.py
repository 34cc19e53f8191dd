"""Episodes of a run's environments: what they say of the run and of its slow frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Array
from ..attribution.run import RunAnalysis
from ..dataset.frames import FrameTimes
from ..record.episodes import TERMINATED, TRUNCATED
from .spreads import spread
from .values import EpisodeStatistics, FrameCost, ResetCost

ENDED = (TERMINATED, TRUNCATED)


def run_episodes(analysis: RunAnalysis, episodes: pa.Table, frames: FrameTimes) -> EpisodeStatistics | None:
    """What the episodes of a run say; None where none were recorded."""
    found = analysis.recording.episodes
    if found is None:
        return None
    return replace(
        episode_statistics(episodes, frames),
        envs=found.envs,
        success_rule=found.success or None,
        reward_rule=found.reward or None,
    )


def episode_statistics(episodes: pa.Table, frames: FrameTimes) -> EpisodeStatistics:
    """Counts, returns and lengths of the episodes that were not over with the warm-up; resets and what they cost.

    Return, length and success are those of episodes that ended by themselves; how the others
    would have gone on is not known. Rewards per step are over all.
    """
    counted = episodes.filter(pc.invert(episodes.column("warmup")))
    reasons = counted.column("reason").cast("string")
    terminated, truncated = (int(pc.sum(pc.equal(reasons, reason)).as_py() or 0) for reason in ENDED)
    ended = counted.filter(pc.is_in(reasons, value_set=pa.array(ENDED)))
    steps = pc.sum(counted.column("length")).as_py()
    rewards = counted.column("return").to_numpy()
    success = ended.column("success").drop_null().to_numpy(zero_copy_only=False)
    matched = _matched(episodes, frames)
    kept = frames.of_runs(matched).kept()
    ends = zip(ended.column("run").to_pylist(), ended.column("end_step").to_pylist())
    hits = {key for key in ends if key[0] in matched}
    with_reset = np.array([key in hits for key in zip(kept.run.tolist(), kept.frame.tolist())], bool)
    resets = sum(run in matched for run in ended.column("run").to_pylist())
    return EpisodeStatistics(
        episodes=counted.num_rows,
        ended=ended.num_rows,
        terminated=terminated,
        truncated=truncated,
        cut_off=counted.num_rows - ended.num_rows,
        success_rate=float(success.astype(bool).mean()) if len(success) else None,
        returns=spread(ended.column("return").to_numpy()),
        lengths=spread(ended.column("length").to_numpy()),
        reward_per_step=float(np.nansum(rewards) / steps) if steps else None,
        resets=resets,
        resets_per_frame=resets / len(kept) if len(kept) else None,
        frames_with_reset=int(with_reset.sum()) if len(kept) else None,
        frame=_reset_cost(kept.wall_ns, with_reset),
        step=_reset_cost(kept.phase_ns("step"), with_reset),
    )


def _matched(episodes: pa.Table, frames: FrameTimes) -> set[str]:
    """Runs with one step per frame; of the others episodes say nothing about frames."""
    last: dict[str, int] = {}
    for run, step in zip(episodes.column("run").to_pylist(), episodes.column("end_step").to_pylist()):
        last[run] = max(step, last.get(run, step))
    return {run for run, step in last.items() if step + 1 - int((frames.run == run).sum()) in (0, 1)}  # 1: cut off


def _reset_cost(values: Array, with_reset: Array) -> ResetCost:
    """Frames with a reset, and those without."""
    return ResetCost(*(
        FrameCost(round(float(group.mean())), round(float(np.median(group)))) if len(group) else None
        for group in (values[with_reset], values[~with_reset])
    ))  # fmt: skip
