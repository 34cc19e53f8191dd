"""The loop that records a video."""

import numpy as np


def run_motrix_playback(*, backend, env, initialize, step, num_steps, output_video):
    """Step, draw, keep; encode at the end."""
    backend.init_renderer(spacing=1.0, headless=True, capture=True, width=1280, height=720)
    observations, frames = initialize(), []
    for _ in range(num_steps):
        observations = step(observations)
        frames.append(np.asarray(backend.capture_video_frame(), dtype=np.uint8).copy())
    import mediapy

    mediapy.write_video(str(output_video), frames, fps=50)
    return str(output_video)
