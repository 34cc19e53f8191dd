"""Plays a policy, as the script of May 2026 does: the policy is called in an unnamed function."""

import sys
import tempfile
from pathlib import Path

import torch
from rsl_rl.runners import OnPolicyRunner
from unilab.base import registry
from unilab.training.rsl_rl import RslRlVecEnvWrapper

MODEL = {"class_name": "rsl_rl.models.MLPModel", "hidden_dims": [8], "activation": "elu"}
GAUSSIAN = {"class_name": "rsl_rl.modules.distribution.GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}


def main(overrides):
    """Play."""
    training = {key: value for key, _, value in (word.partition("=") for word in overrides)}
    env = registry.make("spheres", int(training["training.play_env_num"]))
    wrapped_env = RslRlVecEnvWrapper(env, device="cpu")
    config = {
        "num_steps_per_env": 1, "save_interval": 1, "logger": "none",
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "algorithm": {"class_name": "PPO"}, "actor": {**MODEL, "distribution_cfg": GAUSSIAN}, "critic": MODEL,
    }  # fmt: skip
    runner = OnPolicyRunner(wrapped_env, config, log_dir=None, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        saved = {"actor_state_dict": runner.alg.get_policy().state_dict(), "infos": None}
        torch.save(saved, Path(folder, "model_0.pt"))
        runner.load(str(Path(folder, "model_0.pt")), load_cfg={"actor": True, "critic": False, "optimizer": False})
    policy = runner.get_inference_policy(device="cpu")
    with torch.inference_mode():
        env.run_playback(
            num_steps=int(training["training.play_steps"]),
            output_video="elsewhere.mp4",
            initialize=lambda: wrapped_env.reset()[0],
            step=lambda observations: wrapped_env.step(policy(observations))[0],
        )
    print("Done.")


if __name__ == "__main__":
    main(sys.argv[1:])
