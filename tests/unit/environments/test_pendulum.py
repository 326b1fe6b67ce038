"""The pendulum is Gymnasium's, but for its start and noise."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import torch

from scorepath.environments.pendulum import Pendulum


def test_pendulum_is_gymnasiums() -> None:
    generator = np.random.default_rng(3)
    reference: Any = gymnasium.make("Pendulum-v1").unwrapped
    environment, clipped = Pendulum(), 0
    for episode in range(5):
        reference.reset(seed=episode)
        state = torch.tensor(reference.state)
        for _ in range(100):
            torque = generator.uniform(-4, 4) + 2 * np.sign(state[1].item())  # pumps energy: speed reaches its limit
            clipped += abs(torque) > 2
            observation, reward, *_ = reference.step(np.array([torque]))
            state, own_reward = environment.step(state, torch.tensor([torque]), torch.zeros(0))
            np.testing.assert_allclose(state.numpy(), reference.state, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(own_reward.item(), reward, rtol=1e-10)
            np.testing.assert_allclose(environment.observe(state).numpy(), observation, rtol=1e-6, atol=1e-6)
        assert abs(state[0].item()) > math.pi or episode  # the angle is not kept in one turn
    assert 100 < clipped < 500


def test_pendulum_starts_uniformly() -> None:
    uniform = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    start = Pendulum().initial_state(torch.special.ndtri(uniform).unsqueeze(-1).expand(19, 2))
    torch.testing.assert_close(start[:, 0], math.pi * (2 * uniform - 1))
    torch.testing.assert_close(start[:, 1], 2 * uniform - 1)


def test_pendulum_noise_moves_the_velocity() -> None:
    state, action = torch.tensor([0.3, 0.5], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    quiet, _ = Pendulum().step(state, action, torch.zeros(0))
    noisy, _ = Pendulum(process_noise=0.2).step(state, action, torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(noisy - quiet, torch.tensor([0.2 * 0.05, 0.2], dtype=torch.float64))
