"""Episodes of a run's environments: their table, and what they say of the run and of its slow frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..attribution.run import RunAnalysis
from ..dataset.frames import wide
from ..record.episodes import END, RESET, TERMINATED, TRUNCATED
from .run_groups import pool_of

Json = dict[str, Any]
ENDED = (TERMINATED, TRUNCATED)


def run_episodes(analysis: RunAnalysis, made: dict[str, pa.Table]) -> Json | None:
    """What the episodes of a run say; None where it told of none."""
    found = analysis.recording.episodes
    if found is None:
        return None
    rules = {"envs": found.envs, "success_rule": found.success or None, "reward_rule": found.reward or None}
    return {
        **rules,
        **summarise_episodes(made["episodes"].to_pandas(), wide(made["frames"], made["frame_phases"]).to_pandas()),
    }


def mode_episodes(runs: list[Json], joined: dict[str, pa.Table]) -> dict[str, Json | None]:
    """What the episodes of each mode's pooled runs say; see ``pool_modes``."""
    episodes, frames = joined["episodes"].to_pandas(), wide(joined["frames"], joined["frame_phases"]).to_pandas()
    pools: dict[str, list[Json]] = {}
    for run in runs:
        pools.setdefault(pool_of(run), []).append(run)
    out: dict[str, Json | None] = {}
    for mode, members in pools.items():
        chosen = [run for run in members if run["status"] == "completed"] or members
        ids = [run["run_id"] for run in chosen if run["episodes"] is not None]
        mine = (episodes[episodes["run"].isin(ids)], frames[frames["run"].isin(ids)])
        out[mode] = summarise_episodes(*mine) if ids else None
    return out


def summarise_episodes(episodes: pd.DataFrame, frames: pd.DataFrame) -> Json:
    """Counts, returns and lengths of the episodes that were not over with the warm-up; resets and what they cost.

    Return, length and success are those of episodes that ended by themselves; of the others nobody
    knows how they would have gone on. Rewards per step are over all.
    """
    counted = episodes[~episodes["warmup"]]
    counts = {reason: int((counted["reason"] == reason).sum()) for reason in (TERMINATED, TRUNCATED, RESET, END)}
    ended = counted[counted["reason"].isin(ENDED)]
    judged = ended["success"].dropna()
    steps = int(counted["length"].sum())
    return {
        "episodes": len(counted),
        "ended": len(ended),
        **{reason: counts[reason] for reason in ENDED},
        "open": counts[END] + counts[RESET],
        "success_rate": float(judged.astype(bool).mean()) if len(judged) else None,
        "return": spread(ended["return"]),
        "length": spread(ended["length"]),
        "reward_per_step": float(counted["return"].sum() / steps) if steps else None,
        **_resets(ended, episodes, frames),
    }


def spread(values: Any) -> Json | None:
    """Mean, sample standard deviation (0 of a single value), least, largest and count; None of no value."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    std = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    least, most = float(known.min()), float(known.max())
    return {"mean": float(known.mean()), "std": std, "min": least, "max": most, "count": len(known)}


def _resets(ended: pd.DataFrame, episodes: pd.DataFrame, frames: pd.DataFrame) -> Json:
    """How many environments were reset in the kept frames, and what frames took with and without a reset.

    A run whose steps are not one per frame says nothing of its frames.
    """
    last = episodes.groupby("run", observed=True)["end_step"].max()
    count = frames.groupby("run", observed=True).size()
    matched = [run for run in last.index if last[run] + 1 - count.get(run, 0) in (0, 1)]  # 1: cut off in a frame
    kept = frames[frames["run"].isin(matched) & ~frames["warmup"]]
    hit = {(run, step) for run, step in zip(ended["run"], ended["end_step"])}
    with_reset = np.array([key in hit for key in zip(kept["run"], kept["frame"])], bool)
    resets = int(ended["run"].isin(matched).sum())
    wall = (kept["end_ns"] - kept["start_ns"]).to_numpy()
    step = kept["step"].to_numpy() if "step" in kept.columns else np.zeros(len(kept), np.int64)
    return {
        "resets": resets,
        "resets_per_frame": resets / len(kept) if len(kept) else None,
        "frames_with_reset": int(with_reset.sum()) if len(kept) else None,
        "frame": _with_and_without(wall, with_reset),
        "step": _with_and_without(step, with_reset),
    }


def _with_and_without(values: Any, with_reset: Any) -> dict[str, Json | None]:
    """Mean and median over the frames with a reset and over those without, ns; None where there are none."""
    groups = {"with_reset": values[with_reset], "without_reset": values[~with_reset]}
    return {
        name: {"mean_ns": round(float(group.mean())), "p50_ns": round(float(np.median(group)))} if len(group) else None
        for name, group in groups.items()
    }
