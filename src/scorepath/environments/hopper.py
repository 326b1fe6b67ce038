"""A planar hopper: a body on one springy leg, soft ground and friction that are continuous in everything."""

from __future__ import annotations

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

BODY_MASS = 3.0  # kg
BODY_INERTIA = 0.2  # kg m^2
FOOT_MASS = 1.0  # kg
GRAVITY = 9.81  # m/s^2
LEG_LENGTH = 0.5  # m, at rest
LEG_STIFFNESS = 800.0  # N/m
LEG_DAMPING = 10.0  # N s/m
LEG_SHORTEST = 0.02  # m: below about this length the force along the leg and the torque on it fade out
STROKE = 0.15  # m, by which the motor lengthens or shortens the leg's spring
HIP_TORQUE = 5.0  # N m
GROUND_DAMPING = 0.5  # s/m: damping force over spring force, per m/s of sinking
FRICTION = 0.8
SLIP_SPEED = 0.1  # m/s: at which friction has 0.7 of its limit
DROP_HEIGHT = 0.1  # m, of the foot at the start
TIME_STEP = 0.003  # s
SUBSTEPS = 10


@dataclass(frozen=True, kw_only=True)
class Hopper(SequentialEnvironment):
    """Hop forward without falling.

    Point masses for hip and foot, joined by a massless leg, and a body that pitches about the hip. State (x, z, pitch
    of the body; x, z of the foot; their velocities), in m and rad, observation the same without x and with the foot
    relative to the hip and cosine and sine of the pitch. Action: `STROKE tanh(a_1)` m more rest length of the leg's
    spring (800 N/m, 10 N s/m) and a hip torque of `HIP_TORQUE tanh(a_2)` N m on the leg, which turns the body the other
    way. The ground takes hip and foot alike, at penetration p with the force `N = stiffness p` upwards, the damping
    `GROUND_DAMPING N max(-z', 0)` and the friction `-FRICTION N x' / sqrt(x'^2 + SLIP_SPEED^2)`.

    Integrator: semi-implicit Euler in 10 steps of 3 ms per decision, ground damping and friction implicit in the
    velocity and hence stable; on stiff ground part of the derivatives' growth is the time step's. Forces are
    continuous, nothing ends early, motors are bounded. The reward of a decision is the hip's mean forward speed in
    m/s, plus `upright_reward` times `cos(pitch)`, minus `spin_cost` times the squared pitch rate, minus `height_cost`
    times the square of what the hip's height lacks to the leg's rest length, minus `action_cost` times the squared
    `tanh(a)`. The start is a drop from 0.1 m with the leg upright.

    Attributes:
        horizon: number of decisions T, 0.03 s each.
        process_noise: standard deviation of the noise on the hip's velocity per decision, in m/s.
        reward_noise: standard deviation of the noise on the reward per decision.
        stiffness: of the ground, in N/m, at most 40000, which the time step still resolves.
        initial_std: standard deviation of the start's leg angle in rad, speeds in m/s, and pitch rate in rad/s.
        upright_reward: of a body that does not pitch.
        spin_cost: per rad^2/s^2.
        height_cost: per m^2; it makes crawling dearer than hopping.
        action_cost: of a motor at its limit.
    """

    source: ClassVar[str] = "Scorepath; after the planar hopper of Raibert 1986"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "mlp"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"stiffness": 500.0},
        {"stiffness": 20000.0},
        {"process_noise": 0.1},
        {"reward_noise": 1.0},
    )

    horizon: int = 50
    stiffness: float = 2000.0
    initial_std: float = 0.05
    upright_reward: float = 0.5
    spin_cost: float = 0.02
    height_cost: float = 20.0
    action_cost: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "stiffness")
        if self.stiffness > 40_000:
            raise ValueError(f"stiffness must be at most 40000 for the time step of 3 ms, got {self.stiffness}")
        require_not_negative(self, "initial_std", "upright_reward", "spin_cost", "height_cost", "action_cost")

    @property
    def state_dim(self) -> int:
        return 10

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
        lean, forward, upward, spin = (self.initial_std * noise).unbind(-1)
        zero, foot = torch.zeros_like(lean), torch.full_like(lean, DROP_HEIGHT)
        # the foot stands under or beside the hip, at the same height whatever the lean
        x, z = -LEG_LENGTH * torch.sin(lean), foot + LEG_LENGTH * torch.cos(lean)
        return torch.stack([x, z, zero, zero, foot, forward, upward, spin, forward, upward], dim=-1)

    def observe(self, state: Tensor) -> Tensor:
        x, z, pitch, foot_x, foot_z, *velocities = state.unbind(-1)
        parts = [z, torch.cos(pitch), torch.sin(pitch), foot_x - x, foot_z - z, *velocities]
        return torch.stack(parts, dim=-1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        effort = torch.tanh(action)
        rest_length = LEG_LENGTH + STROKE * effort[..., 0]
        torque = HIP_TORQUE * effort[..., 1]
        hip_x, hip_z, pitch, foot_x, foot_z, hip_vx, hip_vz, spin, foot_vx, foot_vz = state.unbind(-1)
        if self.process_noise > 0:
            hip_vx = hip_vx + self.process_noise * process_noise[..., 0]
            hip_vz = hip_vz + self.process_noise * process_noise[..., 1]

        # hip and foot along a first dimension: (2, ...)
        x, z = torch.stack([hip_x, foot_x]), torch.stack([hip_z, foot_z])
        vx, vz = torch.stack([hip_vx, foot_vx]), torch.stack([hip_vz, foot_vz])
        per_point = (2, *[1] * torque.dim())
        dt_over_mass = state.new_tensor([TIME_STEP / BODY_MASS, TIME_STEP / FOOT_MASS]).reshape(per_point)
        leg_kick = dt_over_mass * state.new_tensor([-1.0, 1.0]).reshape(per_point)
        for _ in range(SUBSTEPS):
            # the leg: a force along it and, from the torque, one across it, equal and opposite at its ends
            leg_x, leg_z = x[1] - x[0], z[1] - z[0]
            square = leg_x.square() + leg_z.square() + LEG_SHORTEST**2
            length = square.sqrt()
            rate = (leg_x * (vx[1] - vx[0]) + leg_z * (vz[1] - vz[0])) / length
            along = (LEG_STIFFNESS * (rest_length - length) - LEG_DAMPING * rate) / length
            across = torque / square
            # the ground, as the change of velocity that its spring alone would make
            push = dt_over_mass * (self.stiffness * torch.relu(-z))
            vx = vx + leg_kick * (along * leg_x - across * leg_z)
            vz = vz + leg_kick * (along * leg_z + across * leg_x) + push - TIME_STEP * GRAVITY
            vz = vz / (1 + GROUND_DAMPING * torch.where(vz < 0, push, 0.0))
            vx = vx / (1 + FRICTION * push / (vx.square() + SLIP_SPEED**2).sqrt())
            x, z = x + TIME_STEP * vx, z + TIME_STEP * vz
        # the torque is constant, so the pitch needs no substeps
        duration = SUBSTEPS * TIME_STEP
        spin = spin - duration / BODY_INERTIA * torque
        pitch = pitch + duration * spin
        reward = (
            (x[0] - hip_x) / duration
            + self.upright_reward * torch.cos(pitch)
            - self.spin_cost * spin.square()
            - self.height_cost * torch.relu(LEG_LENGTH - z[0]).square()
            - self.action_cost * effort.square().sum(-1)
        )
        return torch.stack([x[0], z[0], pitch, x[1], z[1], vx[0], vz[0], spin, vx[1], vz[1]], dim=-1), reward
