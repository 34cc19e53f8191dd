"""Which command an eval is."""

import sys
from pathlib import Path


def build_command(*, mode, algo, task, sim, overrides, profile=None, load_run=None, render_mode=None):
    """The command of ``eval`` with the overrides that it makes of its arguments."""
    made = [f"task={task}/{sim}", f"training.play_render_mode={render_mode}", f"algo.load_run={load_run}"]
    return [sys.executable, str(Path(__file__).parent / "scripts" / f"train_{'rsl_rl' if algo == 'ppo' else algo}.py"),
            *made, *overrides]  # fmt: skip
