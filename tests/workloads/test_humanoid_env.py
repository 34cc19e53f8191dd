"""The humanoid: the robot that was asked for, simulated as asked."""

from __future__ import annotations

import numpy as np
import pytest

from motrace.workloads.humanoid_env import EPISODE_STEPS, JOINTS, MODEL_FILE, HumanoidEnv
from motrace.workloads.policy import ACTIONS, OBSERVATIONS, seeded_policy

pytestmark = pytest.mark.motrix

# Names and limits (rad) of the Unitree G1's 29 joints, as its public model gives them.
LEFT = {
    "left_hip_pitch_joint": (-2.5307, 2.8798),
    "left_hip_roll_joint": (-0.5236, 2.9671),
    "left_hip_yaw_joint": (-2.7576, 2.7576),
    "left_knee_joint": (-0.087267, 2.8798),
    "left_ankle_pitch_joint": (-0.87267, 0.5236),
    "left_ankle_roll_joint": (-0.2618, 0.2618),
    "left_shoulder_pitch_joint": (-3.0892, 2.6704),
    "left_shoulder_roll_joint": (-1.5882, 2.2515),
    "left_shoulder_yaw_joint": (-2.618, 2.618),
    "left_elbow_joint": (-1.0472, 2.0944),
    "left_wrist_roll_joint": (-1.97222, 1.97222),
    "left_wrist_pitch_joint": (-1.61443, 1.61443),
    "left_wrist_yaw_joint": (-1.61443, 1.61443),
}
WAIST = {
    "waist_yaw_joint": (-2.618, 2.618),
    "waist_roll_joint": (-0.52, 0.52),
    "waist_pitch_joint": (-0.52, 0.52),
}


def mirrored(name: str, limits: tuple[float, float]) -> tuple[float, float]:
    """A right joint's limits: the left's, turned round where the joint rolls away from the body."""
    return (-limits[1], -limits[0]) if name in ("left_hip_roll_joint", "left_shoulder_roll_joint") else limits


@pytest.fixture(scope="module")
def env() -> HumanoidEnv:
    return HumanoidEnv(3, seed=1)


def test_joints_are_named_and_limited_like_the_g1s(env: HumanoidEnv) -> None:
    expected = {**LEFT, **WAIST}
    expected |= {name.replace("left", "right"): mirrored(name, limits) for name, limits in LEFT.items()}
    low, high = np.asarray(env.model.joint_limits)
    found = {name: (low[i], high[i]) for i, name in enumerate(env.model.joint_names)}
    assert set(found) == set(expected) and len(found) == JOINTS
    for name, limits in expected.items():
        assert found[name] == pytest.approx(limits, abs=1e-4), name
    assert list(env.model.joint_names) == list(env.model.actuator_names)


def test_time_steps_are_unilabs(env: HumanoidEnv) -> None:
    assert env.model.options.timestep == pytest.approx(1 / 150)
    assert env.fps == 50


def test_the_model_is_our_own_and_needs_no_other_file() -> None:
    text = MODEL_FILE.read_text()
    assert "file=" not in text and "mesh" not in text


def test_observations_and_actions_have_the_policys_shape(env: HumanoidEnv) -> None:
    env.reset_all()
    observations = env.observe()
    assert observations.shape == (3, OBSERVATIONS) and observations.dtype == np.float32
    assert np.isfinite(observations).all()
    actions = seeded_policy(0).to_device().act(observations)
    assert actions.shape == (3, ACTIONS) and actions.dtype == np.float32


def test_the_dance_is_followed(env: HumanoidEnv) -> None:
    env.reset_all()
    for _ in range(40):
        env.step(np.zeros((3, JOINTS), np.float32))
    target, _ = env.dance.at(39 / 50)
    joints = np.asarray(env.data.dof_pos)[:, 7:]
    assert np.abs(joints - target).mean() < 0.15
    assert env.falls == 0, "without a policy's disturbance it stands"


def test_fallen_robots_are_reset_and_the_others_are_not(env: HumanoidEnv) -> None:
    env.reset_all()
    positions = np.array(env.data.dof_pos)
    positions[1, 2] = 0.1  # this one lies on the ground
    env.data.set_dof_pos(positions, env.model)
    before = np.array(env.data.dof_pos)
    env.step(np.zeros((3, JOINTS), np.float32))
    after = np.asarray(env.data.dof_pos)
    assert env.falls == 1
    assert after[1, 2] > 0.7
    assert np.abs(after[[0, 2], 2] - before[[0, 2], 2]).max() < 0.05


def test_an_episode_ends_with_a_fall_or_by_time(env: HumanoidEnv) -> None:
    env.reset_all()
    positions = np.array(env.data.dof_pos)
    positions[1, 2] = 0.1
    env.data.set_dof_pos(positions, env.model)
    env._ages[2] = EPISODE_STEPS - 1
    env.step(np.zeros((3, JOINTS), np.float32))
    assert env.terminated.tolist() == [False, True, False] and env.truncated.tolist() == [False, False, True]
    assert env.rewards[1] == 0.0 and (env.rewards[[0, 2]] > 0.99).all() and (env.rewards <= 1.0).all()
    assert env._ages.tolist() == [1, 0, 0] and env.falls == 1
    env.step(np.zeros((3, JOINTS), np.float32))
    assert not env.terminated.any() and not env.truncated.any()


def test_reset_all_goes_back_to_the_seeds_state(env: HumanoidEnv) -> None:
    env.reset_all()
    first = env.state_sha256()
    for _ in range(5):
        env.step(np.ones((3, JOINTS), np.float32))
    assert env.state_sha256() != first
    env.reset_all()
    assert env.state_sha256() == first
