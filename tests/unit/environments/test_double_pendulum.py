"""The double pendulum against independent mechanics: Lagrange, energy, chaos."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from scorepath.environments import double_pendulum
from scorepath.environments.double_pendulum import DoublePendulum

NO_NOISE = torch.zeros(0)


def kinetic_and_potential(angles: Tensor, velocities: Tensor) -> tuple[Tensor, Tensor]:
    """Of both masses from their places in the plane."""
    length = double_pendulum.LENGTH
    first = velocities[0] * length * torch.stack([angles[0].cos(), -angles[0].sin()])
    second = first + velocities[1] * length * torch.stack([angles[1].cos(), -angles[1].sin()])
    kinetic = double_pendulum.MASS / 2 * (first.square().sum() + second.square().sum())
    heights = 2 * length * angles[0].cos() + length * angles[1].cos()
    return kinetic, double_pendulum.MASS * double_pendulum.GRAVITY * heights


def energy(state: Tensor) -> float:
    kinetic, potential = kinetic_and_potential(state[:2], state[2:])
    return (kinetic + potential).item()


def test_double_pendulum_obeys_lagrange() -> None:
    """`d/dt dL/dw - dL/dangle = Q`, with L from the masses' places and derivatives by torch."""
    environment = DoublePendulum(time_step=0.02)
    effort = torch.tensor([0.8, -0.5], dtype=torch.float64)

    def lagrangian(angles: Tensor, velocities: Tensor) -> Tensor:
        kinetic, potential = kinetic_and_potential(angles, velocities)
        return kinetic - potential

    def rate(_: float, s: np.ndarray) -> np.ndarray:
        angles, velocities = torch.tensor(s[:2]), torch.tensor(s[2:])
        slope = torch.func.grad(lagrangian, 0)(angles, velocities)
        (_, mixed), (_, inertia) = torch.func.hessian(lagrangian, (0, 1))(angles, velocities)
        motors = environment.max_torque * torch.tanh(effort)
        motors = motors - environment.joint_damping * torch.stack([velocities[0], velocities[1] - velocities[0]])
        generalised = torch.stack([motors[0] - motors[1], motors[1]])
        acceleration = torch.linalg.solve(inertia, generalised + slope - mixed.mT @ velocities)
        return torch.cat([velocities, acceleration]).numpy()

    state = torch.tensor([2.0, 1.0, 0.5, -1.0], dtype=torch.float64)
    expected = solve_ivp(rate, (0, 0.2), state.numpy(), rtol=1e-6, atol=1e-7).y[:, -1]
    for _ in range(10):
        state, _ = environment.step(state, effort, NO_NOISE)
    np.testing.assert_allclose(state.numpy(), expected, atol=1e-4)


def test_double_pendulum_conserves_energy() -> None:
    """Over the default horizon at the default step to 1 % of what falls; at half the step to a tenth of that."""
    drifts = []
    for time_step, steps in ((0.05, 60), (0.025, 120)):
        environment = DoublePendulum(joint_damping=0.0, max_torque=0.0, time_step=time_step)
        state = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
        start, lowest, drift = energy(state), math.inf, 0.0
        for _ in range(steps):
            state, _ = environment.step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
            drift = max(drift, abs(energy(state) - start))
            lowest = min(lowest, kinetic_and_potential(state[:2], state[2:])[1].item())
        drifts.append(drift / (start - lowest))
    assert drifts[0] < 0.01
    assert drifts[1] < drifts[0] / 10


def sensitivity(initial_angle: float, steps: int) -> float:
    """Norm of the derivative of the state by the first one, from rest and without torque."""
    environment = DoublePendulum(joint_damping=0.0)

    def flow(state: Tensor) -> Tensor:
        for _ in range(steps):
            state, _ = environment.step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
        return state

    start = torch.tensor([initial_angle, initial_angle + 0.1, 0.0, 0.0], dtype=torch.float64)
    return torch.func.jacrev(flow)(start).norm().item()


def test_double_pendulum_is_chaotic_from_above_only() -> None:
    assert sensitivity(1.0, 120) > 30 * sensitivity(1.0, 30)
    assert sensitivity(math.pi, 120) < 5 * sensitivity(math.pi, 30)


def test_double_pendulum_noise_moves_the_velocities() -> None:
    state, action = torch.tensor([2.0, 1.0, 0.0, 0.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    quiet, _ = DoublePendulum().step(state, action, NO_NOISE)
    noisy, _ = DoublePendulum(process_noise=0.2).step(state, action, torch.tensor([1.0, -2.0], dtype=torch.float64))
    torch.testing.assert_close(noisy - quiet, torch.tensor([0.0, 0.0, 0.2, -0.4], dtype=torch.float64))
