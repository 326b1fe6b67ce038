"""The hopper against independent mechanics: scipy, conservation laws, balance of forces."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from torch import Tensor

from scorepath.environments import hopper
from scorepath.environments.hopper import Hopper

NO_NOISE = torch.zeros(0)
POINTS = [0, 1, 3, 4]  # x, z of hip and foot
SPEEDS = [5, 6, 8, 9]
MASSES = np.repeat([hopper.BODY_MASS, hopper.FOOT_MASS], 2)


def forces(s: np.ndarray, environment: Hopper, effort: np.ndarray) -> np.ndarray:
    """On x and z of hip and foot, written with unit vectors."""
    place, speed = s[:4].reshape(2, 2), s[4:].reshape(2, 2)
    leg = place[1] - place[0]
    length = np.hypot(np.linalg.norm(leg), hopper.LEG_SHORTEST)
    direction, normal = leg / length, np.array([-leg[1], leg[0]]) / length
    rest = hopper.LEG_LENGTH + hopper.STROKE * effort[0]
    along = hopper.LEG_STIFFNESS * (rest - length) - hopper.LEG_DAMPING * direction @ (speed[1] - speed[0])
    on_foot = along * direction + hopper.HIP_TORQUE * effort[1] / length * normal
    total = np.stack([-on_foot, on_foot]) - np.array([0, hopper.GRAVITY]) * MASSES.reshape(2, 2)
    spring = environment.stiffness * np.maximum(-place[:, 1], 0)
    load = spring * (1 + hopper.GROUND_DAMPING * np.maximum(-speed[:, 1], 0))
    # the step's friction follows the spring's force alone
    grip = -hopper.FRICTION * spring * speed[:, 0] / np.hypot(speed[:, 0], hopper.SLIP_SPEED)
    return (total + np.stack([grip, load], axis=-1)).reshape(-1)


def refine(monkeypatch: pytest.MonkeyPatch, factor: int) -> None:
    monkeypatch.setattr(hopper, "TIME_STEP", hopper.TIME_STEP / factor)
    monkeypatch.setattr(hopper, "SUBSTEPS", hopper.SUBSTEPS * factor)


@pytest.mark.parametrize("stiffness", [500.0, 5000.0])
def test_hopper_moves_as_integrated(stiffness: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop, impact and push-off with slip, in twelve decisions."""
    refine(monkeypatch, 30)
    environment = Hopper(stiffness=stiffness)
    action = torch.tensor([0.8, -0.3], dtype=torch.float64)
    state = environment.initial_state(torch.tensor([2.0, 4.0, 0.0, 0.0], dtype=torch.float64))
    effort = torch.tanh(action).numpy()

    def rate(_: float, s: np.ndarray) -> np.ndarray:
        return np.concatenate([s[4:], forces(s, environment, effort) / MASSES])

    duration = 12 * hopper.SUBSTEPS * hopper.TIME_STEP
    start = state[POINTS + SPEEDS].numpy()
    path = solve_ivp(rate, (0, duration), start, rtol=1e-7, atol=1e-9, max_step=2e-3)
    assert path.y[3].min() < -0.003
    for _ in range(12):
        state, _ = environment.step(state, action, NO_NOISE)
    np.testing.assert_allclose(state[POINTS].numpy(), path.y[:4, -1], atol=5e-3)
    np.testing.assert_allclose(state[SPEEDS].numpy(), path.y[4:, -1], atol=5e-2)


def angular_momentum(state: Tensor) -> float:
    """About the origin, positive where the foot swings forward under the hip."""
    x, z, _, foot_x, foot_z, vx, vz, spin, foot_vx, foot_vz = state.tolist()
    hip = hopper.BODY_MASS * (x * vz - z * vx)
    foot = hopper.FOOT_MASS * (foot_x * foot_vz - foot_z * foot_vx)
    return hip + foot + hopper.BODY_INERTIA * spin


