"""Cart and pole move like Gymnasium's, and conserve energy."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

from scorepath.environments import cartpole
from scorepath.environments.cartpole import CartPole


def test_cartpole_moves_like_gymnasiums(monkeypatch: pytest.MonkeyPatch) -> None:
    reference: Any = gymnasium.make("CartPole-v1").unwrapped
    reference.kinematics_integrator = "semi-implicit euler"
    monkeypatch.setattr(cartpole, "TIME_STEP", reference.tau)
    reference.reset(seed=0)
    environment = CartPole(position_cost=0.5, speed_cost=0.25, action_cost=0.125)
    state = torch.tensor([0.1, -0.2, 0.05, 0.3], dtype=torch.float64)
    reference.state = state.numpy()
    for t in range(8):  # Gymnasium ends an episode once the pole has fallen
        right = t % 3 == 0
        reference.step(int(right))
        action = torch.tensor([1.0 if right else -1.0], dtype=torch.float64)
        state, reward = environment.step(state, action, torch.zeros(0))
        np.testing.assert_allclose(state.numpy(), reference.state, rtol=1e-12)
        x, speed, angle, spin = reference.state
        assert reward.item() == pytest.approx(math.cos(angle) - 0.5 * x**2 - 0.25 * (speed**2 + spin**2) - 0.125)


def test_cartpole_conserves_energy_through_a_full_swing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cartpole, "TIME_STEP", 1e-3)

    def energy(state: Tensor) -> float:
        _, speed, angle, spin = state.tolist()
        m, length = cartpole.POLE_MASS, cartpole.HALF_LENGTH
        kinetic = (cartpole.CART_MASS + m) * speed**2 / 2 + m * length * speed * spin * math.cos(angle)
        return kinetic + 2 / 3 * m * length**2 * spin**2 + m * cartpole.GRAVITY * length * math.cos(angle)

    state = torch.tensor([0.0, 0.1, 0.2, 0.0], dtype=torch.float64)
    start, lowest = energy(state), math.inf
    for _ in range(1500):
        state, _ = CartPole().step(state, torch.zeros(1, dtype=torch.float64), torch.zeros(0))
        assert energy(state) == pytest.approx(start, abs=0.01)
        lowest = min(lowest, math.cos(state[2].item()))
    assert lowest < -0.9  # potential and kinetic energy, 0.98 J apart, did change places
