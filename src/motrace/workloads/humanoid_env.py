"""The embedded default: a 29-joint humanoid on motrixsim, a torch policy, the Motrix renderer.

Batched environments at 1/150 s, three steps of physics per control step (50 Hz). The policy acts
on 160 observations in the order of UniLab's motion tracking task; its actions are offsets to a
dance that PD controllers follow. An episode ends with a fall, or after 10 s; the robot is reset.
The reward of a step is (1 + z of the robot's up axis) / 2: 1 upright, 1/2 lying; 0 if it fell.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import motrixsim
import numpy as np

from ..arrays import Array
from ..record.annotate import span

MODEL_FILE = Path(__file__).with_name("humanoid.xml")
PHYSICS_STEPS = 3
CONTROL_HZ = 50
EPISODE_STEPS = 10 * CONTROL_HZ
JOINTS = 29
BASE_POS, BASE_VEL = 7, 6  # entries of the floating base before the joints' in dof_pos and dof_vel
ACTION_SCALE_RAD = 0.3
FALLEN_HEIGHT_M = 0.45
FALLEN_UP = 0.4  # z of the robot's up axis: 1 upright, 0 lying
START_HEIGHT_M = 0.77
START_NOISE_RAD = 0.03

STANCE_RAD = {
    "hip_pitch": -0.2,
    "knee": 0.5,
    "ankle_pitch": -0.3,
    "shoulder_pitch": 0.2,
    "shoulder_roll": 0.2,
    "elbow": 0.8,
}
DANCE_RAD_HZ = {
    "shoulder_pitch": (0.8, 1.0),
    "shoulder_roll": (0.25, 0.5),
    "elbow": (0.5, 1.0),
    "wrist_roll": (0.6, 2.0),
    "waist_yaw": (0.3, 0.5),
    "knee": (0.06, 1.0),
}


@dataclass(frozen=True)
class Dance:
    """What the joints follow: a stance, and a swing of amplitude, frequency and phase about it."""

    stance_rad: Array
    amplitude_rad: Array
    omega_rad_s: Array
    phase_rad: Array

    @classmethod
    def for_joints(cls, names: list[str]) -> Dance:
        """The dance of the joints ``names``; the right side mirrors the left."""
        stance, amplitude, omega, phase = (np.zeros(len(names), np.float32) for _ in range(4))
        for index, name in enumerate(names):
            kind = name.removesuffix("_joint").removeprefix("left_").removeprefix("right_")
            right = name.startswith("right_")
            mirror = -1.0 if right and kind.endswith(("_roll", "_yaw")) else 1.0
            stance[index] = mirror * STANCE_RAD.get(kind, 0.0)
            swing, hertz = DANCE_RAD_HZ.get(kind, (0.0, 0.0))
            amplitude[index] = mirror * swing
            omega[index] = 2 * np.pi * hertz
            phase[index] = np.pi if right else 0.0
        return cls(stance, amplitude, omega, phase)

    def at(self, time_s: float) -> tuple[Array, Array]:
        """Joint positions (rad) and velocities (rad/s) at a time."""
        angle = self.omega_rad_s * time_s + self.phase_rad
        position = self.stance_rad + self.amplitude_rad * np.sin(angle)
        return position.astype(np.float32), (self.amplitude_rad * self.omega_rad_s * np.cos(angle)).astype(np.float32)


class HumanoidEnv:
    """``num_envs`` humanoids in one batch."""

    fps = CONTROL_HZ

    def __init__(self, num_envs: int, seed: int) -> None:
        self.model = motrixsim.load_model(MODEL_FILE)
        self.data = motrixsim.SceneData(self.model, batch=[num_envs])
        self.num_envs = num_envs
        self.seed = seed
        self.dance = Dance.for_joints([str(name) for name in self.model.joint_names])
        self._joint_limits = np.asarray(self.model.joint_limits)
        self._initial = np.asarray(self.model.compute_init_dof_pos())
        self.reset_all()

    def reset_all(self) -> None:
        """Back to the state that the seed makes: the same whatever happened before."""
        self._random = np.random.default_rng(self.seed)
        self._actions = np.zeros((self.num_envs, JOINTS), np.float32)
        self.control_steps = 0
        self.falls = 0
        self._ages = np.zeros(self.num_envs, np.int64)  # control steps since the episode began
        self.rewards = np.zeros(self.num_envs)
        self.terminated, self.truncated = np.zeros((2, self.num_envs), bool)
        self.data.reset(self.model, *self._start(self.num_envs), forward_kinematic=True)

    def _start(self, count: int) -> tuple[Array, Array]:
        positions = np.tile(self._initial, (count, 1))
        positions[:, 2] = START_HEIGHT_M
        positions[:, BASE_POS:] = self.dance.stance_rad
        positions[:, BASE_POS:] += self._random.uniform(-START_NOISE_RAD, START_NOISE_RAD, (count, JOINTS))
        return positions.astype(np.float32), np.zeros((count, self.model.num_dof_vel), np.float32)

    def observe(self) -> Array:
        """Observations (num_envs, 160), float32.

        Dance positions and velocities (58), way home in the robot's frame (3), the robot's
        rotation as two columns of its matrix (6), linear and angular velocity in its frame (6),
        joint positions about the stance (29), joint velocities (29), last actions (29).
        """
        positions, velocities = np.asarray(self.data.dof_pos), np.asarray(self.data.dof_vel)
        rotation = _rotation_matrices(positions[:, 3:BASE_POS])
        to_robot = rotation.transpose(0, 2, 1)
        target = np.concatenate(self.dance.at(self.control_steps / CONTROL_HZ))
        home = np.array([0.0, 0.0, START_HEIGHT_M], np.float32) - positions[:, :3]
        return np.concatenate(
            (
                np.broadcast_to(target, (self.num_envs, 2 * JOINTS)),
                np.einsum("nij,nj->ni", to_robot, home),
                rotation[:, :, :2].reshape(self.num_envs, 6),
                np.einsum("nij,nj->ni", to_robot, velocities[:, :3]),
                np.einsum("nij,nj->ni", to_robot, velocities[:, 3:BASE_VEL]),
                positions[:, BASE_POS:] - self.dance.stance_rad,
                velocities[:, BASE_VEL:],
                self._actions,
            ),
            axis=1,
            dtype=np.float32,
        )

    def step(self, actions: Array) -> None:
        """One control step with actions (num_envs, 29). Span: ``reset``, when episodes ended.

        Sets ``rewards``, ``terminated`` (by a fall) and ``truncated`` (by the time limit), each (num_envs,).
        """
        self._actions = np.tanh(actions).astype(np.float32)
        target, _ = self.dance.at(self.control_steps / CONTROL_HZ)
        controls = target + ACTION_SCALE_RAD * self._actions
        self.data.actuator_ctrls = np.clip(controls, *self._joint_limits).astype(np.float32)
        self.model.step_n(self.data, PHYSICS_STEPS)
        self.control_steps += 1
        self._ages += 1
        up, fallen = self._posture()
        self.rewards = np.where(fallen, 0.0, (1.0 + up) / 2)
        self.terminated, self.truncated = fallen, ~fallen & (self._ages >= EPISODE_STEPS)
        self.falls += int(fallen.sum())
        ended = fallen | self.truncated
        if ended.any():
            with span("reset"):
                self._reset(ended)

    def _posture(self) -> tuple[Array, Array]:
        """How upright each robot is (1 upright, 0 lying), and whether it fell."""
        positions = np.asarray(self.data.dof_pos)
        x, y = positions[:, 3], positions[:, 4]
        up = 1 - 2 * (x * x + y * y)  # z of the rotated z axis, for a unit quaternion x, y, z, w
        fallen = (positions[:, 2] < FALLEN_HEIGHT_M) | (up < FALLEN_UP) | ~np.isfinite(positions).all(axis=1)
        return up, fallen

    def _reset(self, ended: Array) -> None:
        self.data.get(ended).reset(self.model, *self._start(int(ended.sum())), forward_kinematic=True)
        self._actions[ended] = 0.0
        self._ages[ended] = 0

    def state_sha256(self) -> str:
        """SHA-256 of positions and velocities: equal states, equal digests."""
        digest = hashlib.sha256(np.ascontiguousarray(self.data.dof_pos).tobytes())
        digest.update(np.ascontiguousarray(self.data.dof_vel).tobytes())
        return digest.hexdigest()


def _rotation_matrices(quaternions: Array) -> Array:
    """Rotation matrices (n, 3, 3) of unit quaternions (n, 4) in the order x, y, z, w."""
    x, y, z, w = quaternions.T
    return np.stack(
        (
            np.stack((1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)), axis=-1),
            np.stack((2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)), axis=-1),
            np.stack((2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)), axis=-1),
        ),
        axis=1,
    )
