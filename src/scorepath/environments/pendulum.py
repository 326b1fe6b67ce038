"""The pendulum swing-up of Gymnasium, number for number, as a differentiable batched step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import hardtanh

from scorepath.environments.base import ReferenceClass, SequentialEnvironment

MAX_SPEED = 8.0  # rad/s
MAX_TORQUE = 2.0  # N m
TIME_STEP = 0.05  # s
GRAVITY = 10.0  # m/s^2
MASS = 1.0  # kg
LENGTH = 1.0  # m


@dataclass(frozen=True, kw_only=True)
class Pendulum(SequentialEnvironment):
    """Gymnasium's Pendulum-v1: keep a pendulum upright (angle 0) with a weak motor.

    State (angle in rad, angular velocity in rad/s), observation (cos, sin, angular velocity), action the torque in
    N m, cut off at ±2. The reward of a step is `-(angle^2 + 0.1 velocity^2 + 0.001 torque^2)`, with the angle in
    [-pi, pi), before the state moves. The start is uniform over angles in (-pi, pi) and velocities in (-1, 1).
    Clipping makes kinks but no jumps: the return is continuous.

    Attributes:
        horizon: number of decisions T; Gymnasium's own limit is 200.
        process_noise: standard deviation of the noise on the angular velocity per step, in rad/s; 0 is Gymnasium.
        reward_noise: standard deviation of the noise on the reward per step.
    """

    source: ClassVar[str] = "Gymnasium Pendulum-v1 (Towers et al. 2024)"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "mlp"

    horizon: int = 50

    @property
    def state_dim(self) -> int:
        return 2

    @property
    def observation_dim(self) -> int:
        return 3

    @property
    def initial_noise_dim(self) -> int:
        return 2

    @property
    def process_noise_dim(self) -> int:
        return 1 if self.process_noise > 0 else 0

    def initial_state(self, noise: Tensor) -> Tensor:
        # 2 Phi(z) - 1 = erf(z / sqrt 2) is uniform on (-1, 1)
        return noise.new_tensor([math.pi, 1.0]) * torch.erf(noise / math.sqrt(2))

    def observe(self, state: Tensor) -> Tensor:
        angle, velocity = state.unbind(-1)
        return torch.stack([torch.cos(angle), torch.sin(angle), velocity], dim=-1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        angle, velocity = state.unbind(-1)
        torque = hardtanh(action[..., 0], -MAX_TORQUE, MAX_TORQUE)  # `clamp`, with a quicker derivative
        # the sums are fused operations: each costs as much as a plain one, forwards and backwards
        reward = -normalise_angle(angle).square()
        reward = torch.addcmul(reward, velocity, velocity, value=-0.1)
        reward = torch.addcmul(reward, torque, torque, value=-0.001)
        velocity = torch.add(velocity, torch.sin(angle), alpha=TIME_STEP * 3 * GRAVITY / (2 * LENGTH))
        velocity = torch.add(velocity, torque, alpha=TIME_STEP * 3 / (MASS * LENGTH**2))
        if self.process_noise > 0:
            velocity = velocity + self.process_noise * process_noise[..., 0]
        velocity = hardtanh(velocity, -MAX_SPEED, MAX_SPEED)
        return torch.stack([torch.add(angle, velocity, alpha=TIME_STEP), velocity], dim=-1), reward


def normalise_angle(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi), with derivative 1."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