def test_hopper_conserves_momenta_in_flight() -> None:
    environment = Hopper()
    state = environment.initial_state(torch.tensor([1.0, 3.0, 1.0, 2.0], dtype=torch.float64))
    state[[1, 4]] += 1.0
    for _ in range(8):
        before = state
        state, _ = environment.step(state, torch.tensor([1.0, 0.7], dtype=torch.float64), NO_NOISE)
        assert state[4] > 0
        duration = hopper.SUBSTEPS * hopper.TIME_STEP
        change = (state - before).numpy()[SPEEDS] * MASSES
        total = hopper.BODY_MASS + hopper.FOOT_MASS
        np.testing.assert_allclose(change[0] + change[2], 0, atol=1e-12)
        np.testing.assert_allclose(change[1] + change[3], -total * hopper.GRAVITY * duration, rtol=1e-12)
        # gravity pulls at the centre of mass, which moves uniformly sideways: the mean lever, at half steps
        lever = (hopper.BODY_MASS * (before[0] + state[0]) + hopper.FOOT_MASS * (before[3] + state[3])).item() / 2
        turned = angular_momentum(state) - angular_momentum(before) + hopper.GRAVITY * duration * lever
        # the motor's torque alone would change it by 0.09: what is left is the fading lever and the time step
        assert abs(turned) < 2e-3


def test_hopper_loses_energy_without_motors(monkeypatch: pytest.MonkeyPatch) -> None:
    refine(monkeypatch, 10)
    environment = Hopper()
    state = environment.initial_state(torch.tensor([1.0, 5.0, 0.0, 0.0], dtype=torch.float64))

    def stored(state: Tensor) -> float:
        place, speed = state[POINTS].numpy(), state[SPEEDS].numpy()
        length = np.hypot(np.hypot(place[2] - place[0], place[3] - place[1]), hopper.LEG_SHORTEST)
        ground = environment.stiffness / 2 * (np.minimum(place[[1, 3]], 0) ** 2).sum()
        leg = hopper.LEG_STIFFNESS / 2 * (length - hopper.LEG_LENGTH) ** 2
        return (MASSES * speed**2).sum() / 2 + hopper.GRAVITY * (MASSES * place)[[1, 3]].sum() + ground + leg

    energies = [stored(state)]
    for _ in range(40):
        state, _ = environment.step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
        energies.append(stored(state))
    assert np.diff(energies).max() < 0.02
    assert energies[-1] < 0.6 * energies[0]


@pytest.mark.parametrize("stiffness", [500.0, 20000.0])
def test_hopper_is_continuous_at_touchdown(stiffness: float) -> None:
    """Foot and hip above or below the ground at the start: changes between neighbours halve with their distance."""
    environment = Hopper(stiffness=stiffness)
    largest = []
    for nodes in (20_000, 40_000):
        start = environment.initial_state(torch.zeros(nodes + 1, 4, dtype=torch.float64))
        sink = torch.linspace(0.05, 0.15, nodes + 1, dtype=torch.float64)
        state = start - sink[:, None] * torch.eye(10, dtype=torch.float64)[[1, 4]].sum(0)
        state = state + torch.eye(10, dtype=torch.float64)[5] * 0.4
        state, reward = environment.step(state, torch.zeros(nodes + 1, 2, dtype=torch.float64), NO_NOISE)
        largest.append(torch.cat([state, reward[:, None]], -1).diff(dim=0).abs().max().item())
    assert 0 < largest[1] < 0.52 * largest[0]


def test_hopper_sees_no_absolute_place() -> None:
    state = Hopper().initial_state(torch.ones(4, dtype=torch.float64))
    moved = state + torch.tensor([3.0, 0, 0, 3.0, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(Hopper().observe(state), Hopper().observe(moved))
    action = torch.tensor([0.5, -0.5], dtype=torch.float64)
    torch.testing.assert_close(
        Hopper().step(state, action, NO_NOISE)[1], Hopper().step(moved, action, NO_NOISE)[1], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("stiffness", [500.0, 2000.0, 20000.0])
def test_hopper_stands_where_forces_balance(stiffness: float) -> None:
    """The ground is pressed in by the weight of all, the leg's spring by that of the body."""
    depth = (hopper.BODY_MASS + hopper.FOOT_MASS) * hopper.GRAVITY / stiffness

    def surplus(leg: float) -> float:
        length = math.hypot(leg, hopper.LEG_SHORTEST)
        return hopper.LEG_STIFFNESS * (hopper.LEG_LENGTH - length) * leg / length - hopper.BODY_MASS * hopper.GRAVITY

    state = torch.zeros(10, dtype=torch.float64)
    state[1], state[4] = brentq(surplus, 0.4, 0.5) - depth, -depth
    still, _ = Hopper(stiffness=stiffness).step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
    torch.testing.assert_close(still, state, rtol=0, atol=1e-10)
