"""Cart-pole swing-up: four states, one continuous force, a long way to the goal and no discontinuity anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import ReferenceClass, SequentialEnvironment, require_not_negative

GRAVITY = 9.8  # m/s^2
CART_MASS = 1.0  # kg
POLE_MASS = 0.1  # kg
HALF_LENGTH = 0.5  # m, from the joint to the pole's centre of mass
FORCE_SCALE = 10.0  # N per unit of action
TIME_STEP = 0.05  # s


@dataclass(frozen=True, kw_only=True)
class CartPole(SequentialEnvironment):
    """Swing a hanging pole up and hold it, by pushing the cart.

    State (x in m, x' in m/s, angle in rad with 0 upright, angular velocity in rad/s), observation (x, x', cos, sin,
    angular velocity). The equations of motion are those of Barto, Sutton & Anderson 1983 without friction, with the
    continuous force 10 N × action. Integrator: semi-implicit Euler, velocities first, step 0.05 s (60 steps are 3 s).
    No termination and no clipping; the reward of a step is
    `cos(angle) - position_cost x^2 - speed_cost (x'^2 + angular velocity^2) - action_cost a^2` at the new state.

    Attributes:
        horizon: number of decisions T.
        process_noise: standard deviation of the noise on both velocities per step, in m/s and rad/s.
        reward_noise: standard deviation of the noise on the reward per step.
        initial_std: standard deviation of the start around hanging at rest, in each coordinate's own unit.
        position_cost: per m^2.
        speed_cost: per m^2/s^2 and rad^2/s^2.
        action_cost: per squared unit of action.
    """

    source: ClassVar[str] = "Barto, Sutton & Anderson 1983, equations with continuous force; swing-up start"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "mlp"

    horizon: int = 60
    initial_std: float = 0.05
    position_cost: float = 0.05
    speed_cost: float = 0.001
    action_cost: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self, "initial_std", "position_cost", "speed_cost", "action_cost")

    @property
    def state_dim(self) -> int:
        return 4

    @property
    def observation_dim(self) -> int:
        return 5

    @property
    def initial_noise_dim(self) -> int:
        return 4

    @property
    def process_noise_dim(self) -> int:
        return 2 if self.process_noise > 0 else 0

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_tensor([0.0, 0.0, math.pi, 0.0]) + self.initial_std * noise

    def observe(self, state: Tensor) -> Tensor:
        x, speed, angle, spin = state.unbind(-1)
        return torch.stack([x, speed, torch.cos(angle), torch.sin(angle), spin], dim=-1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        x, speed, angle, spin = state.unbind(-1)
        force = action[..., 0]
        sin, cos = torch.sin(angle), torch.cos(angle)
        total_mass = CART_MASS + POLE_MASS
        share = POLE_MASS * HALF_LENGTH / total_mass

        # push = force + share spin^2 sin; fused operations, each of which costs as much as a plain one
        push = torch.addcmul(force * (FORCE_SCALE / total_mass), spin.square(), sin, value=share)
        inertia = torch.rsub(cos.square(), HALF_LENGTH * 4 / 3, alpha=HALF_LENGTH * POLE_MASS / total_mass)
        spin_rate = torch.addcmul(GRAVITY * sin, cos, push, value=-1) / inertia

        # the cart's acceleration is push - share spin_rate cos
        speed = torch.addcmul(torch.add(speed, push, alpha=TIME_STEP), spin_rate, cos, value=-TIME_STEP * share)
        spin = torch.add(spin, spin_rate, alpha=TIME_STEP)
        if self.process_noise > 0:
            speed = speed + self.process_noise * process_noise[..., 0]
            spin = spin + self.process_noise * process_noise[..., 1]
        x = torch.add(x, speed, alpha=TIME_STEP)
        angle = torch.add(angle, spin, alpha=TIME_STEP)
        reward = torch.cos(angle)
        for cost, value in (
            (self.position_cost, x),
            (self.speed_cost, speed),
            (self.speed_cost, spin),
            (self.action_cost, force),
        ):
            reward = torch.addcmul(reward, value, value, value=-cost)
        return torch.stack([x, speed, angle, spin], dim=-1), reward
