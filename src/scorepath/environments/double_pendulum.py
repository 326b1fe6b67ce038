"""The double pendulum with motors in both joints: smooth dynamics whose pathwise derivatives grow with chaos."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import (
    ReferenceClass,
    SequentialEnvironment,
    require_not_negative,
    require_positive,
)

MASS = 1.0  # kg, at the end of each massless link
LENGTH = 1.0  # m, of each link
GRAVITY = 9.81  # m/s^2


@dataclass(frozen=True, kw_only=True)
class DoublePendulum(SequentialEnvironment):
    """Swing the tip of two links up and keep it there.

    State (angles of both links from the upright vertical in rad, their angular velocities in rad/s), observation
    (cosines, sines, angular velocities). With equal masses m and lengths l, `d = angle_1 - angle_2` and joint torques
    `u_i = max_torque tanh(a_i) - joint_damping times the joint's velocity` in N m, the second between the links,

        2 angle_1'' + cos(d) angle_2'' = 2 (g / l) sin(angle_1) - sin(d) angle_2'^2 + (u_1 - u_2) / (m l^2)
        cos(d) angle_1'' + angle_2'' = (g / l) sin(angle_2) + sin(d) angle_1'^2 + u_2 / (m l^2).

    Integrator: classical Runge-Kutta of order 4. No termination and no clipping; the reward of a step is the height of
    the tip over its greatest, in [-1, 1], minus `speed_cost` times the squared angular velocities and `torque_cost`
    times the squared `tanh(a)`, at the new state. Small swings are regular; from higher up the motion is
    chaotic, and derivatives by the actions grow exponentially with the horizon.

    Attributes:
        horizon: number of decisions T.
        process_noise: standard deviation of the noise on both angular velocities per step, in rad/s.
        reward_noise: standard deviation of the noise on the reward per step.
        time_step: of one decision, in s.
        max_torque: in N m; holding both links horizontal takes 29.4.
        joint_damping: in N m s/rad. It limits the speeds that motors can pump up, and with the defaults keeps the
            integration stable; without it and without torque, energy is conserved.
        initial_angle: of both links; pi is hanging, 0 upright.
        initial_std: standard deviation of the start around that at rest, in each coordinate's own unit.
        speed_cost: per rad^2/s^2.
        torque_cost: of a motor at its limit.
    """

    source: ClassVar[str] = "Scorepath; the textbook double pendulum (Lagrange), chaotic: Shinbrot et al. 1992"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "mlp"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"initial_angle": 1.0},
        {"process_noise": 0.1},
        {"reward_noise": 0.5},
    )

    horizon: int = 60
    time_step: float = 0.05
    max_torque: float = 5.0
    joint_damping: float = 0.2
    initial_angle: float = math.pi
    initial_std: float = 0.05
    speed_cost: float = 0.001
    torque_cost: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "time_step")
        require_not_negative(self, "max_torque", "joint_damping", "initial_std", "speed_cost", "torque_cost")

    @property
    def state_dim(self) -> int:
        return 4

    @property
    def observation_dim(self) -> int:
        return 6

    @property
    def action_dim(self) -> int:
        return 2

    @property
    def initial_noise_dim(self) -> int:
        return 4

    @property
    def process_noise_dim(self) -> int:
        return 2 if self.process_noise > 0 else 0

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_tensor([self.initial_angle, self.initial_angle, 0.0, 0.0]) + self.initial_std * noise

    def observe(self, state: Tensor) -> Tensor:
        angles, velocities = state[..., :2], state[..., 2:]
        return torch.cat([torch.cos(angles), torch.sin(angles), velocities], dim=-1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        effort = torch.tanh(action)
        torque = self.max_torque * effort
        dt = self.time_step
        k1 = self._rate(state, torque)
        k2 = self._rate(state + dt / 2 * k1, torque)
        k3 = self._rate(state + dt / 2 * k2, torque)
        k4 = self._rate(state + dt * k3, torque)
        state = state + dt / 6 * (k1 + 2 * (k2 + k3) + k4)
        angles, velocities = state[..., :2], state[..., 2:]
        if self.process_noise > 0:
            velocities = velocities + self.process_noise * process_noise
        height = torch.cos(angles).mean(-1)
        cost = self.speed_cost * velocities.square().sum(-1) + self.torque_cost * effort.square().sum(-1)
        return torch.cat([angles, velocities], dim=-1), height - cost

    def _rate(self, state: Tensor, torque: Tensor) -> Tensor:
        """Time derivative of the state under the motors' torques."""
        angle_1, angle_2, velocity_1, velocity_2 = state.unbind(-1)
        sin, cos = torch.sin(angle_1 - angle_2), torch.cos(angle_1 - angle_2)
        shoulder = (torque[..., 0] - self.joint_damping * velocity_1) / (MASS * LENGTH**2)
        elbow = (torque[..., 1] - self.joint_damping * (velocity_2 - velocity_1)) / (MASS * LENGTH**2)
        first = 2 * GRAVITY / LENGTH * torch.sin(angle_1) - sin * velocity_2.square() + shoulder - elbow
        second = GRAVITY / LENGTH * torch.sin(angle_2) + sin * velocity_1.square() + elbow
        determinant = 2 - cos.square()
        acceleration_1 = (first - cos * second) / determinant
        acceleration_2 = (2 * second - cos * first) / determinant
        return torch.stack([velocity_1, velocity_2, acceleration_1, acceleration_2], dim=-1)
