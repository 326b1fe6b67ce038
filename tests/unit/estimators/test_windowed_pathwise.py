"""Sliding windows against one backward pass through the whole graph per step."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.problems import matrix_lqr, noise, simulator, system

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment
from scorepath.environments.cartpole import CartPole
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.estimators.truncated_pathwise import TruncatedPathwise
from scorepath.estimators.windowed_pathwise import WindowedPathwise

SEQUENTIAL = [
    (matrix_lqr(horizon=6), "linear"),
    (matrix_lqr(horizon=6), "open_loop"),
    (AngleDoubling(doublings=6), "open_loop"),
    (Pendulum(horizon=6, process_noise=0.1, reward_noise=0.5), "mlp"),
    (CartPole(horizon=6, discount=0.9), "mlp"),
]


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("window", [1, 2, 5, 6, 9])
@pytest.mark.parametrize(("environment", "kind"), SEQUENTIAL, ids=system)
def test_a_sliding_window_is_the_derivative_of_its_rewards(
    environment: Environment, kind: str, window: int, population: bool
) -> None:
    """Against one backward pass through the whole graph per step."""
    start, draws = simulator(environment, kind=kind, batches=3 * population), noise(environment)
    expected = []
    for t in range(environment.horizon):
        trajectories = start.rollout(draws.rollout, differentiable=True)
        expected.append(trajectories.action_gradient(trajectories.rewards[..., t : t + window])[:, :, t])
    _, found = WindowedPathwise(window=window).signal(start, draws)
    torch.testing.assert_close(found, torch.stack(expected, dim=2), rtol=1e-10, atol=1e-12)


def test_a_sliding_window_is_not_a_block() -> None:
    """They agree where a block begins, and the block credits the others with less."""
    environment = LQR(horizon=6)
    start, draws = simulator(environment), noise(environment)
    _, sliding = WindowedPathwise(window=3).signal(start, draws)
    _, blocks = TruncatedPathwise(window=3).signal(start, draws)
    same = torch.isclose(sliding, blocks, rtol=1e-10).flatten(0, 1).all(0).squeeze(-1)
    # the last block ends with the trajectory, and so do the windows of its steps
    assert same.tolist() == [True, False, False, True, True, True]
